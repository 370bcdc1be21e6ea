package cloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"loradeck/internal/cloud"
	"loradeck/internal/local"
	"loradeck/internal/lora"
)

// open gives the SDK's way into a local platform without a base: real client, real server.
func open(t *testing.T) *cloud.Place {
	t.Helper()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(func() {
		server.Close()
		if err := platform.Close(); err != nil {
			t.Error(err)
		}
	})
	return enter(t, server.URL)
}

func enter(t testing.TB, url string) *cloud.Place {
	t.Helper()
	place, err := cloud.Open(t.Context(), cloud.Config{Name: "local", Region: "us-east-1", Endpoint: url, AccessKey: "a", SecretKey: "b"})
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func TestAPlaceIsKnownByPartitionAccountAndRegion(t *testing.T) {
	t.Parallel()
	if got := open(t).Identity().ID; got != "aws:000000000000:us-east-1" {
		t.Errorf("got %q", got)
	}
}

func TestAPlaceThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, err := cloud.Open(t.Context(), cloud.Config{Name: "x", Region: "us-east-1", Endpoint: server.URL, AccessKey: "a", SecretKey: "b"})
	if lora.KindOf(err) != lora.Unavailable {
		t.Errorf("got %q: %v", lora.KindOf(err), err)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	place, ctx := open(t), t.Context()
	for name, look := range map[string]func() error{
		"component": func() error { _, err := place.Component(ctx, "x"); return err },
		"endpoint":  func() error { _, err := place.Endpoint(ctx, "x"); return err },
		"model":     func() error { _, err := place.Model(ctx, "x"); return err },
		"deletion":  func() error { return place.DeleteComponent(ctx, "x") },
		"object":    func() error { _, err := place.Head(ctx, cloud.ObjectRef{Bucket: "nowhere", Key: "x"}); return err },
		"text":      func() error { _, err := place.Get(ctx, cloud.ObjectRef{Bucket: "nowhere", Key: "x"}, 10); return err },
		"upload": func() error {
			_, err := place.ListParts(ctx, cloud.ObjectRef{Bucket: "nowhere", Key: "x"}, "none")
			return err
		},
	} {
		if err := look(); lora.KindOf(err) != lora.NotFound {
			t.Errorf("%s: got %q: %v", name, lora.KindOf(err), err)
		}
	}
	if endpoints, err := place.Endpoints(ctx); err != nil || len(endpoints) != 0 {
		t.Errorf("endpoints: %v, %v", endpoints, err)
	}
}

func TestAnUploadGoesOnWithThePartsThatAreThere(t *testing.T) {
	t.Parallel()
	place, ctx := open(t), t.Context()
	to := cloud.ObjectRef{Bucket: "loradeck-000000000000-us-east-1", Key: "t/a.tar.gz"}
	for range 2 { // the second finds it there
		if err := place.EnsureBucket(ctx, to.Bucket); err != nil {
			t.Fatal(err)
		}
	}
	const part = 5 << 20
	content := make([]byte, part+1000)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	id, err := place.CreateUpload(ctx, to, map[string]string{"loradeck-adapter": "pirate"})
	if err != nil {
		t.Fatal(err)
	}
	source := bytes.NewReader(content)
	if _, err := place.UploadPart(ctx, to, id, 1, io.NewSectionReader(source, 0, part)); err != nil {
		t.Fatal(err)
	}
	parts, err := place.ListParts(ctx, to, id) // as after a crash
	if err != nil || len(parts) != 1 || parts[0].Size != part || parts[0].CRC64NVME == "" {
		t.Fatalf("parts: %+v, %v", parts, err)
	}
	last, err := place.UploadPart(ctx, to, id, 2, io.NewSectionReader(source, part, 1000))
	if err != nil {
		t.Fatal(err)
	}
	if err := place.CompleteUpload(ctx, to, id, append(parts, last)); err != nil {
		t.Fatal(err)
	}
	object, err := place.Head(ctx, to)
	if err != nil || object.Size != int64(len(content)) || object.Metadata["loradeck-adapter"] != "pirate" {
		t.Errorf("object: %+v, %v", object, err)
	}
	if got, err := place.Get(ctx, to, int64(len(content))); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the object is not what was sent: %d bytes, %v", len(got), err)
	}
	if _, err := place.Get(ctx, to, part); lora.KindOf(err) != lora.TooLarge {
		t.Errorf("over the limit: %v", err)
	}
}

