package cloud

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"

	"loradeck/internal/lora"
)

// requestOf writes an operation's input. Objects are told by address and size and invocations by component and size; any other
// input is SageMaker's, which has no bodies, and is told by its members.
func requestOf(input any) string {
	object := func(bucket, key *string) string { return ObjectRef{Bucket: deref(bucket), Key: deref(key)}.URL() }
	switch in := input.(type) {
	case *s3.HeadBucketInput:
		return "s3://" + deref(in.Bucket)
	case *s3.CreateBucketInput:
		return "s3://" + deref(in.Bucket)
	case *s3.HeadObjectInput:
		return object(in.Bucket, in.Key)
	case *s3.GetObjectInput:
		return object(in.Bucket, in.Key)
	case *s3.CreateMultipartUploadInput:
		return object(in.Bucket, in.Key)
	case *s3.UploadPartInput:
		return fmt.Sprintf("%s part %d, %s", object(in.Bucket, in.Key), deref(in.PartNumber), lora.Bytes(deref(in.ContentLength)))
	case *s3.ListPartsInput:
		return object(in.Bucket, in.Key)
	case *s3.CompleteMultipartUploadInput:
		return object(in.Bucket, in.Key) + ", " + many(len(in.MultipartUpload.Parts), "part")
	case *s3.ListMultipartUploadsInput:
		return object(in.Bucket, in.Prefix)
	case *s3.AbortMultipartUploadInput:
		return object(in.Bucket, in.Key)
	case *sagemakerruntime.InvokeEndpointInput:
		return fmt.Sprintf("%s, %s", deref(in.InferenceComponentName), lora.Bytes(int64(len(in.Body))))
	case *sagemakerruntime.InvokeEndpointWithResponseStreamInput:
		return fmt.Sprintf("%s, %s", deref(in.InferenceComponentName), lora.Bytes(int64(len(in.Body))))
	}
	return members(input)
}

// answerOf writes what matters of an operation's output, or "" when its HTTP status says it all.
func answerOf(output any) string {
	switch out := output.(type) {
	case *s3.HeadObjectOutput:
		return lora.Bytes(deref(out.ContentLength))
	case *s3.GetObjectOutput:
		return lora.Bytes(deref(out.ContentLength))
	case *s3.CreateMultipartUploadOutput:
		return "upload " + deref(out.UploadId)
	case *s3.UploadPartOutput:
		return "ETag " + deref(out.ETag)
	case *s3.ListPartsOutput:
		return many(len(out.Parts), "part")
	case *s3.ListMultipartUploadsOutput:
		return many(len(out.Uploads), "upload")
	case *s3.CompleteMultipartUploadOutput:
		return "ETag " + deref(out.ETag)
	case *sagemaker.CreateInferenceComponentOutput:
		return deref(out.InferenceComponentArn)
	case *sagemaker.DescribeInferenceComponentOutput:
		return strings.TrimSuffix(string(out.InferenceComponentStatus)+": "+deref(out.FailureReason), ": ")
	case *sagemaker.DescribeEndpointOutput:
		return strings.TrimSuffix(string(out.EndpointStatus)+": "+deref(out.FailureReason), ": ")
	case *sagemaker.DescribeEndpointConfigOutput:
		return deref(out.EndpointConfigArn)
	case *sagemaker.DescribeModelOutput:
		return deref(out.ModelArn)
	case *sagemaker.ListEndpointsOutput:
		return many(len(out.Endpoints), "endpoint")
	case *sagemaker.ListInferenceComponentsOutput:
		return many(len(out.InferenceComponents), "component")
	case *sagemaker.ListTagsOutput:
		return many(len(out.Tags), "tag")
	case *sagemakerruntime.InvokeEndpointOutput:
		return lora.Bytes(int64(len(out.Body)))
	case *sagemakerruntime.InvokeEndpointWithResponseStreamOutput:
		return "the answer begins"
	}
	return ""
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// members writes the members of an input that are set, as JSON.
func members(input any) string {
	text, err := json.Marshal(input)
	if err != nil {
		return fmt.Sprintf("%T", input)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Sprintf("%T", input)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(shown(value, false)); err != nil {
		return fmt.Sprintf("%T", input)
	}
	return out.String()
}

// shown takes away what is not set, and the values of an environment's variables that look secret.
func shown(value any, environment bool) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, member := range value {
			switch {
			case member == nil || member == "":
			case environment && looksSecret(name):
				kept[name] = "…"
			default:
				kept[name] = shown(member, name == "Environment")
			}
		}
		return kept
	case []any:
		kept := make([]any, len(value))
		for i, member := range value {
			kept[i] = shown(member, false)
		}
		return kept
	}
	return value
}

// looksSecret reports whether a variable of that name usually holds what must not be written down: HF_TOKEN, API_KEY.
func looksSecret(name string) bool {
	name = strings.ToUpper(name)
	for _, word := range []string{"TOKEN", "SECRET", "KEY", "PASSWORD"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
