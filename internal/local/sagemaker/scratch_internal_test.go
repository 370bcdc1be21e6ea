package sagemaker

import (
	"archive/tar"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loradeck/internal/lora"
	"loradeck/internal/sqlite"
)

// shelves are a store with a model at m/ and artifacts by key.
type shelves map[string][]byte

func (s shelves) Fetch(_ context.Context, _, key string) (io.ReadCloser, error) {
	if content, there := s[key]; there {
		return io.NopCloser(bytes.NewReader(content)), nil
	}
	return nil, lora.Errorf(lora.NotFound, "There is no %s.", key)
}

func (s shelves) Link(context.Context, string, string, string) (bool, error) { return false, nil }

func (s shelves) List(_ context.Context, _, prefix string) ([]Object, error) {
	return []Object{{Key: prefix + "config.json", Size: int64(len(s[prefix+"config.json"]))}}, nil
}

// scratched is a platform with endpoint e and model m, whose images named bad do not start.
func scratched(t *testing.T) (p *Platform, ask func(operation, input string) string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "local.db"))
	if err != nil {
		t.Fatal(err)
	}
	config := tar.Header{Name: "adapter_config.json", Typeflag: tar.TypeReg, Mode: 0o600, Size: 2}
	p, err = Open(t.Context(), Config{
		DB: db, Account: "000000000000", Region: "us-east-1", Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Objects: shelves{"m/config.json": []byte("{}"), "good.tar.gz": packed(t, config), "broken.tar.gz": packed(t, config, tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})},
		Run: func(_ context.Context, spec ContainerSpec) (Container, error) {
			if strings.HasPrefix(spec.Image, "bad") {
				return nil, lora.Errorf(lora.Invalid, "It does not start.")
			}
			return &echoing{}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	ask = func(operation, input string) string {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
		r.Header.Set("X-Amz-Target", "SageMaker."+operation)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", operation, w.Code, w.Body)
		}
		return w.Body.String()
	}
	const role = `"arn:aws:iam::000000000000:role/local"`
	ask("CreateEndpointConfig", `{"EndpointConfigName":"c","ExecutionRoleArn":`+role+`,"ProductionVariants":[{"VariantName":"all","InstanceType":"ml.g5.48xlarge","InitialInstanceCount":1}]}`)
	ask("CreateEndpoint", `{"EndpointName":"e","EndpointConfigName":"c"}`)
	eventually(t, func() bool { return strings.Contains(ask("DescribeEndpoint", `{"EndpointName":"e"}`), `"InService"`) })
	for model, image := range map[string]string{"m": "vllm:0.11.2", "bad": "bad:1"} {
		ask("CreateModel", `{"ModelName":"`+model+`","ExecutionRoleArn":`+role+`,"PrimaryContainer":{"Image":"`+image+`","ModelDataSource":{"S3DataSource":{"S3Uri":"s3://models/m/","S3DataType":"S3Prefix","CompressionType":"None"}}}}`)
	}
	return p, ask
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never")
		}
	}
}

// left counts the directories of a component in scratch.
func (p *Platform) left(t *testing.T, kind, name string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.config.Dir, kind+"-"+name+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestNothingIsLeftOfWhatIsNotUsed(t *testing.T) {
	t.Parallel()
	p, ask := scratched(t)
	create := func(name, specification, status string) {
		ask("CreateInferenceComponent", fmt.Sprintf(`{"InferenceComponentName":%q,"EndpointName":"e",%s}`, name, specification))
		eventually(t, func() bool {
			return strings.Contains(ask("DescribeInferenceComponent", fmt.Sprintf(`{"InferenceComponentName":%q}`, name)), `"InferenceComponentStatus":"`+status+`"`)
		})
	}
	base := func(model string) string {
		return `"VariantName":"all","Specification":{"ModelName":"` + model + `","ComputeResourceRequirements":{"MinMemoryRequiredInMb":128}},"RuntimeConfig":{"CopyCount":1}`
	}
	adapter := func(artifact string) string {
		return `"Specification":{"BaseInferenceComponentName":"base","Container":{"ArtifactUrl":"s3://adapters/` + artifact + `"}}`
	}
	create("failing", base("bad"), "Failed")
	create("base", base("m"), "InService")
	create("a", adapter("good.tar.gz"), "InService")
	create("b", adapter("good.tar.gz"), "InService")
	create("broken", adapter("broken.tar.gz"), "InService")
	for name, want := range map[string]int{"model-failing": 0, "model-base": 1, "adapter-a": 1, "adapter-b": 1, "adapter-broken": 0} {
		kind, name, _ := strings.Cut(name, "-")
		if got := p.left(t, kind, name); got != want {
			t.Errorf("%s has %d directories, want %d", name, got, want)
		}
	}
	// A base that cannot be given all its adapters is rolled back.
	if err := p.store.write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), "UPDATE sm_component SET body = 'of another version' WHERE name = 'b'")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ask("UpdateInferenceComponent", `{"InferenceComponentName":"base","Specification":{"ModelName":"m"}}`)
	eventually(t, func() bool {
		said := ask("DescribeInferenceComponent", `{"InferenceComponentName":"base"}`)
		return strings.Contains(said, `"InService"`) && strings.Contains(said, "rolled back")
	})
	for kind, name := range map[string]string{"model": "base", "adapter": "a"} {
		if got := p.left(t, kind, name); got != 1 {
			t.Errorf("after an update that was rolled back, %s has %d directories", name, got)
		}
	}
	eventually(t, func() bool { // nobody holds a roster by now
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.rosters) == 0
	})
}

var _ Objects = shelves(nil)
