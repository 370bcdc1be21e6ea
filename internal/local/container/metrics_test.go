package container

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// untold are the recorded families that the container has no numbers for, by the beginning of their names, and why.
var untold = map[string]string{
	"python_":                                 "of Python's process",
	"process_":                                "of Python's process",
	"http_":                                   "of the web framework; the order of its handlers is its own",
	"vllm:cache_config_info":                  "names the blocks of a cache that the engine does not have",
	"vllm:kv_cache_usage":                     "the engine keeps no cache of blocks",
	"vllm:prefix_cache":                       "the engine caches no prefixes",
	"vllm:external_prefix":                    "the engine caches no prefixes",
	"vllm:prompt_tokens_by":                   "the engine caches no prefixes",
	"vllm:prompt_tokens_cached":               "the engine caches no prefixes",
	"vllm:mm_cache":                           "no base here takes pictures",
	"vllm:estimated_":                         "estimates for a GPU",
	"vllm:iteration_tokens":                   "the engine does not tell its steps",
	"vllm:time_per_output":                    "deprecated in 0.11.2 for the one beside it",
	"vllm:num_requests_waiting_by_reason":     "nothing waits for capacity alone",
	"vllm:admission_rejections":               "nothing is rejected",
	"vllm:request_num_preemptions":            "nothing is preempted",
	"vllm:request_prefill_kv_computed_tokens": "the engine caches no prefixes",
}

// recordedFamily is what was recorded of one family.
type recordedFamily struct {
	Help   string   `json:"help"`
	Type   string   `json:"type"`
	Labels []string `json:"labels"`
	Series int      `json:"series"`
}

func TestMetricsAreNamedTypedAndLabelledAsRecorded(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.11.2", "0.32.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := unpackData(t)
			server := httptest.NewServer(startVersion(t, version, dir, (&double{script: says(" a")}).opener, nil))
			defer server.Close()
			register(t, server.URL, "one", filepath.Join(dir, "good"))
			post(t, server.URL, "/invocations", "one", `{"prompt":"x"}`)
			got := readMetrics(t, server.URL)
			var want map[string]recordedFamily
			readRecording(t, version, "metrics", dir, &want)
			for name, family := range want {
				reasoned := false
				for prefix := range untold {
					reasoned = reasoned || strings.HasPrefix(name, prefix)
				}
				ours, told := got[name]
				switch {
				case told == reasoned:
					t.Errorf("%s: told %t, on the list of those that are not: %t", name, told, reasoned)
				case told && (ours.Type != family.Type || ours.Help != family.Help || !slices.Equal(ours.Labels, family.Labels)):
					t.Errorf("%s is %+v, recorded %+v", name, ours, family)
				case told && family.Type == "histogram" && ours.Series != family.Series:
					t.Errorf("%s has %d series, recorded %d", name, ours.Series, family.Series)
				}
			}
			for name := range got {
				if _, recorded := want[name]; !recorded {
					t.Errorf("%s was not recorded", name)
				}
			}
		})
	}
}

// readMetrics takes the page apart by family.
func readMetrics(t *testing.T, url string) map[string]recordedFamily {
	t.Helper()
	response, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]recordedFamily{}
	current := ""
	for line := range strings.Lines(string(body)) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 4)
		family := out[current]
		switch {
		case words[0] == "#" && words[1] == "HELP":
			current = words[2]
			family = recordedFamily{Help: words[3]}
		case words[0] == "#":
			family.Type = words[3]
		default:
			family.Series++
			_, labels, _ := strings.Cut(line[:strings.LastIndex(line, "}")], "{")
			for label := range strings.SplitSeq(labels, `",`) {
				if name, _, _ := strings.Cut(label, "="); name != "le" && !slices.Contains(family.Labels, name) {
					family.Labels = append(family.Labels, name)
				}
			}
			sort.Strings(family.Labels)
		}
		out[current] = family
	}
	return out
}
