//go:build versitygw

// Package versitygw asks for a second opinion on the local platform's S3: the same requests go to it and to Versity's S3
// gateway, which others wrote from the same documentation, and their answers are compared. `make test-versitygw` gets the
// gateway. Where they differ, differences_test.go says who is right and by what.
package versitygw

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"loradeck/internal/local/s3"
)

// startOurs starts the local platform's store.
func startOurs(t *testing.T) *server {
	t.Helper()
	store, err := s3.Open(t.Context(), t.TempDir(), s3.Secrets(map[string]string{accessKey: secretKey}))
	if err != nil {
		t.Fatal(err)
	}
	listener := httptest.NewServer(store)
	t.Cleanup(func() {
		listener.Close()
		_ = store.Close()
	})
	return &server{"ours", listener.URL, listener.Client(), map[string]string{}}
}

// startTheirs starts the gateway on a directory of its own.
func startTheirs(t *testing.T) *server {
	t.Helper()
	binary := os.Getenv("VERSITYGW")
	if binary == "" {
		t.Skip("VERSITYGW names no gateway: `make test-versitygw` gets one and runs this. Nothing was compared.")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	process := exec.CommandContext(t.Context(), binary, "--quiet", "--port", address, "--access", accessKey, "--secret", secretKey, "--region", region, "posix", t.TempDir())
	process.Stdout, process.Stderr = &said, &said
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	t.Cleanup(func() {
		_ = process.Process.Kill()
		<-ended
	})
	s := &server{"versitygw", "http://" + address, &http.Client{}, map[string]string{}}
	for listens := false; !listens; {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the gateway did not start: %v\n%s", err, &said)
		default:
		}
		dialed, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
		if listens = err == nil; listens {
			_ = dialed.Close()
		}
	}
	return s
}

func TestAnswersAreAlikeOrAReasonIsGiven(t *testing.T) {
	ours, theirs := startOurs(t), startTheirs(t)
	used := map[string]bool{}
	alike, nearly, explained := 0, 0, 0
	for _, one := range steps() {
		found, err := compare(t.Context(), ours, theirs, one)
		if err != nil {
			t.Error(err)
			continue
		}
		open, everywhere := 0, true
		for fact, values := range found {
			if why, name := reason(one.name, fact); why != "" {
				used[name] = true
				everywhere = everywhere && strings.HasPrefix(name, "*")
				continue
			}
			open++
			t.Errorf("%s: %s: we and they say %s", one.name, fact, values)
		}
		switch {
		case len(found) == 0:
			alike++
		case open == 0 && everywhere:
			nearly++
		case open == 0:
			explained++
		}
	}
	for name := range differences {
		if !used[name] {
			t.Errorf("%q is listed as a difference and is none any more", name)
		}
	}
	t.Logf("%d requests: %d answered alike, %d but for fields that differ everywhere, %d different; each with its reason", len(steps()), alike, nearly, explained)
}

// compare sends a step to both and names what differs.
func compare(ctx context.Context, ours, theirs *server, one step) (map[string]string, error) {
	a, err := ours.do(ctx, one)
	if err != nil {
		return nil, err
	}
	b, err := theirs.do(ctx, one)
	if err != nil {
		return nil, err
	}
	found, err := differ(a, b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", one.name, err)
	}
	return found, nil
}

func TestStepsHaveNamesOfTheirOwn(t *testing.T) {
	var names []string
	for _, one := range steps() {
		if slices.Contains(names, one.name) {
			t.Errorf("two steps are called %q", one.name)
		}
		names = append(names, one.name)
	}
}
