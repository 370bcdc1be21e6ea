//go:build versitygw

package versitygw

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// recorder keeps what came over the wire of an SDK's calls.
type recorder struct {
	next http.RoundTripper
	last answer
}

// RoundTrip passes a request on and keeps its answer.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	came, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(came.Body)
	if err != nil {
		return nil, err
	}
	_ = came.Body.Close()
	came.Body = io.NopCloser(bytes.NewReader(text))
	r.last = answer{status: came.StatusCode, header: came.Header, body: text}
	return came, nil
}

// session is one server as the SDK sees it.
type session struct {
	*s3.Client
	wire   *recorder
	upload *string
	parts  []types.CompletedPart
}

func (s *server) session() *session {
	wire := &recorder{next: http.DefaultTransport}
	return &session{wire: wire, Client: s3.New(s3.Options{
		Region: region, BaseEndpoint: &s.address, UsePathStyle: true, HTTPClient: &http.Client{Transport: wire}, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})}
}

// call is one call of the SDK.
type call struct {
	name string
	do   func(ctx context.Context, s *session) error
}

func calls() []call {
	bucket := aws.String("sdk-bucket")
	all := []call{{"sdk create bucket", func(ctx context.Context, s *session) error {
		_, err := s.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket})
		return err
	}}}
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		key := aws.String("sums/" + string(algorithm))
		all = append(all,
			call{"sdk put " + *key, func(ctx context.Context, s *session) error {
				_, err := s.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("hello"), ChecksumAlgorithm: algorithm, Metadata: map[string]string{"a": "1"}})
				return err
			}},
			call{"sdk get " + *key, func(ctx context.Context, s *session) error {
				out, err := s.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					return err
				}
				_, err = io.Copy(io.Discard, out.Body) // the SDK holds it to its sum
				return err
			}},
		)
	}
	all = append(all, call{"sdk create upload", func(ctx context.Context, s *session) error {
		out, err := s.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: bucket, Key: aws.String("parts"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
		})
		if err == nil {
			s.upload = out.UploadId
		}
		return err
	}})
	for i, text := range []string{strings.Repeat("a", partSize), "end"} {
		all = append(all, call{fmt.Sprintf("sdk part %d", i+1), func(ctx context.Context, s *session) error {
			out, err := s.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: bucket, Key: aws.String("parts"), UploadId: s.upload, PartNumber: aws.Int32(int32(i + 1)), Body: strings.NewReader(text), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
			})
			if err == nil {
				s.parts = append(s.parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag, ChecksumCRC64NVME: out.ChecksumCRC64NVME})
			}
			return err
		}})
	}
	return append(all,
		call{"sdk complete", func(ctx context.Context, s *session) error {
			_, err := s.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: bucket, Key: aws.String("parts"), UploadId: s.upload, ChecksumType: types.ChecksumTypeFullObject, MultipartUpload: &types.CompletedMultipartUpload{Parts: s.parts},
			})
			return err
		}},
		call{"sdk head", func(ctx context.Context, s *session) error {
			_, err := s.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("parts"), ChecksumMode: types.ChecksumModeEnabled})
			return err
		}},
		call{"sdk list", func(ctx context.Context, s *session) error {
			_, err := s.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Delimiter: aws.String("/")})
			return err
		}},
		call{"sdk delete many", func(ctx context.Context, s *session) error {
			_, err := s.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("parts")}, {Key: aws.String("none")}}}})
			return err
		}},
	)
}

func TestTheSDKGetsTheSameOfBoth(t *testing.T) {
	ours, theirs := startOurs(t).session(), startTheirs(t).session()
	for _, one := range calls() {
		for name, s := range map[string]*session{"ours": ours, "theirs": theirs} {
			if err := one.do(t.Context(), s); err != nil {
				t.Errorf("%s: %s: %v", one.name, name, err)
			}
		}
		found, err := differ(ours.wire.last, theirs.wire.last)
		if err != nil {
			t.Error(err)
		}
		for fact, values := range found {
			if why, _ := reason(one.name, fact); why == "" {
				t.Errorf("%s: %s: we and they say %s", one.name, fact, values)
			}
		}
	}
	t.Logf("%d calls of the SDK compared", len(calls()))
}
