package container

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnUnloadedAdapterFinishesItsAnswers takes an adapter away in the middle of a stream: the answer goes on to its end in the
// adapter's words, as recorded (behaviour.json, unload_during_generation), and only the next request does not know it.
func TestAnUnloadedAdapterFinishesItsAnswers(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	server := httptest.NewServer(startRecorded(t, dir, nil, nil))
	defer server.Close()
	register(t, server.URL, "m1", filepath.Join(dir, "good"))
	const question = `{"prompt": "The boat", "temperature": 0, "max_tokens": 200, "ignore_eos": true, "stream": true}`
	ask := func(meanwhile func()) string {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/invocations", strings.NewReader(question))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(adapterHeader, "m1")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		lines := bufio.NewReader(response.Body)
		first, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		meanwhile()
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		events, err := readEvents(first + string(rest))
		if err != nil {
			t.Fatal(err)
		}
		return events.texts["0"]
	}
	whole := ask(func() {})
	if cut := ask(func() { unregister(t, server.URL, "m1") }); cut != whole || whole == "" {
		t.Errorf("unloaded meanwhile it says %q, else %q", cut, whole)
	}
	if got := post(t, server.URL, "/invocations", "m1", question); got.Status != 404 {
		t.Errorf("after it was unloaded: %d %s", got.Status, got.Body)
	}
}
