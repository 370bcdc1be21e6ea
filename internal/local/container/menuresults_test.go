package container

import (
	"fmt"
	"path/filepath"
	"testing"
)

// menuResult is what the recorded server made of one adapter of the menu.
type menuResult struct {
	Name string `json:"name"`
	Note string `json:"note"`
	Load reply  `json:"load"`
	Use  []struct {
		Status   int       `json:"status"`
		Tokens   []string  `json:"tokens"`
		Logprobs []float64 `json:"logprobs"`
	} `json:"use"`
	EqualsBase bool `json:"equals_base"`
	EqualsGood bool `json:"equals_good"`

	AfterRefusal []reply `json:"use_after_refusal"` // what it answered though it had been refused
	SecondLoad   *struct {
		Status int `json:"status"`
	} `json:"second_load"` // in the words of the first
}

func readMenuResults(t *testing.T, version, dir string) []menuResult {
	t.Helper()
	var file struct {
		Results []menuResult `json:"results"`
	}
	readRecording(t, version, "menu-results", dir, &file)
	if len(file.Results) != 127 {
		t.Fatalf("%d results, the menu has 127", len(file.Results))
	}
	return file.Results
}

// post sends a JSON body, with the adapter header when adapter is not empty.
func post(t *testing.T, url, path, adapter, body string) reply {
	t.Helper()
	exchange := recorded{Name: path}
	exchange.Request.Method, exchange.Request.Path, exchange.Request.Body = "POST", path, body
	exchange.Request.Headers = map[string]string{"content-type": "application/json"}
	if adapter != "" {
		exchange.Request.Headers[adapterHeader] = adapter
	}
	return exchange.send(t, url)
}

func register(t *testing.T, url, name, src string) reply {
	t.Helper()
	return post(t, url, "/adapters", "", string(compact(map[string]string{"name": name, "src": src})))
}

func unregister(t *testing.T, url, name string) {
	t.Helper()
	exchange := recorded{Name: name}
	exchange.Request.Method, exchange.Request.Path = "DELETE", "/adapters/"+name
	if got := exchange.send(t, url); got.Status != 200 {
		t.Errorf("unregister %s: %d %s", name, got.Status, got.Body)
	}
}

// compareLoads registers every adapter of the menu: status, error type and message are the recorded ones.
func compareLoads(t *testing.T, counted *tally, dir string) {
	url := served(t, counted.version, dir, (&double{}).opener, nil)
	for _, want := range readMenuResults(t, counted.version, dir) {
		got := register(t, url, want.Name, filepath.Join(dir, "menu", want.Name))
		var diffs []string
		if got.Status != want.Load.Status || hidden(got.Body) != hidden(want.Load.Body) {
			diffs = append(diffs, fmt.Sprintf("%d %s, recorded %d %s (%s)", got.Status, got.Body, want.Load.Status, want.Load.Body, want.Note))
		}
		counted.check(t, "load/"+want.Name, diffs)
		if len(want.AfterRefusal) > 0 && got.Status >= 400 {
			counted.check(t, "refused/"+want.Name, afterRefusal(t, url, dir, want, got))
		}
		if len(diffs) > 0 && got.Status < 400 {
			t.Errorf("%s loads, and was not recorded to", want.Name)
		}
	}
}

// afterRefusal asks an adapter that was refused, and loads it again: neither goes, and both in the recorded words.
func afterRefusal(t *testing.T, url, dir string, want menuResult, refused reply) (diffs []string) {
	t.Helper()
	got := post(t, url, "/invocations", want.Name, `{"prompt": "The boat", "temperature": 0, "max_tokens": 10, "logprobs": 2}`)
	if got.Status != want.AfterRefusal[0].Status || hidden(got.Body) != hidden(want.AfterRefusal[0].Body) {
		diffs = append(diffs, fmt.Sprintf("asked after it was refused: %d %s, recorded %d %s", got.Status, got.Body, want.AfterRefusal[0].Status, want.AfterRefusal[0].Body))
	}
	again := register(t, url, want.Name, filepath.Join(dir, "menu", want.Name))
	if again.Status != want.SecondLoad.Status || hidden(again.Body) != hidden(refused.Body) {
		diffs = append(diffs, fmt.Sprintf("loaded again: %d %s, recorded %d as the first time", again.Status, again.Body, want.SecondLoad.Status))
	}
	return diffs
}
