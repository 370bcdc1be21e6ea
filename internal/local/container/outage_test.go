package container

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"loradeck/internal/local/fault"
)

// ailing is a container of the recorded server with faults to set, called without a network: its clock is the test's own.
type ailing struct {
	*Container
	faults *fault.Registry
	dir    string
}

func startAiling(t *testing.T, version string, open Opener) ailing {
	t.Helper()
	a := ailing{faults: &fault.Registry{}, dir: unpackData(t)}
	c, err := Start(t.Context(), Config{
		ModelDir: filepath.Join(a.dir, "base"), Name: "tiny", Version: version, Environment: recordedEnvironment(), Faults: a.faults, Open: open,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	a.Container = c
	return a
}

// call answers a request; refused is that nobody listens.
func (a ailing) call(t *testing.T, method, path, adapter, body string) (got reply, refused bool) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if adapter != "" {
		r.Header.Set(adapterHeader, adapter)
	}
	w := httptest.NewRecorder()
	defer func() {
		if cause := recover(); cause != nil {
			if cause != http.ErrAbortHandler {
				panic(cause)
			}
			refused = true
		}
	}()
	a.ServeHTTP(w, r)
	return reply{Status: w.Code, Headers: map[string]string{"content-type": w.Header().Get("Content-Type")}, Body: w.Body.String()}, false
}

// must answers a request to a server that listens.
func (a ailing) must(t *testing.T, method, path, adapter, body string) reply {
	t.Helper()
	got, refused := a.call(t, method, path, adapter, body)
	if refused {
		t.Fatalf("%s %s is refused a connection", method, path)
	}
	return got
}

func (a ailing) set(t *testing.T, kind fault.Kind, resource string, calls int) {
	t.Helper()
	if _, err := a.faults.Set(kind, resource, calls); err != nil {
		t.Fatal(err)
	}
}

func (a ailing) register(t *testing.T, name, src string) {
	t.Helper()
	if got := a.must(t, "POST", "/adapters", "", string(compact(map[string]string{"name": name, "src": src}))); got.Status != 200 {
		t.Fatalf("register %s: %d %s", name, got.Status, got.Body)
	}
}

// theBoat is the recorder's question.
const theBoat = `{"prompt":"The boat","max_tokens":4,"temperature":0}`

// listed are the names that /v1/models has.
func (a ailing) listed(t *testing.T) string {
	t.Helper()
	var list modelList
	if err := json.Unmarshal([]byte(a.must(t, "GET", "/v1/models", "", "").Body), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	return strings.Join(names, " ")
}

// recordedDeath is what was recorded while an engine was dead.
type recordedDeath struct {
	Evicted []json.RawMessage `json:"vanished_files_evicted"`
	After   struct {
		Base     []any    `json:"base"`
		Other    []any    `json:"other"`
		Register []any    `json:"register"`
		Health   int      `json:"health"`
		Stream   []any    `json:"stream"`
		Listed   []string `json:"listed"`
	} `json:"vanished_after"`
}

// matches holds an answer to a recorded one: its status, then its body among the rest.
func matches(t *testing.T, what string, got reply, want []any) {
	t.Helper()
	body := ""
	for _, part := range want[1:] {
		if text, isText := part.(string); isText {
			body = text
		}
	}
	if got.Status != int(want[0].(float64)) || got.Body != body {
		t.Errorf("%s: got %d %s, recorded %v", what, got.Status, got.Body, want)
	}
}

func TestADeadEngineAnswersAsRecorded(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.EngineCrash, fault.VanishedFiles} {
		for _, version := range []string{"0.11.2", "0.27.1", "0.32.0"} {
			t.Run(string(kind)+" "+version, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { compareDeath(t, version, kind) })
			})
		}
	}
}