// recorder answers STS, every completion and every page of a list, and keeps the bodies it was sent.
type recorder struct {
	mu     sync.Mutex
	bodies []string
	pages  []string // of ListInferenceComponents
}

// ServeHTTP speaks just enough of the wire.
func (s *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case bytes.HasPrefix(body, []byte("Action=")):
		fmt.Fprint(w, `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws-cn:sts::123456789012:assumed-role/a/b</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	case strings.HasSuffix(r.Header.Get("X-Amz-Target"), "ListInferenceComponents"):
		fmt.Fprint(w, s.pages[0])
		s.pages = s.pages[1:]
	default:
		s.bodies = append(s.bodies, string(body))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"choices":[{"index":1,"text":"b","logprobs":{"top_logprobs":[{"b":-0.5,"c":null}]}},{"index":0,"text":"a","finish_reason":"length"}]}`)
	}
}

// One completion with echo and logprobs beside any other request ends the engine of vLLM 0.11.2 for every tenant
// (recordings/proof/README.md §1).
func TestNoRequestAsksForEcho(t *testing.T) {
	t.Parallel()
	server := &recorder{}
	wire := httptest.NewServer(server)
	t.Cleanup(wire.Close)
	place, ctx := enter(t, wire.URL), t.Context()
	to := lora.Target{Endpoint: "e", Component: "c"}
	answers, err := place.Complete(ctx, to, cloud.CompletionRequest{Prompts: []string{"x", "echo"}, MaxTokens: 1, Logprobs: 5})
	if err != nil || answers[0].Text != "a" || answers[1].Text != "b" || *answers[1].Top[0]["b"] != -0.5 || answers[1].Top[0]["c"] != nil {
		t.Errorf("answers: %+v, %v", answers, err)
	}
	seed := int64(1)
	for _, request := range []cloud.GenerateRequest{
		{Prompt: "x", MaxTokens: 1, Seed: &seed, TopP: 0.5}, {Messages: []cloud.Message{{Role: "user", Content: "x"}}, Temperature: 1},
	} {
		for _, err := range place.Stream(ctx, to, request) {
			if err != nil {
				break // the recorder does not stream; only what was asked matters
			}
		}
	}
	if len(server.bodies) != 3 {
		t.Fatalf("%d requests", len(server.bodies))
	}
	for _, body := range server.bodies {
		var members map[string]any
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"echo", "prompt_logprobs"} {
			if _, asked := members[bad]; asked {
				t.Errorf("asks for %s: %s", bad, body)
			}
		}
	}
	if place.Identity().ID != "aws-cn:123456789012:us-east-1" {
		t.Errorf("identity: %+v", place.Identity())
	}
}

func TestAnEmptyPageIsNotTheEndOfAList(t *testing.T) {
	t.Parallel()
	server := &recorder{pages: []string{
		`{"InferenceComponents":[{"InferenceComponentName":"a","InferenceComponentStatus":"InService"}],"NextToken":"1"}`,
		`{"InferenceComponents":[],"NextToken":"2"}`,
		`{"InferenceComponents":[{"InferenceComponentName":"b","InferenceComponentStatus":"Failed"}]}`,
	}}
	wire := httptest.NewServer(server)
	t.Cleanup(wire.Close)
	got, err := enter(t, wire.URL).Components(t.Context(), "e")
	if err != nil || len(got) != 2 || got[1].Name != "b" || got[1].Status != lora.StatusFailed {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAnswerToOtherPromptsIsRefused(t *testing.T) {
	t.Parallel()
	wire := httptest.NewServer(&recorder{})
	t.Cleanup(wire.Close)
	for _, prompts := range [][]string{{"x"}, {"x", "y", "z"}} {
		_, err := enter(t, wire.URL).Complete(context.Background(), lora.Target{Endpoint: "e", Component: "c"}, cloud.CompletionRequest{Prompts: prompts, MaxTokens: 1})
		if lora.KindOf(err) != lora.Invalid {
			t.Errorf("%d prompts: %v", len(prompts), err)
		}
	}
}
