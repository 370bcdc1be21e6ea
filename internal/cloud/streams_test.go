package cloud_test

import (
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

// The panes of a comparison stream at once, from one place. Under the race detector this finds buffers that streams share.
func TestStreamsOfOnePlaceDoNotMix(t *testing.T) {
	t.Parallel()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1", Demo: demo.Base()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { platform.Close() })
	server := httptest.NewServer(platform)
	t.Cleanup(server.Close)
	if err := platform.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	place := enter(t, server.URL)
	to := lora.Target{Endpoint: "local", Component: "tiny-llama-base"}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if base, err := place.Component(t.Context(), to.Component); err == nil && base.Status == lora.StatusInService {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the base is %s, %v", base.Status, err)
		}
	}
	questions := []string{"What is the capital of France?", "What does a cow say?"}
	alone := map[string]string{}
	for _, question := range questions {
		alone[question] = answer(t, place, to, question)
	}
	var streams sync.WaitGroup
	for n := range 12 {
		question := questions[n%len(questions)]
		streams.Go(func() {
			if got := answer(t, place, to, question); got != alone[question] || got == "" {
				t.Errorf("%s: got %q beside others, %q alone", question, got, alone[question])
			}
		})
	}
	streams.Wait()
}

func answer(t *testing.T, place *cloud.Place, to lora.Target, question string) string {
	t.Helper()
	text, err := place.Generate(t.Context(), to, cloud.GenerateRequest{Messages: []cloud.Message{{Role: "user", Content: question}}, MaxTokens: 32})
	if err != nil {
		t.Errorf("%s: %v", question, err)
	}
	return text
}
