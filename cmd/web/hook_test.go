package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loradeck/internal/hook"
)

func TestWebhookHearsOfAProvenDeployment(t *testing.T) {
	t.Parallel()
	heard := make(chan []byte, 4)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil || !strings.HasPrefix(request.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("heard %q with %v: %v", body, request.Header, err)
		}
		heard <- body
	}))
	defer receiver.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret of more than 24 bytes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, t.TempDir(), "--webhook", receiver.URL+"/in", "--webhook-secret-file", secret)
	r.until(t, "/", "Deploy sample pirate")
	r.post(t, "/samples/pirate/deploy", url.Values{"place": {"aws:000000000000:us-east-1"}, "base": {"tiny-llama-base"}})
	r.until(t, "/jobs/1", "answered 200")
	var event hook.Event
	if err := json.Unmarshal(<-heard, &event); err != nil {
		t.Fatal(err)
	}
	if event.Type != "job.done" || event.Job.Verdict != "proven" || event.Job.Component != "pirate-v1-tiny-llama-base" || event.Job.Page != r.url+"/jobs/1" {
		t.Errorf("heard %+v", event)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if len(heard) != 0 {
		t.Errorf("heard also %s", <-heard)
	}
}

func TestLinksOfEventsLeadWhereBrowsersFindTheDeck(t *testing.T) {
	t.Parallel()
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}
	for want, o := range map[string]options{
		"http://127.0.0.1:8443":     {},
		"https://deck.example:8443": {hosts: []string{"deck.example", "other.example"}, tlsCert: "c"},
		"https://deck.example":      {hosts: []string{"deck.example"}, behindProxy: true},
	} {
		if got := deckURL(o, at); got != want {
			t.Errorf("%+v: got %s, want %s", o, got, want)
		}
	}
}
