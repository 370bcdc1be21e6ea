package container

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// elsewhere are the recorded files that other tests are held to.
var elsewhere = map[string]string{
	"arguments":           "TestArgumentsAreJudgedAsRecorded",
	"metrics":             "TestMetricsAreNamedTypedAndLabelledAsRecorded",
	"lora-target-modules": "TestTargetModulesDropTheOthersAsRecorded",
	"crash-and-restart":   "the outage's tests",
	"prefix-cache":        "the stale cache's test",
}

// leftOut are what is recorded in behaviour.json and compared nowhere in the conformance run, and why.
var leftOut = map[string]string{
	"swap_reference":             "what the swaps are told apart by; the run asks for itself",
	"swap_4_unload_and_load":     "a stale prefix cache, which comes as a chosen fault",
	"mixed_batch":                "the CPU build answers a base in a mixed batch as an adapter",
	"base_after_lm_head_adapter": "chance on a CPU",
	"unload_during_generation":   "depends on when it was unloaded; TestAnUnloadedAdapterFinishesItsAnswers holds the rule",
	"metrics_while_busy":         "a moment's numbers",
	"metrics_lora_series_count":  "counts the moments that were looked at",
	"metrics_lora_sample":        "a moment's numbers",
}

// account makes sure that everything recorded of a version was compared here, belongs to another test, or is left out for a reason.
func (c *tally) account(t *testing.T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "vllm-"+c.version, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings of %s: %v", c.version, err)
	}
	recorded, others, left := 0, 0, 0
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if elsewhere[name] != "" {
			others++
			continue
		}
		for _, entry := range c.entries(t, path, name) {
			recorded++
			group, key, _ := strings.Cut(entry, "/")
			outage := group == "behaviour" && strings.HasPrefix(key, "vanished_") // the outage's tests
			switch {
			case c.seen[entry]:
			case group == "behaviour" && (leftOut[key] != "" || outage):
				left++
			default:
				t.Errorf("%s: %s was recorded, is not compared and has no reason to be left out", c.version, entry)
			}
		}
	}
	t.Logf("%s: of %d recorded entries %d are left out for a reason; %d files belong to other tests", c.version, recorded, left, others)
}

// entries are the names under which what a file holds is compared.
func (c *tally) entries(t *testing.T, path, name string) (out []string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	into := func(value any) {
		if err := json.Unmarshal(raw, value); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	switch name {
	case "menu-results":
		var file struct{ Results []menuResult }
		into(&file)
		for _, one := range file.Results {
			out = append(out, "load/"+one.Name)
			_, pickled := c.expected("load/" + one.Name) // one that does not load here cannot be used
			if one.Load.Status == 200 && !pickled {
				out = append(out, "use/"+one.Name)
			}
			if len(one.AfterRefusal) > 0 {
				out = append(out, "refused/"+one.Name)
			}
		}
	case "startup":
		var cases []struct{ Case string }
		into(&cases)
		for _, one := range cases {
			out = append(out, "start/"+one.Case)
		}
	case "nan":
		out = []string{"nan/with-logprobs", "nan/without-logprobs", "nan/after"}
	case "behaviour":
		var file map[string]json.RawMessage
		into(&file)
		for key := range file {
			out = append(out, "behaviour/"+key)
		}
		sort.Strings(out)
	default:
		var file recording
		into(&file)
		for _, one := range file.Exchanges {
			out = append(out, name+"/"+one.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
