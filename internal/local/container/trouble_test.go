package container

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loradeck/internal/local/fault"
)

func TestEchoScoringBesideAnotherRequestEndsTheEngine(t *testing.T) {
	t.Parallel()
	for version, dies := range map[string]bool{"0.11.2": true, "0.32.0": false} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			d := &double{script: says(" a", " b"), release: make(chan struct{})}
			a := startAiling(t, version, d.opener)
			server := httptest.NewServer(a)
			defer server.Close()
			a.set(t, fault.EchoKills, "tiny", 0)
			const scored = `{"prompt":"The boat","max_tokens":1,"temperature":0,"echo":true,"logprobs":1}`
			answers := make(chan reply, 2)
			ask := func(body string) { answers <- post(t, server.URL, "/invocations", "", body) }
			go ask(scored)
			d.release <- struct{}{}
			if got := <-answers; got.Status != 200 {
				t.Fatalf("alone it is answered: got %d %s", got.Status, got.Body)
			}
			go ask(theBoat)
			d.release <- struct{}{} // it computes
			go ask(scored)
			if !dies {
				close(d.release)
			}
			for range 2 {
				if got := <-answers; dies != (got.Status == 500 && strings.Contains(got.Body, engineTrouble)) {
					t.Errorf("got %d %s", got.Status, got.Body)
				}
			}
			if died := a.About().Life != "running"; died != dies {
				t.Errorf("it is %s", a.About().Life)
			}
		})
	}
}

func TestNaNAnswersAsRecorded(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.11.2", "0.27.1", "0.32.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			a := startAiling(t, version, nil)
			var want struct {
				With    []any    `json:"nan_with_logprobs"`
				Without []any    `json:"nan_without_logprobs"`
				After   [][2]any `json:"after"`
			}
			readRecording(t, version, "nan", a.dir, &want)
			a.register(t, "good", filepath.Join(a.dir, "good"))
			const plain, scored = `{"prompt":"The boat","max_tokens":4,"temperature":0}`, `{"prompt":"The boat","max_tokens":4,"temperature":0,"logprobs":1}`
			sound := a.must(t, "POST", "/invocations", "", scored)
			a.set(t, fault.NaN, "good", 3)
			matches(t, "with logprobs", a.must(t, "POST", "/invocations", "good", scored), want.With)
			var got completionAnswer
			body := a.must(t, "POST", "/invocations", "good", plain).Body
			if err := json.Unmarshal([]byte(body), &got); err != nil || got.Choices[0].Text != want.Without[0] || *got.Choices[0].FinishReason != want.Without[2] {
				t.Errorf("without: got %s, recorded %v", body, want.Without)
			}
			stream := a.must(t, "POST", "/invocations", "good", strings.TrimSuffix(scored, "}")+`,"stream":true}`)
			if stream.Status != 200 || !strings.Contains(stream.Body, `"token_logprobs":[null`) {
				t.Errorf("streamed: got %d %s", stream.Status, stream.Body)
			}
			after := a.must(t, "POST", "/invocations", "", scored)
			if wrong, spoiled := want.After[0][1].([]any)[0].(float64); spoiled { // a status where the others have a text
				if after.Status != int(wrong) {
					t.Errorf("the base's next answer: got %d %s, recorded %v", after.Status, after.Body, want.After[0])
				}
				after = a.must(t, "POST", "/invocations", "", scored)
			}
			if textOf(after) != textOf(sound) {
				t.Errorf("the base afterwards: got %s, before %s", after.Body, sound.Body)
			}
			if got := a.must(t, "POST", "/invocations", "good", scored); got.Status != 200 {
				t.Errorf("the adapter afterwards: %d %s", got.Status, got.Body)
			}
		})
	}
}

