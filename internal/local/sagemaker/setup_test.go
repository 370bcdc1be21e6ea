package sagemaker_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	control "github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	runtime "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/smithy-go"

	"loradeck/internal/local/fault"
	"loradeck/internal/local/sagemaker"
	"loradeck/internal/lora"
	"loradeck/internal/sqlite"
)

// shelf is an object store in memory: "bucket/key" → bytes.
type shelf struct {
	mu   sync.Mutex
	held map[string][]byte
}

func (s *shelf) put(path string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[path] = content
}

func (s *shelf) Fetch(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, ok := s.held[bucket+"/"+key]
	if !ok {
		return nil, lora.Errorf(lora.NotFound, "There is no object %s in %s.", key, bucket)
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

func (s *shelf) List(_ context.Context, bucket, prefix string) ([]sagemaker.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []sagemaker.Object
	for path, content := range s.held {
		if key, ok := strings.CutPrefix(path, bucket+"/"); ok && strings.HasPrefix(key, prefix) {
			found = append(found, sagemaker.Object{Key: key, Size: int64(len(content))})
		}
	}
	return found, nil
}

// Link says that a shelf has no files.
func (s *shelf) Link(context.Context, string, string, string) (bool, error) { return false, nil }

// house is a platform behind real HTTP with the real clients before it. Its containers are plain programs of a test.
type house struct {
	t        *testing.T
	shelf    *shelf
	objects  sagemaker.Objects // the shelf, unless a test has its own
	dir      string
	run      sagemaker.RunContainer
	pace     sagemaker.Pace
	region   string
	now      func() time.Time // nil means time.Now
	within   time.Duration    // that containers have to answer; 0 means SageMaker's
	faults   *fault.Registry  // nil is none
	platform *sagemaker.Platform
	control  *control.Client
	runtime  *runtime.Client
	url      string
	witness  *witness
	close    func()
}

func newHouse(t *testing.T, run sagemaker.RunContainer) *house {
	t.Helper()
	h := &house{t: t, shelf: &shelf{held: map[string][]byte{}}, dir: t.TempDir(), run: run, region: "us-east-1", witness: newWitness(t)}
	h.objects = h.shelf
	h.shelf.put("models/tiny/config.json", []byte(`{}`))
	h.open()
	t.Cleanup(func() { h.close() })
	return h
}

// fromMemory sends bodies from memory. The SDK closes a body when the answer begins, and net/http, when it has not looked for the
// body's end by then, gives up the connection in the middle of the answer.
type fromMemory struct{ *http.Client }

// Do sends a request.
func (c fromMemory) Do(r *http.Request) (*http.Response, error) {
	sent := *r
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		sent.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.Client.Do(&sent)
}

// open starts the platform on what is in dir; again after close, as a restart does.
func (h *house) open() {
	h.t.Helper()
	db, err := sqlite.Open(h.t.Context(), filepath.Join(h.dir, "local.db"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.platform, err = sagemaker.Open(h.t.Context(), sagemaker.Config{
		DB: db, Objects: h.objects, Run: h.run, Account: "000000000000", Region: h.region,
		Dir: filepath.Join(h.dir, "containers"), Log: slog.New(slog.DiscardHandler), Pace: h.pace, Now: h.now,
		Faults: h.faults, AnswerWithin: h.within, StreamWithin: h.within,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer(h.witness.watch(h.platform))
	h.url = server.URL
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1, HTTPClient: fromMemory{server.Client()},
		Credentials: credentials.NewStaticCredentialsProvider("any", "any", ""),
	}
	h.control, h.runtime = control.NewFromConfig(config), runtime.NewFromConfig(config)
	h.close = func() {
		server.Close()
		if err := errors.Join(h.platform.Close(), db.Close()); err != nil {
			h.t.Error(err)
		}
		h.close = func() {}
	}
}

func (h *house) restart() {
	h.t.Helper()
	h.close()
	h.open()
}

// refused asserts an error of AWS's with its code and a part of its message.
func refused(t *testing.T, code, part string) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		var known smithy.APIError
		if !errors.As(err, &known) || known.ErrorCode() != code || !strings.Contains(known.ErrorMessage(), part) {
			t.Errorf("got %v, want %s with %q", err, code, part)
		}
	}
}

// endpoint makes an endpoint for components and waits for it.
func (h *house) endpoint(name string) {
	h.t.Helper()
	ctx := h.t.Context()
	done(h.t)(h.control.CreateEndpointConfig(ctx, &control.CreateEndpointConfigInput{
		EndpointConfigName: aws.String(name + "-config"), ExecutionRoleArn: aws.String(role),
		ProductionVariants: []types.ProductionVariant{{
			VariantName: aws.String("main"), InstanceType: "ml.g6e.12xlarge", InitialInstanceCount: aws.Int32(1),
			ManagedInstanceScaling: &types.ProductionVariantManagedInstanceScaling{Status: "ENABLED", MinInstanceCount: aws.Int32(1), MaxInstanceCount: aws.Int32(1)},
			RoutingConfig:          &types.ProductionVariantRoutingConfig{RoutingStrategy: "LEAST_OUTSTANDING_REQUESTS"},
		}},
	}))
	done(h.t)(h.control.CreateEndpoint(ctx, &control.CreateEndpointInput{EndpointName: &name, EndpointConfigName: aws.String(name + "-config")}))
	h.until("endpoint in service", func() bool {
		out, err := h.control.DescribeEndpoint(ctx, &control.DescribeEndpointInput{EndpointName: &name})
		return err == nil && out.EndpointStatus == "InService"
	})
}

// done takes a call's two results and fails the test on an error.
func done(t *testing.T) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

const role = "arn:aws:iam::000000000000:role/sagemaker"

func (h *house) model(name string) {
	h.t.Helper()
	done(h.t)(h.control.CreateModel(h.t.Context(), &control.CreateModelInput{
		ModelName: &name, ExecutionRoleArn: aws.String(role),
		PrimaryContainer: &types.ContainerDefinition{
			Image: aws.String("vllm:0.11.2"), Environment: map[string]string{"SM_VLLM_ENABLE_LORA": "true", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true"},
			ModelDataSource: &types.ModelDataSource{S3DataSource: &types.S3ModelDataSource{S3Uri: aws.String("s3://models/tiny/"), S3DataType: "S3Prefix", CompressionType: "None"}},
		},
	}))
}

func baseInput(name, endpoint, model string) *control.CreateInferenceComponentInput {
	return &control.CreateInferenceComponentInput{
		InferenceComponentName: &name, EndpointName: &endpoint, VariantName: aws.String("main"),
		Specification: &types.InferenceComponentSpecification{
			ModelName:                   &model,
			ComputeResourceRequirements: &types.InferenceComponentComputeResourceRequirements{MinMemoryRequiredInMb: aws.Int32(1024), NumberOfAcceleratorDevicesRequired: aws.Float32(1)},
		},
		RuntimeConfig: &types.InferenceComponentRuntimeConfig{CopyCount: aws.Int32(1)},
	}
}

func adapterInput(name, endpoint, base, artifact string) *control.CreateInferenceComponentInput {
	return &control.CreateInferenceComponentInput{
		InferenceComponentName: &name, EndpointName: &endpoint,
		Specification: &types.InferenceComponentSpecification{
			BaseInferenceComponentName: &base, Container: &types.InferenceComponentContainerSpecification{ArtifactUrl: &artifact},
		},
	}
}

// create creates a component and waits until it has settled.
func (h *house) create(in *control.CreateInferenceComponentInput) *control.DescribeInferenceComponentOutput {
	h.t.Helper()
	done(h.t)(h.control.CreateInferenceComponent(h.t.Context(), in))
	return h.settled(*in.InferenceComponentName)
}

func (h *house) settled(name string) (out *control.DescribeInferenceComponentOutput) {
	h.t.Helper()
	h.until(name+" settled", func() bool {
		var err error
		out, err = h.control.DescribeInferenceComponent(h.t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: &name})
		return err == nil && (out.InferenceComponentStatus == "InService" || out.InferenceComponentStatus == "Failed")
	})
	return out
}

func (h *house) delete(name string) {
	h.t.Helper()
	done(h.t)(h.control.DeleteInferenceComponent(h.t.Context(), &control.DeleteInferenceComponentInput{InferenceComponentName: &name}))
	h.until(name+" gone", func() bool {
		_, err := h.control.DescribeInferenceComponent(h.t.Context(), &control.DescribeInferenceComponentInput{InferenceComponentName: &name})
		var known smithy.APIError
		return errors.As(err, &known) && strings.HasPrefix(known.ErrorMessage(), "Could not find inference component")
	})
}

// until polls; states of the control plane are only to be had by asking.
func (h *house) until(what string, so func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); {
		if time.Now().After(deadline) {
			h.t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (h *house) invoke(endpoint, component, body string) (string, error) {
	in := &runtime.InvokeEndpointInput{EndpointName: &endpoint, Body: []byte(body), ContentType: aws.String("application/json")}
	if component != "" {
		in.InferenceComponentName = &component
	}
	out, err := h.runtime.InvokeEndpoint(h.t.Context(), in)
	if err != nil {
		return "", err
	}
	return string(out.Body), nil
}

// archive packs files flat, as adapters are shipped.
func archive(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	pack := tar.NewWriter(zip)
	for name, text := range files {
		if err := pack.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(pack, text)
	}
	if err := errors.Join(pack.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// program is a container that knows adapters by name and answers as handle says. It plays no engine: the rules here are the
// control plane's and the runtime's. The real container is in real_test.go.
type program struct {
	spec   sagemaker.ContainerSpec
	handle func(w http.ResponseWriter, r *http.Request, adapter string)
	load   func(name, dir string) (status int, body string) // nil takes every adapter

	mu       sync.Mutex
	adapters []string
	closed   bool
}

func (p *program) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

func (p *program) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.adapters)
}

func (p *program) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	adapter := r.Header.Get("X-Amzn-SageMaker-Adapter-Identifier")
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/adapters":
		name := r.URL.Query().Get("name")
		if p.load != nil {
			if status, body := p.load(name, r.URL.Query().Get("src")); status != http.StatusOK {
				w.WriteHeader(status)
				io.WriteString(w, body)
				return
			}
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.adapters = append(p.adapters, name)
	case r.Method == http.MethodDelete:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.adapters = slices.DeleteFunc(p.adapters, func(name string) bool { return "/adapters/"+name == r.URL.Path })
	case adapter != "" && !slices.Contains(p.names(), adapter):
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":{"message":"The model `+"`"+adapter+"`"+` does not exist."}}`)
	case p.handle != nil:
		p.handle(w, r, adapter)
	default:
		io.WriteString(w, "base of "+p.spec.Name+", adapter "+adapter)
	}
}

// programs starts containers and remembers the last of each name.
type programs struct {
	handle func(w http.ResponseWriter, r *http.Request, adapter string)
	load   func(name, dir string) (int, string)

	mu      sync.Mutex
	running map[string]*program
}

func (p *programs) run(_ context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == nil {
		p.running = map[string]*program{}
	}
	p.running[spec.Name] = &program{spec: spec, handle: p.handle, load: p.load}
	return p.running[spec.Name], nil
}

func (p *programs) named(name string) *program {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running[name]
}