func compareDeath(t *testing.T, version string, kind fault.Kind) {
	a := startAiling(t, version, nil)
	var want recordedDeath
	readRecording(t, version, "behaviour", a.dir, &want)
	good := filepath.Join(a.dir, "good")
	a.register(t, "e0", good)
	a.register(t, "e1", good)
	before := a.must(t, "POST", "/invocations", "", theBoat)
	a.set(t, kind, "e1", 1)
	if got := a.must(t, "POST", "/invocations", "e0", theBoat); got.Status != 200 {
		t.Fatalf("the other adapter: %d %s", got.Status, got.Body)
	}
	var first []any
	if err := json.Unmarshal(want.Evicted[0], &first); err != nil {
		t.Fatal(err)
	}
	matches(t, "the one that kills", a.must(t, "POST", "/invocations", "e1", theBoat), first)
	matches(t, "base", a.must(t, "POST", "/invocations", "", theBoat), want.After.Base)
	matches(t, "other", a.must(t, "POST", "/invocations", "e0", theBoat), want.After.Other)
	matches(t, "register", a.must(t, "POST", "/adapters", "", string(compact(map[string]string{"name": "new", "src": good}))), want.After.Register)
	stream := a.must(t, "POST", "/invocations", "", strings.TrimSuffix(theBoat, "}")+`,"stream":true}`)
	if matches(t, "stream", stream, want.After.Stream); stream.Headers["content-type"] != "application/json" {
		t.Errorf("a dead engine's stream is %s", stream.Headers["content-type"])
	}
	for _, path := range []string{"/ping", "/health"} {
		if got := a.must(t, "GET", path, "", ""); got.Status != want.After.Health {
			t.Errorf("%s: got %d, recorded %d", path, got.Status, want.After.Health)
		}
	}
	if got := a.listed(t); got != modelPath+" e0 e1" || want.After.Listed[1] != "e0" && want.After.Listed[len(want.After.Listed)-1] != "e4" {
		t.Errorf("dying it lists %s, recorded %v", got, want.After.Listed)
	}
	if len(a.faults.Faults()) != 0 {
		t.Errorf("set for one call, and %v is left", a.faults.Faults())
	}
	time.Sleep(RecordedOutage(version).Dying)
	synctest.Wait()
	if _, refused := a.call(t, "GET", "/ping", "", ""); !refused || a.About().Life != "down" {
		t.Errorf("its process has ended, and it answers; it is %s", a.About().Life)
	}
	time.Sleep(RecordedOutage(version).Down)
	synctest.Wait()
	if got := a.must(t, "POST", "/invocations", "", theBoat); got.Status != 200 || textOf(got) != textOf(before) {
		t.Errorf("back again: %d %s, before %s", got.Status, got.Body, before.Body)
	}
}

func TestARestartedEngineHasForgottenItsAdapters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := startAiling(t, Version, nil)
		var want struct {
			First    []any            `json:"use_a_after_its_files_are_gone"`
			Timeline [][2]any         `json:"ping_timeline_s"`
			Models   []string         `json:"models_after_restart"`
			Use      map[string][]any `json:"use_after_restart"`
			Delete   []int            `json:"delete_after_restart"`
		}
		readRecording(t, Version, "crash-and-restart", a.dir, &want)
		good := filepath.Join(a.dir, "good")
		a.register(t, "a", good)
		a.register(t, "b", good)
		a.set(t, fault.EngineCrash, "tiny", 1) // the base: whoever is asked
		start := time.Now()
		matches(t, "the one that kills", a.must(t, "POST", "/invocations", "a", theBoat), want.First)
		for _, point := range want.Timeline {
			at := time.Duration(point[0].(float64) * float64(time.Second))
			time.Sleep(at - time.Since(start))
			synctest.Wait()
			got, refused := a.call(t, "GET", "/ping", "", "")
			if status, isStatus := point[1].(float64); refused == isStatus || isStatus && got.Status != int(status) {
				t.Errorf("after %s: got %d, refused %v, recorded %v", at, got.Status, refused, point[1])
			}
		}
		if got := a.listed(t); got != strings.Join(want.Models, " ") {
			t.Errorf("it lists %s, recorded %v", got, want.Models)
		}
		if about := a.About(); !about.Died.Equal(start) || !slices.Equal(about.Lost, []string{"a", "b"}) {
			t.Errorf("it died at %s and lost %v", about.Died, about.Lost)
		}
		matches(t, "a", a.must(t, "POST", "/invocations", "a", theBoat), want.Use["a"])
		matches(t, "b", a.must(t, "POST", "/invocations", "b", theBoat), want.Use["b"])
		if got := a.must(t, "DELETE", "/adapters/b", "", ""); got.Status != want.Delete[0] {
			t.Errorf("delete: got %d, recorded %d", got.Status, want.Delete[0])
		}
		if about := a.About(); !slices.Equal(about.Lost, []string{"a"}) {
			t.Errorf("told to forget b, it has lost %v", about.Lost)
		}
		if body := a.must(t, "GET", "/metrics", "", "").Body; !strings.Contains(body, `vllm:request_success_total{engine="0",finished_reason="length",model_name="/opt/ml/model"} 0.0`) {
			t.Error("a new process has counted already")
		}
		a.register(t, "a", good)
		if got := a.must(t, "POST", "/invocations", "a", theBoat); got.Status != 200 {
			t.Errorf("registered again: %d %s", got.Status, got.Body)
		}
		if about := a.About(); len(about.Lost) > 0 {
			t.Errorf("given a again, it has lost %v", about.Lost)
		}
	})
}

