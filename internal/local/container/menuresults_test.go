package container

import (
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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
}

// knownLoads are the adapters whose registration is answered otherwise on purpose, and why.
var knownLoads = map[string]string{
	"a11_bin_good":              "pickles are never read here.",
	"a11_pt_good":               "pickles are never read here.",
	"a11_bin_pickle":            "pickles are never read here, so the words of the unpickler are not said.",
	"a11_bin_garbage":           "pickles are never read here, so the words of the unpickler are not said.",
	"a11_bin_module_not_in_cfg": "pickles are never read here.",
	"a17_embed_ok":              "the engine applies no LoRA to embed_tokens.",
	"a17_embed_wrong_vocab":     "the engine applies no LoRA to embed_tokens.",
	"a17_lm_head_ok":            "the engine applies no LoRA to lm_head.",
	"a17_lm_head_bigger":        "the engine applies no LoRA to lm_head.",
}

func readMenuResults(t *testing.T, dir string) []menuResult {
	t.Helper()
	var file struct {
		Results []menuResult `json:"results"`
	}
	readRecording(t, "menu-results", dir, &file)
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

// sets are Python's lists made from sets: their order says nothing.
var sets = regexp.MustCompile(`expected target modules in (\[[^\]]*\])`)

func sorted(message string) string {
	return sets.ReplaceAllStringFunc(message, func(list string) string {
		names := strings.Fields(strings.Trim(strings.TrimPrefix(list, "expected target modules in "), "[]"))
		for i := range names {
			names[i] = strings.Trim(names[i], ",")
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	})
}

// TestAdaptersLoadAsRecorded registers every adapter of the menu: status, error type and message are the recorded ones.
func TestAdaptersLoadAsRecorded(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	buildMenu(t, dir)
	server := httptest.NewServer(startRecorded(t, dir, (&double{}).opener, nil))
	defer server.Close()
	equal := 0
	results := readMenuResults(t, dir)
	for _, want := range results {
		got := register(t, server.URL, want.Name, filepath.Join(dir, "menu", want.Name))
		same := got.Status == want.Load.Status && sorted(got.Body) == sorted(want.Load.Body)
		reason, expected := knownLoads[want.Name]
		switch {
		case same && expected:
			t.Errorf("%s is answered as recorded now; take it out of the known differences (%s)", want.Name, reason)
		case expected:
			if got.Status != 400 || !strings.Contains(got.Body, "SageMaker would") && !strings.Contains(got.Body, "Wqkv") {
				t.Errorf("%s: %d %s; want a plain refusal", want.Name, got.Status, got.Body)
			}
		case !same:
			t.Errorf("%s (%s):\n\tgot      %d %s\n\trecorded %d %s", want.Name, want.Note, got.Status, got.Body, want.Load.Status, want.Load.Body)
		default:
			equal++
		}
	}
	t.Logf("%d registrations compared: %d equal, %d different on purpose", len(results), equal, len(knownLoads))
}
