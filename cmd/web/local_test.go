package main

import (
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
)

func TestLocalPlatformIsCalledByAnAddressItAnswersOn(t *testing.T) {
	t.Parallel()
	names := []string{"deck.example.com"}
	tests := []struct {
		listening, flag, url string
		hosts                []string
	}{
		{"127.0.0.1:8090", "127.0.0.1:8090", "http://127.0.0.1:8090", nil},
		{"[::1]:8090", "[::1]:8090", "http://[::1]:8090", nil},
		{"0.0.0.0:8090", "0.0.0.0:8090", "http://127.0.0.1:8090", names},
		{"[::]:8090", ":8090", "http://127.0.0.1:8090", names},
		{"192.0.2.7:8090", "GPU.lan:8090", "http://192.0.2.7:8090", append(slices.Clone(names), "192.0.2.7", "gpu.lan")},
	}
	for _, test := range tests {
		at, err := net.ResolveTCPAddr("tcp", test.listening)
		if err != nil {
			t.Fatal(err)
		}
		url, hosts := reach(at, options{localAddr: test.flag, hosts: names})
		if url != test.url || !slices.Equal(hosts, test.hosts) {
			t.Errorf("listening on %s: got %s %v, want %s %v", test.listening, url, hosts, test.url, test.hosts)
		}
	}
}

func TestLocalPlatformAnswersAtItsURL(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"local", "--local-addr", "127.0.0.1:0", "--data", t.TempDir()}, none)
	if err != nil {
		t.Fatal(err)
	}
	platform, err := startLocal(t.Context(), o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(platform.stop)
	answer, err := http.Get(platform.url + "/_local/state")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s answers %s", platform.url, answer.Status)
	}
}
