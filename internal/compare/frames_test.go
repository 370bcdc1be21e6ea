package compare_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/local"
	"loradeck/internal/local/demo"
)

// served gives a bench whose place is a local platform with its demo base, and the platform's address.
func served(t *testing.T) (b *bench, address string) {
	t.Helper()
	ctx := context.Background()
	platform, err := local.Open(ctx, local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Demo: demo.Base()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platform)
	t.Cleanup(func() {
		server.Close()
		platform.Close()
	})
	if err := platform.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	place, err := cloud.Open(ctx, cloud.Config{Name: "local", Region: "us-east-1", Endpoint: server.URL, AccessKey: "a", SecretKey: "b"})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if base, err := place.Component(ctx, "tiny-llama-base"); err == nil && base.Status == "InService" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the base is %s, %v", base.Status, err)
		}
	}
	b = newBench(t)
	b.board.Close()
	err = b.db.Write(ctx, func(q *db.Queries) error {
		return q.PutComponent(ctx, db.PutComponentParams{PlaceID: "p", Name: "tiny-llama-base", ARN: "arn:tiny", Endpoint: "local", Status: "InService", Environment: "{}", Tags: "{}", CreatedAt: 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.speaker = place
	b.open()
	return b, server.URL
}

// fault sets a fault of the platform until it is released, and gives what releases all.
func fault(t *testing.T, address, kind string) (release func()) {
	t.Helper()
	send := func(method, body string, want int) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address+"/_local/faults", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Fatalf("%s %s: %s", method, body, answer.Status)
		}
	}
	send(http.MethodPost, `{"kind":"`+kind+`","resource":"tiny-llama-base"}`, http.StatusCreated)
	return func() { send(http.MethodDelete, "", http.StatusNoContent) }
}

// TestAnAnswerIsWholeHoweverItsStreamIsCut asks the same with other seeds, which without temperature change nothing but where
// the platform cuts.
func TestAnAnswerIsWholeHoweverItsStreamIsCut(t *testing.T) {
	t.Parallel()
	b, address := served(t)
	ask := func(seed int64) compare.Pane {
		t.Helper()
		id := b.start(compare.Request{PlaceID: "p", Base: "tiny-llama-base", Chat: true, Prompt: "法国的首都是哪里？", MaxTokens: 32, TopP: 1, Seed: &seed})
		return b.until(id, "it ends", ended).Panes[0]
	}
	want := ask(0)
	if want.State != compare.Done || want.Text == "" || want.Finish == "" || want.TokensOut < 1 || len(want.Text) == len([]rune(want.Text)) {
		t.Fatalf("uncut: %+v", want)
	}
	release := fault(t, address, "cut-frames")
	for seed := range int64(24) {
		if got := ask(seed); got.State != want.State || got.Text != want.Text || got.Finish != want.Finish || got.TokensIn != want.TokensIn || got.TokensOut != want.TokensOut {
			t.Errorf("cut with seed %d: got %+v, want %+v", seed, got, want)
		}
	}
	release()
	for kind, says := range map[string]string{
		"stream-broken":      "The answer broke off: the connection to the model's server was lost. Ask again.",
		"stream-timeout":     "The answer broke off: it took longer than SageMaker lets a stream take. Ask for fewer tokens.",
		"stream-failure":     "Try again in a moment.",
		"invoke-unavailable": "Try again in a moment.",
	} {
		release := fault(t, address, kind)
		if got := ask(0); got.State != compare.Failed || !strings.HasSuffix(got.Trouble, says) {
			t.Errorf("%s: got %s and %q, want %q", kind, got.State, got.Trouble, says)
		}
		release()
	}
}
