package sagemaker

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"loradeck/internal/local/fault"
	"loradeck/internal/sqlite"
)

// echoing is a container that says what it got, and fails where the body asks for it.
type echoing struct{ saw http.Header }

func (e *echoing) Close() error { return nil }

func (e *echoing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.saw = r.Header.Clone()
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasPrefix(string(body), "panic"):
		panic(http.ErrAbortHandler)
	case strings.HasPrefix(string(body), "refuse"):
		w.WriteHeader(http.StatusTeapot)
	}
	w.Header().Set(attributesHeader, r.Header.Get(attributesHeader))
	for piece := range slices.Chunk(body, 7) {
		w.Write(piece)
		_ = http.NewResponseController(w).Flush() // a whole answer has nothing to flush
	}
}

// FuzzRuntime sends invocations that no SDK would send. Whatever comes is answered as a rest-json service answers, the
// container sees nothing of the caller's headers but the four that are passed on, and names no adapter of the caller's choice.
func FuzzRuntime(f *testing.F) {
	inside := &echoing{}
	p := fuzzed(f, inside)
	f.Add("/endpoints/e/invocations", "base", "X-Amzn-Sagemaker-Session-Id\nNEW_SESSION", "{}")
	f.Add("/endpoints/E/invocations-response-stream", "base", "X-Amzn-Sagemaker-Accept\ntext/plain\nX-Amzn-Sagemaker-Custom-Attributes\na=b", "data: hello\n\n")
	f.Add("/endpoints/e/async-invocations", "", "X-Amzn-Sagemaker-Inputlocation\ns3://a/b", "")
	f.Add("/endpoints/%65/invocations", "base", adapterHeader+"\nother", "refuse")
	f.Add("/endpoints/e%2f../invocations", "base-", "", "panic")
	f.Add("/endpoints/e/invocations-response-stream", "base", "X-Amzn-Sagemaker-Target-Variant\nall", "panic \xff\xfe")
	f.Add("//endpoints/e/invocations", "\xff", "Content-Type\n\x00\r", "refuse \x00\xff")
	f.Fuzz(func(t *testing.T, path, component, headers, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.Path, r.URL.RawPath = path, ""
		if lines := strings.Split(headers, "\n"); len(lines) > 1 {
			for pair := range slices.Chunk(lines, 2) {
				r.Header.Add(pair[0], pair[len(pair)-1])
			}
		}
		r.Header.Del("X-Amz-Target")
		if component != "" {
			r.Header.Set(componentHeader, component)
		}
		inside.saw = nil
		w := httptest.NewRecorder()
		p.serveRuntime(w, r)
		kind := w.Header().Get("X-Amzn-Errortype")
		if (w.Code == http.StatusOK) != (kind == "") || w.Code == http.StatusInternalServerError {
			t.Fatalf("answered %d %q %s", w.Code, kind, w.Body)
		}
		if kind != "" {
			var said struct{ Message, OriginalMessage string }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Message == "" && kind != "UnknownOperationException" || len([]rune(said.OriginalMessage)) > maxMessage {
				t.Fatalf("%s said %s: %v", kind, w.Body, err)
			}
		} else if w.Header().Get("Content-Type") == "application/vnd.amazon.eventstream" {
			readFrames(t, w.Body.Bytes())
		}
		passed := []string{"Content-Type", "Accept", http.CanonicalHeaderKey(attributesHeader), http.CanonicalHeaderKey(sessionHeader)}
		for name := range maps.Keys(inside.saw) {
			if !slices.Contains(passed, name) {
				t.Fatalf("the container saw %s: %q", name, inside.saw[name])
			}
		}
	})
}

// fuzzed is a platform with endpoint e, and component base on it with this container.
func fuzzed(f testing.TB, inside Container) *Platform {
	f.Helper()
	db, err := sqlite.Open(f.Context(), filepath.Join(f.TempDir(), "local.db"))
	if err != nil {
		f.Fatal(err)
	}
	p, err := Open(context.Background(), Config{
		DB: db, Account: "000000000000", Region: "us-east-1", Dir: f.TempDir(), Log: slog.New(slog.DiscardHandler), Faults: &fault.Registry{},
		Objects: onlyConfig{}, Run: func(context.Context, ContainerSpec) (Container, error) { return inside, nil },
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := p.Close(); err != nil {
			f.Error(err)
		}
		db.Close()
	})
	ask := func(operation, input string) string {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(input))
		r.Header.Set("X-Amz-Target", "SageMaker."+operation)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			f.Fatalf("%s: %d %s", operation, w.Code, w.Body)
		}
		return w.Body.String()
	}
	until := func(operation, input string) {
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(ask(operation, input), `"InService"`); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				f.Fatalf("not in time: %s", ask(operation, input))
			}
		}
	}
	const role = `"arn:aws:iam::000000000000:role/local"`
	ask("CreateEndpointConfig", `{"EndpointConfigName":"c","ExecutionRoleArn":`+role+`,"ProductionVariants":[{"VariantName":"all","InstanceType":"ml.g5.xlarge","InitialInstanceCount":1}]}`)
	ask("CreateEndpoint", `{"EndpointName":"e","EndpointConfigName":"c"}`)
	until("DescribeEndpoint", `{"EndpointName":"e"}`)
	ask("CreateModel", `{"ModelName":"m","ExecutionRoleArn":`+role+`,"PrimaryContainer":{"Image":"vllm:0.11.2","ModelDataSource":{"S3DataSource":{"S3Uri":"s3://models/m/","S3DataType":"S3Prefix","CompressionType":"None"}}}}`)
	ask("CreateInferenceComponent", `{"InferenceComponentName":"base","EndpointName":"e","VariantName":"all","Specification":{"ModelName":"m","ComputeResourceRequirements":{"MinMemoryRequiredInMb":1024}},"RuntimeConfig":{"CopyCount":1}}`)
	until("DescribeInferenceComponent", `{"InferenceComponentName":"base"}`)
	return p
}

// onlyConfig is a store with one object.
type onlyConfig struct{}

func (onlyConfig) Fetch(context.Context, string, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("{}")), nil
}

func (onlyConfig) Link(context.Context, string, string, string) (bool, error) { return false, nil }

func (onlyConfig) List(_ context.Context, _, prefix string) ([]Object, error) {
	return []Object{{Key: prefix + "config.json", Size: 2}}, nil
}