// TestAnEngineComesBackOnceItsStaticAdaptersCanBeRead has two of them, so that one is loaded when the other is not.
func TestAnEngineComesBackOnceItsStaticAdaptersCanBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const version = "0.27.1" // 0.11.2's image takes one only
		a := ailing{faults: &fault.Registry{}, dir: unpackData(t)}
		first, second := filepath.Join(a.dir, "good"), filepath.Join(a.dir, "second")
		if err := os.CopyFS(second, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		environment := recordedEnvironment()
		environment["SM_VLLM_LORA_MODULES"] = `[{"name":"first","path":"` + first + `"},{"name":"second","path":"` + second + `"}]`
		c, err := Start(t.Context(), Config{ModelDir: filepath.Join(a.dir, "base"), Name: "tiny", Version: version, Environment: environment, Faults: a.faults})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a.Container = c
		if err := os.Rename(second, second+"-gone"); err != nil {
			t.Fatal(err)
		}
		a.set(t, fault.EngineCrash, "", 1)
		a.must(t, "POST", "/invocations", "", theBoat)
		out := RecordedOutage(version)
		time.Sleep(out.Dying + out.Down)
		synctest.Wait()
		if life := a.About().Life; life != "down" {
			t.Errorf("without the files of a static adapter it is %s", life)
		}
		if err := os.Rename(second+"-gone", second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(out.Down)
		synctest.Wait()
		if life := a.About().Life; life != "running" {
			t.Fatalf("with them again it is %s", life)
		}
		if got := a.listed(t); got != modelPath+" first second" {
			t.Errorf("it lists %s", got)
		}
	})
}

func TestClosingDoesNotWaitForAnEngineToComeBack(t *testing.T) {
	t.Parallel()
	a := startAiling(t, Version, nil)
	a.set(t, fault.EngineCrash, "", 1)
	a.must(t, "POST", "/invocations", "", theBoat)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestAnEngineThatDiesEndsWhatItComputes(t *testing.T) {
	t.Parallel()
	d := &double{script: says(" a", " b"), release: make(chan struct{})}
	a := startAiling(t, Version, d.opener)
	server := httptest.NewServer(a)
	defer server.Close()
	answers := make(chan reply)
	go func() { answers <- post(t, server.URL, "/invocations", "", theBoat) }()
	d.release <- struct{}{} // it computes
	a.set(t, fault.EngineCrash, "", 1)
	post(t, server.URL, "/invocations", "", theBoat)
	if got := <-answers; got.Status != 500 || !strings.Contains(got.Body, engineTrouble) {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
}
