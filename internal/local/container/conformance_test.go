package container

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cleanup is what the recorder took away between two groups.
var cleanup = []string{"beta", "beta2", "beta3", "gamma", "delta", "eps", "zeta", "/opt/ml/model", "team/one"}

// group is a recorded file and the server it was taken from.
type group struct {
	name    string
	restart bool
	changes map[string]string // to the recorded environment, when restarted
}

func groups(dir string) []group {
	return []group{
		{name: "ping"},
		{name: "models-before"},
		{name: "invocations-completion"},
		{name: "invocations-completion-stream"},
		{name: "invocations-chat"},
		{name: "invocations-chat-stream"},
		{name: "invocations-errors"},
		{name: "adapters-register"},
		{name: "adapter-invocations"},
		{name: "v1-lora-routes"},
		{name: "models-after"},
		{name: "no-runtime-flag", restart: true, changes: map[string]string{
			"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "", "SM_VLLM_LORA_MODULES": "fixed=" + filepath.Join(dir, "good"),
		}},
		{name: "lora-off", restart: true, changes: map[string]string{"SM_VLLM_ENABLE_LORA": "false"}},
		{name: "sessions-off", restart: true},
		{name: "sessions", restart: true, changes: map[string]string{"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true"}},
	}
}

// TestAnswersAsRecorded is the conformance run: every recorded exchange of every version against a container that plays it,
// with the recorded base and adapters on the built-in engine.
func TestAnswersAsRecorded(t *testing.T) {
	t.Parallel()
	url, real := peer()
	for _, version := range recordedVersions {
		if real && version != peerVersion(t, url) {
			continue
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := unpackData(t)
			buildMenu(t, dir)
			counted, seen := &tally{version: version, real: real}, map[string]bool{"load": true, "refused": true, "use": true, "behaviour": true, "nan": true}
			for _, group := range groups(dir) {
				if counted.plays(group) {
					seen[group.name] = true
				}
			}
			t.Run("core", func(t *testing.T) { compareGroups(t, counted, dir) })
			t.Run("load", func(t *testing.T) { compareLoads(t, counted, dir) })
			t.Run("use", func(t *testing.T) { compareUses(t, counted, dir) })
			t.Run("behaviour", func(t *testing.T) { compareBehaviour(t, counted, dir) })
			t.Run("nan", func(t *testing.T) { compareNaN(t, counted, dir) })
			if _, err := os.Stat(recordingPath(version, "startup")); err == nil && !real {
				seen["start"] = true
				t.Run("start", func(t *testing.T) { compareStarts(t, counted, dir) })
			}
			counted.report(t, seen)
			if !real {
				counted.account(t)
			}
		})
	}
}

// plays reports whether a group is compared: not every variant of the server was recorded for every version, and a real server
// is not set up otherwise than it was started.
func (c *tally) plays(g group) bool {
	_, err := os.Stat(recordingPath(c.version, g.name))
	return err == nil && !(c.real && g.restart)
}

// compareGroups replays the groups of exchanges, one server for those that were recorded from one.
func compareGroups(t *testing.T, counted *tally, dir string) {
	var url string
	texts := 0
	for _, group := range groups(dir) {
		if !counted.plays(group) {
			continue
		}
		if group.restart || url == "" {
			url = served(t, counted.version, dir, nil, group.changes)
		}
		if group.name == "models-after" {
			forget(t, url)
		}
		var file recording
		readRecording(t, counted.version, group.name, dir, &file)
		play := player{dir: dir, url: url}
		if counted.real {
			play.root = registered(t, url)[0].Root
		}
		for _, exchange := range file.Exchanges {
			want, got := play.exchange(t, exchange)
			diffs := compare(want, got, sampled(exchange.Request.Body))
			counted.check(t, group.name+"/"+exchange.Name, diffs)
			if len(diffs) == 0 && (want.Body == "" || textOf(want) == textOf(got)) {
				texts++
			}
		}
	}
	t.Logf("%s: %d of the exchanges equal to the last word of text", counted.version, texts)
}

// player replays a group's exchanges; the ids of sessions are the server's own and take the recorded ones' place.
type player struct {
	dir, url string
	root     string            // of a real server's base, which lies elsewhere than the recorded one's
	sessions map[string]string // recorded id to ours
}

