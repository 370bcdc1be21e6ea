//go:build real

package local_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"

	"loradeck/internal/local"
)

// TestRealBaseAnswersThroughThePlatform gives the platform SmolLM2-135M as --local-model does, deploys an adapter that peft trained on
// it through the SDK, and asks both what transformers was asked. `make test-real` makes the base and says where it is.
func TestRealBaseAnswersThroughThePlatform(t *testing.T) {
	dir := os.Getenv("REAL_BASE")
	if dir == "" {
		t.Fatal("REAL_BASE names no folder; run make test-real")
	}
	samples := filepath.Join("..", "engine", "testdata", "real")
	text, err := os.ReadFile(filepath.Join(samples, "samples.json"))
	if err != nil {
		t.Fatal(err)
	}
	var asked struct {
		Questions []struct {
			Question string `json:"question"`
			Prompt   []int  `json:"prompt_ids"`
			Answers  map[string]struct {
				Text string `json:"text"`
			} `json:"answers"`
		} `json:"questions"`
	}
	if err := json.Unmarshal(text, &asked); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, t.TempDir(), local.Base{Name: "smollm2", Dir: dir})
	server := httptest.NewServer(s)
	defer server.Close()
	config := aws.Config{Region: region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("any", "any", "")}
	if status, reason := settled(t, s, "smollm2-base"); status != "InService" {
		t.Fatalf("%s: %s", status, reason)
	}

	objects := s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := objects.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("adapters")}); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("adapters"), Key: aws.String("pirate.tar.gz"), Body: bytes.NewReader(packed(t, os.DirFS(filepath.Join(samples, "pirate"))))}); err != nil {
		t.Fatal(err)
	}
	_, err = sagemaker.NewFromConfig(config).CreateInferenceComponent(t.Context(), &sagemaker.CreateInferenceComponentInput{
		InferenceComponentName: aws.String("pirate"), EndpointName: aws.String("local"), Specification: &types.InferenceComponentSpecification{
			BaseInferenceComponentName: aws.String("smollm2-base"), Container: &types.InferenceComponentContainerSpecification{ArtifactUrl: aws.String("s3://adapters/pirate.tar.gz")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if status, reason := settled(t, s, "pirate"); status != "InService" {
		t.Fatalf("%s: %s", status, reason)
	}

	runtime := sagemakerruntime.NewFromConfig(config)
	equal, answers := 0, 0
	for _, q := range asked.Questions {
		for name, component := range map[string]string{"base": "smollm2-base", "pirate": "pirate"} {
			body, err := json.Marshal(map[string]any{"prompt": q.Prompt, "max_tokens": 40, "temperature": 0})
			if err != nil {
				t.Fatal(err)
			}
			out, err := runtime.InvokeEndpoint(t.Context(), &sagemakerruntime.InvokeEndpointInput{
				EndpointName: aws.String("local"), InferenceComponentName: &component, ContentType: aws.String("application/json"), Body: body,
			})
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Choices []struct{ Text string } }
			if err := json.Unmarshal(out.Body, &got); err != nil || len(got.Choices) != 1 {
				t.Fatalf("%s answers %s", component, out.Body)
			}
			answers++
			if want := q.Answers[name].Text; got.Choices[0].Text != want {
				t.Errorf("%s, asked %q, says %q, want %q", name, q.Question, got.Choices[0].Text, want)
			} else {
				equal++
			}
		}
	}
	t.Logf("%d of %d greedy texts equal to transformers', asked with InvokeEndpoint", equal, answers)
	if answers == 0 {
		t.Error("nothing was asked")
	}
}
