package jobs_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
	"loradeck/internal/plan"
)

// ear hears what the platform is told and a plan speaks of: by operation, the input of each request.
type ear struct {
	mu    sync.Mutex // guards heard
	heard map[string][]any
}

func (h *house) listen() *ear {
	e := &ear{heard: map[string][]any{}}
	h.holding(e.hear)
	return e
}

func (e *ear) hear(r *http.Request, body []byte) {
	_, operation, control := strings.Cut(r.Header.Get("X-Amz-Target"), "SageMaker.")
	endpoint, runtime := strings.CutSuffix(r.URL.Path, "/invocations")
	switch {
	case control:
		e.add(operation, decoded(body))
	case runtime:
		input := map[string]any{
			"EndpointName": strings.TrimPrefix(endpoint, "/endpoints/"), "InferenceComponentName": r.Header.Get("X-Amzn-Sagemaker-Inference-Component"),
			"ContentType": r.Header.Get("Content-Type"), "Accept": r.Header.Get("Accept"), "Body": decoded(body),
		}
		if asked, isMap := input["Body"].(map[string]any); isMap && asked["logprobs"] != nil {
			e.add("InvokeEndpoint", input)
		}
	case begins(r):
		metadata := map[string]any{}
		for name := range r.Header {
			if key, is := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-"); is {
				metadata[key] = r.Header.Get(name)
			}
		}
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		e.add("UploadFile", map[string]any{
			"Bucket": bucket, "Key": key, "ExtraArgs": map[string]any{"ContentType": r.Header.Get("Content-Type"), "Metadata": metadata},
		})
	}
}

// begins reports whether a request puts an object or begins an upload in parts: with it go the content type and the metadata.
func begins(r *http.Request) bool {
	query, err := url.ParseQuery(r.URL.RawQuery)
	object := strings.Count(r.URL.Path, "/") > 1
	return err == nil && object && (r.Method == http.MethodPut && !query.Has("partNumber") || r.Method == http.MethodPost && query.Has("uploads"))
}

func decoded(text []byte) any {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return string(text)
	}
	return v
}

func (e *ear) add(operation string, input any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[operation] = append(e.heard[operation], input)
}

// check holds what was heard against a plan: each call must have been said just so. What was heard more often, like the
// rounds of a proof, may differ in its prompts only.
func (e *ear) check(t *testing.T, calls []plan.Call) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, call := range calls {
		want := decoded([]byte(call.Input.JSON())).(map[string]any)
		delete(want, "Filename") // a name on the reader's disk
		if body, is := want["Body"].(string); is {
			want["Body"] = decoded([]byte(body))
		}
		said := false
		var closest string
		for _, got := range e.heard[call.Operation] {
			diff := cmp.Diff(want, got, cmp.FilterPath(isPrompt, cmp.Ignore()))
			said = said || diff == ""
			if closest == "" {
				closest = diff
			}
		}
		if !said {
			t.Errorf("%s was said %d times and never as planned: %s", call.Operation, len(e.heard[call.Operation]), closest)
		}
	}
}

func isPrompt(path cmp.Path) bool {
	return strings.Contains(path.GoString(), `["prompt"]`)
}

// deployed ships the sample and gives what its job wished for.
func (h *house) deployed() plan.Shipment {
	h.t.Helper()
	ctx := context.Background()
	job, err := h.jobs.Ship(ctx, pirate(), h.id(), base)
	if err != nil {
		h.t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		h.t.Fatalf("deploy: %s, %s", job.State, job.Reason)
	}
	var args struct {
		Version   int64
		Mark      string
		Component string
	}
	if err := json.Unmarshal([]byte(job.Args), &args); err != nil {
		h.t.Fatal(err)
	}
	version, err := h.db.Read().Version(ctx, args.Version)
	if err != nil {
		h.t.Fatal(err)
	}
	return plan.Shipment{
		Tenant: "default", Adapter: "pirate", Version: 1, Digest: version.Digest, Mark: args.Mark, Bucket: "artifacts-of-a-test",
		Key: plan.ArtifactKey("default", version.ArchiveDigest), Endpoint: "local", Base: base, Component: args.Component,
	}
}

func TestAJobSaysWhatThePlanSays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	deploying := h.listen()
	shipment := h.deployed()
	deploying.check(t, plan.Deploy(shipment))
	h.look()

	removing := h.listen()
	removal, err := h.jobs.Remove(context.Background(), h.id(), shipment.Component)
	if err != nil {
		t.Fatal(err)
	}
	if removal = h.ended(removal.ID); removal.State != lora.JobDone {
		t.Fatalf("removal: %s, %s", removal.State, removal.Reason)
	}
	removing.check(t, plan.Remove(shipment.Component))
}

// The two texts are run as a reader would run them, by the real boto3 and the real AWS CLI.
func TestTheTwinsSayWhatTheJobSays(t *testing.T) {
	t.Parallel()
	twins := map[string]struct {
		there []string // a command that succeeds where the twin can run
		run   []string
		text  func(lora.Place, []plan.Call) string
	}{
		"boto3":   {[]string{"python3", "-c", "import boto3"}, []string{"python3", "-"}, plan.Boto3},
		"AWS CLI": {[]string{"aws", "--version"}, []string{"sh", "-"}, plan.CLI},
	}
	for name, twin := range twins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := exec.Command(twin.there[0], twin.there[1:]...).Run(); err != nil {
				t.Skipf("%s is not here to run its text (%v)", name, err)
			}
			h := newHouse(t)
			h.run()
			shipment := h.deployed()
			dir := t.TempDir()
			h.saveArchive(shipment, dir)
			shipment.Component = "twin"
			calls := append(plan.Deploy(shipment), plan.Remove(shipment.Component)...)
			heard := h.listen()
			run := exec.Command(twin.run[0], twin.run[1:]...)
			run.Dir = dir
			run.Stdin = strings.NewReader(twin.text(h.place.Identity(), calls))
			run.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
			out, err := run.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if answers := strings.Count(string(out), `"top_logprobs"`); answers != 2 {
				t.Errorf("%d answers, want that of the base and that of the adapter:\n%s", answers, out)
			}
			heard.check(t, calls)
			if _, err := h.place.Component(context.Background(), shipment.Component); lora.KindOf(err) != lora.NotFound {
				t.Errorf("after the last call: %v", err)
			}
		})
	}
}

// saveArchive writes a version's archive where the texts look for it.
func (h *house) saveArchive(s plan.Shipment, dir string) {
	h.t.Helper()
	digest := strings.TrimSuffix(filepath.Base(s.Key), ".tar.gz")
	archive, err := h.spool.Archive(digest)
	if err != nil {
		h.t.Fatal(err)
	}
	defer archive.Close()
	text, err := io.ReadAll(archive)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, plan.Deploy(s)[0].Input.Text("Filename")), text, 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}