func (p *player) exchange(t *testing.T, e recorded) (want, got reply) {
	t.Helper()
	want = e.Response
	want.Body = strings.ReplaceAll(want.Body, `"root":"../data/good"`, `"root":"`+filepath.Join(p.dir, "good")+`"`)
	for theirs, ours := range p.sessions {
		if id := e.Request.Headers["x-amzn-sagemaker-session-id"]; id == theirs {
			e.Request.Headers["x-amzn-sagemaker-session-id"] = ours
		}
		want.Body = strings.ReplaceAll(want.Body, theirs, ours)
		want.Headers = renamed(want.Headers, theirs, ours)
	}
	got = e.send(t, p.url)
	if p.root != "" {
		got.Body = strings.ReplaceAll(got.Body, p.root, modelPath)
	}
	const key = "x-amzn-sagemaker-new-session-id"
	theirs, expires, isNew := strings.Cut(want.Headers[key], "; ")
	if ours, ourExpires, ok := strings.Cut(got.Headers[key], "; "); isNew && ok && len(ours) == len(theirs) && len(ourExpires) == len(expires) {
		if p.sessions == nil {
			p.sessions = map[string]string{}
		}
		p.sessions[theirs] = ours
		want.Body = strings.ReplaceAll(want.Body, theirs, ours)
		want.Headers[key] = got.Headers[key]
	}
	return want, got
}

func renamed(headers map[string]string, from, to string) map[string]string {
	out := map[string]string{}
	for key, value := range headers {
		out[key] = strings.ReplaceAll(value, from, to)
	}
	return out
}

// sampled reports whether chance decides the answer.
func sampled(body string) bool {
	var request struct {
		Temperature *float64 `json:"temperature"`
	}
	if json.Unmarshal([]byte(body), &request) != nil {
		return false
	}
	return request.Temperature == nil || *request.Temperature > 0
}

// textOf is every text of an answer.
func textOf(r reply) string {
	if strings.HasPrefix(r.Headers["content-type"], "text/event-stream") {
		s, _ := readEvents(r.Body)
		return fmt.Sprint(s.texts)
	}
	var answer struct {
		Choices []struct {
			Text    string
			Message struct{ Content string }
		}
	}
	_ = json.Unmarshal([]byte(r.Body), &answer)
	return fmt.Sprint(answer.Choices)
}

func forget(t *testing.T, url string) {
	t.Helper()
	for _, name := range cleanup {
		exchange := recorded{Name: "cleanup " + name}
		exchange.Request.Method, exchange.Request.Path = "POST", "/v1/unload_lora_adapter"
		exchange.Request.Headers = map[string]string{"content-type": "application/json"}
		exchange.Request.Body = string(compact(map[string]string{"lora_name": name}))
		exchange.send(t, url)
	}
}

// compareStarts starts containers with the environments of the recorded failing starts.
func compareStarts(t *testing.T, counted *tally, dir string) {
	var cases []struct {
		Case  string   `json:"case"`
		Args  []string `json:"args"`
		Lines []string `json:"error_lines"`
	}
	raw, err := os.ReadFile(recordingPath(counted.version, "startup"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "DATA", dir)), &cases); err != nil {
		t.Fatal(err)
	}
	// Of the bases that vLLM takes no LoRA on, only what decides it is made.
	for name, config := range map[string]string{
		"bigvocab": `{"architectures": ["LlamaForCausalLM"], "vocab_size": 258112}`,
		"gpt2":     `{"architectures": ["GPT2LMHeadModel"], "vocab_size": 400}`,
	} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "config.json"), []byte(config), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range cases {
		exchange := "start/" + one.Case
		var diffs []string
		c, err := Start(t.Context(), Config{ModelDir: one.Args[1], Version: counted.version, Environment: environmentOf(one.Args, dialectOf(counted.version))})
		// The last line is the one that says it; before its type there is only the name of Python's exception.
		last := one.Lines[len(one.Lines)-1]
		if strings.HasPrefix(last, "RuntimeError: Engine core initialization failed.") {
			last = one.Lines[len(one.Lines)-2] // the root cause it speaks of
		}
		want, _, _ := strings.Cut(strings.TrimSpace(last), " [type=")
		want = strings.TrimPrefix(want, "pydantic_core._pydantic_core.ValidationError: ")
		switch {
		case err == nil:
			diffs = append(diffs, "started")
			c.Close()
		case !strings.Contains(err.Error(), want):
			diffs = append(diffs, fmt.Sprintf("refused with %q, recorded %q", err, want))
		}
		counted.check(t, exchange, diffs)
	}
}

// environmentOf turns recorded flags back into the variables the entrypoint makes them from: where it takes arrays apart, an
// array in one token comes of an array with that one element.
func environmentOf(args []string, d dialect) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(args); i++ {
		key := "SM_VLLM_" + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(args[i], "--"), "-", "_"))
		value := "true"
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
			i++
			value = args[i]
		}
		if d.takesApart && strings.HasPrefix(value, "[") {
			element, _ := json.Marshal(value) // a string always can be
			value = "[" + string(element) + "]"
		}
		if key != "SM_VLLM_MODEL" {
			out[key] = value
		}
	}
	return out
}
