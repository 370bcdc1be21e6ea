package local_test

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"loradeck/internal/local"
)

const faultyPart = 5 << 20 // the smallest that S3 takes

// faultyUpload is an upload to models/k of a platform that faults are set on.
type faultyUpload struct {
	t        *testing.T
	platform *local.Server
	client   *s3.Client
	key      *string
	id       *string
	parts    []types.CompletedPart
}

// startFaultyUpload begins an upload with a client that tries each call so often.
func startFaultyUpload(t *testing.T, attempts int) *faultyUpload {
	t.Helper()
	u := &faultyUpload{t: t, platform: open(t, t.TempDir(), nil), key: aws.String("k")}
	server := httptest.NewServer(u.platform)
	t.Cleanup(server.Close)
	u.client = s3.New(s3.Options{
		Region: region, BaseEndpoint: &server.URL, UsePathStyle: true, RetryMaxAttempts: attempts,
		Credentials: credentials.NewStaticCredentialsProvider("any", "any", ""),
	})
	if _, err := u.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("models")}); err != nil {
		t.Fatal(err)
	}
	made, err := u.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("models"), Key: u.key})
	if err != nil {
		t.Fatal(err)
	}
	u.id = made.UploadId
	return u
}

func (u *faultyUpload) part(number int32, text []byte) error {
	out, err := u.client.UploadPart(u.t.Context(), &s3.UploadPartInput{Bucket: aws.String("models"), Key: u.key, UploadId: u.id, PartNumber: &number, Body: bytes.NewReader(text)})
	if err == nil {
		u.parts = append(u.parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag})
	}
	return err
}

// listed gives the numbers of the parts that the platform has.
func (u *faultyUpload) listed() (numbers []int32) {
	u.t.Helper()
	out, err := u.client.ListParts(u.t.Context(), &s3.ListPartsInput{Bucket: aws.String("models"), Key: u.key, UploadId: u.id})
	if err != nil {
		u.t.Fatal(err)
	}
	for _, p := range out.Parts {
		numbers = append(numbers, *p.PartNumber)
	}
	return numbers
}

// completeAs completes the upload and wants its content to be text.
func (u *faultyUpload) completeAs(text []byte) {
	u.t.Helper()
	if _, err := u.client.CompleteMultipartUpload(u.t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("models"), Key: u.key, UploadId: u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}); err != nil {
		u.t.Fatal(err)
	}
	got, err := u.read("")
	if err != nil || !bytes.Equal(got, text) {
		u.t.Errorf("got %d bytes, %v, want the %d that were sent", len(got), err, len(text))
	}
}

// read gives what arrives of the object, or of a range of it.
func (u *faultyUpload) read(span string) ([]byte, error) {
	u.t.Helper()
	in := &s3.GetObjectInput{Bucket: aws.String("models"), Key: u.key}
	if span != "" {
		in.Range = &span
	}
	out, err := u.client.GetObject(u.t.Context(), in)
	if err != nil {
		u.t.Fatal(err)
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

func TestAClientThatRetriesDoesNotNoticeACutPart(t *testing.T) {
	t.Parallel()
	u := startFaultyUpload(t, 3)
	text := bytes.Repeat([]byte("weights "), faultyPart/8+1)
	set(t, u.platform, `{"kind":"cut-s3","resource":"models/k","calls":2}`)
	for i, piece := range [][]byte{text[:faultyPart], text[faultyPart:]} {
		if err := u.part(int32(i+1), piece); err != nil {
			t.Fatalf("part %d: %v", i+1, err)
		}
	}
	if _, _, faults := send(t, u.platform, "GET", "/_local/faults", ""); !strings.Contains(faults, `"set":[]`) {
		t.Errorf("the cuts did not happen: %s", faults)
	}
	u.completeAs(text)
}

func TestAnUploadThatWasCutGoesOnFromItsParts(t *testing.T) {
	t.Parallel()
	u := startFaultyUpload(t, 1)
	text := bytes.Repeat([]byte("weights "), faultyPart/8+4096)
	if err := u.part(1, text[:faultyPart]); err != nil {
		t.Fatal(err)
	}
	set(t, u.platform, `{"kind":"cut-s3","resource":"models/k","calls":1}`)
	if err := u.part(2, text[faultyPart:]); err == nil {
		t.Fatal("the part arrived although its connection was cut")
	}
	if got := u.listed(); len(got) != 1 || got[0] != 1 {
		t.Errorf("after the cut parts %v are there, want the first alone", got)
	}
	set(t, u.platform, `{"kind":"slow-s3","resource":"models/k","calls":1}`)
	if err := u.part(2, text[faultyPart:]); err != nil {
		t.Fatalf("sent slowly: %v", err)
	}
	u.completeAs(text)

	set(t, u.platform, `{"kind":"cut-s3","resource":"models/k","calls":1}`)
	first, err := u.read("")
	if err == nil || len(first) == 0 || len(first) == len(text) {
		t.Fatalf("the download gave %d of %d bytes and %v, want it cut", len(first), len(text), err)
	}
	rest, err := u.read("bytes=" + strconv.Itoa(len(first)) + "-")
	if err != nil || !bytes.Equal(append(first, rest...), text) {
		t.Errorf("the rest is %d bytes, %v, want what was cut off", len(rest), err)
	}
}

func TestAThrottledUploadIsTriedAgainOrSaysSo(t *testing.T) {
	t.Parallel()
	u := startFaultyUpload(t, 1)
	set(t, u.platform, `{"kind":"throttle","resource":"models","calls":1}`)
	err := u.part(1, []byte("x"))
	if err == nil || !strings.Contains(err.Error(), "SlowDown") {
		t.Errorf("got %v, want SlowDown", err)
	}
	var named s3.ResponseError
	if !errors.As(err, &named) || named.ServiceRequestID() == "" || named.ServiceHostID() == "" {
		t.Errorf("got %v, want it with the ids that S3 gives every answer", err)
	}
	if err := u.part(1, []byte("x")); err != nil {
		t.Error(err)
	}
	u.completeAs([]byte("x"))
}
