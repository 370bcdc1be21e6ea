package sagemaker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	objects "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"

	"loradeck/internal/local/container"
	"loradeck/internal/local/s3"
	"loradeck/internal/local/sagemaker"
)

// stored is the real object store as the control plane reads it.
type stored struct{ *s3.Store }

func (s stored) Fetch(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	body, _, err := s.Store.Fetch(ctx, bucket, key)
	return body, err
}

func (s stored) List(ctx context.Context, bucket, prefix string) ([]sagemaker.Object, error) {
	found, err := s.Store.List(ctx, bucket, prefix)
	list := make([]sagemaker.Object, len(found))
	for i, o := range found {
		list[i] = sagemaker.Object{Key: o.Key, Size: o.Size}
	}
	return list, err
}

// realContainer starts what the local platform runs.
func realContainer(ctx context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
	c, err := container.Start(ctx, container.Config{ModelDir: spec.ModelDir, Name: spec.Name, Environment: spec.Environment})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// recorded reads the tiny base and its adapter, by path below "base/" and "good/".
func recorded(t *testing.T) map[string]string {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "container", "testdata", "tiny-base-and-good.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for packed := tar.NewReader(zip); ; {
		header, err := packed.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(packed)
			if err != nil {
				t.Fatal(err)
			}
			files[header.Name] = string(text)
		}
	}
}

// TestRealAdapterChangesTheAnswer runs the whole local platform below the wire: S3 by its own SDK, the engine, a restart.
func TestRealAdapterChangesTheAnswer(t *testing.T) {
	t.Parallel()
	store, err := s3.Open(t.Context(), t.TempDir(), s3.Log(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store)
	client := objects.New(objects.Options{Region: "us-east-1", BaseEndpoint: &server.URL, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("any", "any", "")})
	t.Cleanup(func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	h := newHouse(t, realContainer)
	h.close()
	h.objects = stored{store}
	h.open()

	adapter := map[string]string{}
	put := func(bucket, key string, content []byte) {
		done(t)(client.PutObject(t.Context(), &objects.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)}))
	}
	done(t)(client.CreateBucket(t.Context(), &objects.CreateBucketInput{Bucket: aws.String("models")}))
	done(t)(client.CreateBucket(t.Context(), &objects.CreateBucketInput{Bucket: aws.String("adapters")}))
	for name, text := range recorded(t) {
		if file, ok := strings.CutPrefix(name, "base/"); ok {
			put("models", "tiny/"+file, []byte(text))
		} else {
			adapter[strings.TrimPrefix(name, "good/")] = text
		}
	}
	put("adapters", "one.tar.gz", archive(t, adapter))
	nested := map[string]string{}
	for name, text := range adapter {
		nested["folder/"+name] = text
	}
	put("adapters", "nested.tar.gz", archive(t, nested))

	h.endpoint("e")
	h.model("m")
	if got := h.create(baseInput("base", "e", "m")); got.InferenceComponentStatus != "InService" {
		t.Fatalf("the base is %s: %s", got.InferenceComponentStatus, aws.ToString(got.FailureReason))
	}
	h.create(adapterInput("one", "e", "base", artifact))
	h.create(adapterInput("nested", "e", "base", "s3://adapters/nested.tar.gz"))
	base, changed := h.completion("base"), h.completion("one")
	if base == changed || base == "" || changed == "" {
		t.Errorf("base answers %q, its adapter %q", base, changed)
	}
	var dead *types.ModelError
	if _, err := h.invoke("e", "nested", prompt); !errors.As(err, &dead) || aws.ToInt32(dead.OriginalStatusCode) != 404 {
		t.Errorf("an adapter in a folder of its archive answers %v", err)
	}
	parts, err := h.stream("one", strings.Replace(prompt, "{", `{"stream":true,`, 1))
	if err != nil || len(parts) < 2 || !strings.HasSuffix(strings.Join(parts, ""), "data: [DONE]\n\n") {
		t.Errorf("streamed %q %v", parts, err)
	}
	h.restart()
	if again := h.completion("one"); again != changed {
		t.Errorf("after a restart the adapter answers %q, before %q", again, changed)
	}
}

const prompt = `{"prompt":"Once upon a time","max_tokens":12,"temperature":0}`

// completion asks a component and gives its text; the model it names must be the component when that is an adapter.
func (h *house) completion(component string) string {
	h.t.Helper()
	body, err := h.invoke("e", component, prompt)
	if err != nil {
		h.t.Fatal(err)
	}
	var answer struct {
		Model   string
		Choices []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Choices) != 1 {
		h.t.Fatalf("%s answered %s", component, body)
	}
	if component != "base" && answer.Model != component {
		h.t.Errorf("%s was answered by %s", component, answer.Model)
	}
	return answer.Choices[0].Text
}