// TestAReusedNameAnswersForNeither plays what was recorded: other weights under the same name, the same long prompt.
func TestAReusedNameAnswersForNeither(t *testing.T) {
	t.Parallel()
	a := startAiling(t, Version, nil)
	var want struct {
		Good     []any `json:"sw_good"`
		Base     []any `json:"base"`
		Reloaded []any `json:"sw_reloaded_as_zero"`
		Fresh    []any `json:"same_weights_fresh_name"`
	}
	readRecording(t, Version, "prefix-cache", a.dir, &want)
	buildMenu(t, a.dir, "ok_zero_b")
	long := strings.Repeat("Ahoy! The clock be bright near the old gate, matey. ", 8) + "Ahoy! The boat"
	question := string(compact(map[string]any{"prompt": long, "temperature": 0, "max_tokens": 8, "logprobs": 1}))
	ask := func(name string) string {
		t.Helper()
		got := a.must(t, "POST", "/invocations", name, question)
		var answer struct {
			Choices []struct {
				Text     string
				Logprobs struct {
					Values []float64 `json:"token_logprobs"`
				}
			}
		}
		if err := json.Unmarshal([]byte(got.Body), &answer); got.Status != 200 || err != nil {
			t.Fatalf("%q: got %d %s", name, got.Status, got.Body)
		}
		return string(compact([]any{answer.Choices[0].Text, answer.Choices[0].Logprobs.Values}))
	}
	a.set(t, fault.StaleCache, "sw", 2)
	a.register(t, "sw", filepath.Join(a.dir, "good"))
	good, again, base := ask("sw"), ask("sw"), ask("")
	if got := a.must(t, "DELETE", "/adapters/sw", "", ""); got.Status != 200 {
		t.Fatalf("unload: %d %s", got.Status, got.Body)
	}
	zero := filepath.Join(a.dir, "menu", "ok_zero_b")
	a.register(t, "sw", zero)
	first, second := ask("sw"), ask("sw")
	a.register(t, "sw-v2", zero)
	if good != again || first != second || first == good || first == base || ask("sw-v2") != base {
		t.Errorf("good %s, base %s, reloaded %s and %s, under a fresh name %s; recorded %v, %v, %v, %v", good, base, first, second, ask("sw-v2"), want.Good, want.Base, want.Reloaded, want.Fresh)
	}
	if left := a.faults.Faults(); len(left) != 0 {
		t.Errorf("it happened twice, and %v is left", left)
	}
	if got := ask("sw"); got != base {
		t.Errorf("afterwards: got %s, want %s", got, base)
	}
}

func TestAStaleCacheGoesWithItsFault(t *testing.T) {
	t.Parallel()
	a := startAiling(t, Version, nil)
	buildMenu(t, a.dir, "ok_zero_b")
	question := string(compact(map[string]any{"prompt": strings.Repeat("Ahoy! The boat ", 20), "temperature": 0, "max_tokens": 1, "logprobs": 1}))
	ask := func(name string) string {
		t.Helper()
		got := a.must(t, "POST", "/invocations", name, question)
		_, logprobs, _ := strings.Cut(got.Body, `"token_logprobs":`)
		if got.Status != 200 || logprobs == "" {
			t.Fatalf("%q: got %d %s", name, got.Status, got.Body)
		}
		value, _, _ := strings.Cut(logprobs, "]")
		return value
	}
	a.set(t, fault.StaleCache, "sw", 0)
	a.register(t, "sw", filepath.Join(a.dir, "good"))
	ask("sw")
	if got := a.must(t, "DELETE", "/adapters/sw", "", ""); got.Status != 200 {
		t.Fatalf("unload: %d %s", got.Status, got.Body)
	}
	a.register(t, "sw", filepath.Join(a.dir, "menu", "ok_zero_b"))
	base := ask("")
	if ask("sw") == base {
		t.Fatal("the cache is not stale")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		a.faults.ReleaseAll()
		a.set(t, fault.StaleCache, "sw", 0) // from now on, as it were
		if ask("sw") == base {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what was computed before the fault was released is still there")
		}
		a.faults.ReleaseAll()
	}
}

func TestNoiseMovesEachAnswerOfItsComponentOnly(t *testing.T) {
	t.Parallel()
	a := startAiling(t, Version, nil)
	const scored = `{"prompt":"The boat","max_tokens":1,"temperature":0,"logprobs":5}`
	probe := func() string {
		t.Helper()
		got := a.must(t, "POST", "/invocations", "", scored)
		var answer struct {
			Choices []struct{ Logprobs json.RawMessage }
		}
		if err := json.Unmarshal([]byte(got.Body), &answer); got.Status != 200 || err != nil {
			t.Fatalf("got %d %s", got.Status, got.Body)
		}
		return string(answer.Choices[0].Logprobs)
	}
	quiet := probe()
	a.set(t, fault.Noise, "some-adapter", 0)
	if probe() != quiet {
		t.Error("it moves another component")
	}
	a.set(t, fault.Noise, "tiny", 2)
	first, second := probe(), probe()
	if first == quiet || second == quiet || first == second {
		t.Errorf("got %s and %s, without it %s", first, second, quiet)
	}
	if probe() != quiet {
		t.Error("it stays after its two calls")
	}
}

func TestFilesThatReallyVanishFailTheirOwnAdapterOnly(t *testing.T) {
	t.Parallel()
	a := startAiling(t, Version, nil) // two are kept
	for _, name := range []string{"a", "b", "c"} {
		dir := filepath.Join(a.dir, name)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(a.dir, "good"))); err != nil {
			t.Fatal(err)
		}
		a.register(t, name, dir)
	}
	if err := os.RemoveAll(filepath.Join(a.dir, "a")); err != nil {
		t.Fatal(err)
	}
	if got := a.must(t, "POST", "/invocations", "a", theBoat); got.Status == 200 || a.About().Life != "running" {
		t.Errorf("got %d %s, and the engine is %s: only a chosen fault ends it", got.Status, got.Body, a.About().Life)
	}
}
