package local_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/local/sagemaker"
)

// operate calls a control plane operation, decodes a good answer into out unless that is nil, and reports whether it was good.
func operate(t *testing.T, h http.Handler, operation, input string, out any) bool {
	t.Helper()
	status, _, body := send(t, h, "POST", "/", input, "Authorization", signed("sagemaker"), "X-Amz-Target", "SageMaker."+operation)
	if status == 200 && out != nil {
		if err := json.Unmarshal([]byte(body), out); err != nil {
			t.Fatalf("%s: %s: %v", operation, body, err)
		}
	}
	return status == 200
}

// eventually waits until something that comes by itself is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// serving waits until the demo base is InService and answers.
func serving(t *testing.T, h http.Handler) {
	t.Helper()
	eventually(t, "tiny-llama-base InService", func() bool {
		var out struct{ InferenceComponentStatus, FailureReason string }
		if operate(t, h, "DescribeInferenceComponent", `{"InferenceComponentName":"tiny-llama-base"}`, &out) && out.InferenceComponentStatus == "Failed" {
			t.Fatalf("the demo base failed: %s", out.FailureReason)
		}
		return out.InferenceComponentStatus == "InService"
	})
	status, _, body := send(t, h, "POST", "/endpoints/local/invocations", `{"prompt":"What does a cow say?","max_tokens":3,"temperature":0}`,
		"Authorization", signed("sagemaker"), "Content-Type", "application/json", "X-Amzn-Sagemaker-Inference-Component", "tiny-llama-base")
	if status != 200 || !strings.Contains(body, `"text_completion"`) {
		t.Fatalf("invoke the demo base: got %d %s, want a completion", status, body)
	}
	_, _, state := send(t, h, "GET", "/_local/state", "")
	for _, part := range []string{
		`"containers":[{"component":"tiny-llama-base","adapters":[],"version":"0.11.2","life":"running"`,
		`"components":[{"name":"tiny-llama-base","endpoint":"local","status":"InService","held":true}]`,
	} {
		if !strings.Contains(state, part) {
			t.Errorf("state: got %s, want it to hold %s", state, part)
		}
	}
}

func TestNewPlatformServesTheDemoBaseAndStillDoesAfterARestart(t *testing.T) {
	t.Parallel()
	for _, region := range []string{"us-east-1", "eu-central-1"} {
		t.Run(region, func(t *testing.T) {
			t.Parallel()
			config := local.Config{Dir: t.TempDir(), Account: "123456789012", Region: region, Demo: demo.Base(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
			for range 2 {
				s, err := local.Open(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Provision(t.Context()); err != nil {
					t.Error(err)
				}
				serving(t, s)
				if _, _, body := send(t, s, "GET", "/loradeck-models-123456789012-"+region+"?list-type=2", "", "Authorization", signed("s3")); !strings.Contains(body, "<Key>tiny-llama/config.json</Key>") {
					t.Errorf("bucket: got %s, want the base's files", body)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestWhatTheUserTakesDownStaysDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, demo.Base())
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(t, s)
	const component, endpoint = `{"InferenceComponentName":"tiny-llama-base"}`, `{"EndpointName":"local"}`
	if !operate(t, s, "DeleteInferenceComponent", component, nil) {
		t.Fatal("delete the component: refused")
	}
	eventually(t, "component deleted", func() bool { return !operate(t, s, "DescribeInferenceComponent", component, nil) })
	if !operate(t, s, "DeleteEndpoint", endpoint, nil) {
		t.Fatal("delete the endpoint: refused")
	}
	eventually(t, "endpoint deleted", func() bool { return !operate(t, s, "DescribeEndpoint", endpoint, nil) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, demo.Base())
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Endpoints []struct{ EndpointName string }
	}
	if !operate(t, s, "ListEndpoints", `{}`, &list) || len(list.Endpoints) > 0 {
		t.Errorf("after the next start: got endpoints %v, want none", list.Endpoints)
	}
}

func TestInterruptedProvisioningGoesOnAtTheNextStart(t *testing.T) {
	t.Parallel()
	config := local.Config{Dir: t.TempDir(), Account: account, Region: region, Demo: demo.Base(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Pace: sagemaker.Steady(time.Hour)}
	s, err := local.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Provision(ctx) }()
	eventually(t, "endpoint being created", func() bool { return operate(t, s, "DescribeEndpoint", `{"EndpointName":"local"}`, nil) })
	stop()
	if err := <-ended; err == nil {
		t.Error("an interrupted provisioning: got no error")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, config.Dir, config.Demo)
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(t, s)
}

func TestDataFolderHasOnePlatform(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, nil)
	if s, err := local.Open(t.Context(), local.Config{Dir: dir, Account: account, Region: region, Log: slog.New(slog.DiscardHandler)}); err == nil {
		s.Close()
		t.Error("a second platform on the same folder: got no error")
	}
}

func TestStateTellsWhatIsInServiceButNotHeld(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), demo.Base())
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(t, s)
	const adapter = `{"InferenceComponentName":"ghost","EndpointName":"local","Specification":{"BaseInferenceComponentName":"tiny-llama-base",
		"Container":{"ArtifactUrl":"s3://loradeck-models-000000000000-us-east-1/no-such.tar.gz"}}}`
	if !operate(t, s, "CreateInferenceComponent", adapter, nil) {
		t.Fatal("create an adapter whose artifact is not there: refused")
	}
	eventually(t, "ghost InService", func() bool {
		var out struct{ InferenceComponentStatus string }
		operate(t, s, "DescribeInferenceComponent", `{"InferenceComponentName":"ghost"}`, &out)
		return out.InferenceComponentStatus == "InService"
	})
	_, _, state := send(t, s, "GET", "/_local/state", "")
	if want := `{"name":"ghost","endpoint":"local","status":"InService","held":false,"base":"tiny-llama-base"}`; !strings.Contains(state, want) {
		t.Errorf("state: got %s, want it to hold %s", state, want)
	}
}

func TestStateTellsWhatNoCopyRunsOf(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), demo.Base())
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(t, s)
	settled := func(name string) func() bool {
		return func() bool {
			var out struct{ InferenceComponentStatus string }
			operate(t, s, "DescribeInferenceComponent", `{"InferenceComponentName":"`+name+`"}`, &out)
			return out.InferenceComponentStatus == "InService"
		}
	}
	if !operate(t, s, "CreateInferenceComponent", `{"InferenceComponentName":"waiting","EndpointName":"local","Specification":{"BaseInferenceComponentName":"tiny-llama-base",
		"Container":{"ArtifactUrl":"s3://loradeck-models-000000000000-us-east-1/no-such.tar.gz"}}}`, nil) {
		t.Fatal("create an adapter: refused")
	}
	eventually(t, "waiting InService", settled("waiting"))
	if !operate(t, s, "UpdateInferenceComponentRuntimeConfig", `{"InferenceComponentName":"tiny-llama-base","DesiredRuntimeConfig":{"CopyCount":0}}`, nil) {
		t.Fatal("scale to nothing: refused")
	}
	eventually(t, "the base has no copies", settled("tiny-llama-base"))
	_, _, state := send(t, s, "GET", "/_local/state", "")
	for name, base := range map[string]string{"tiny-llama-base": "", "waiting": `,"base":"tiny-llama-base"`} {
		if want := `{"name":"` + name + `","endpoint":"local","status":"InService","held":false,"idle":true` + base + `}`; !strings.Contains(state, want) {
			t.Errorf("state: got %s, want it to hold %s", state, want)
		}
	}
}
