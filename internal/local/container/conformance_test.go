package container

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// known are the exchanges that are answered otherwise on purpose, and why. The test fails when one of them turns out equal.
var known = map[string]string{
	"ping/version":                             "the container names the vLLM it plays, not the CPU build that was recorded.",
	"invocations-completion/echo-logprobs":     "the engine scores no prompts, so echo with logprobs is refused.",
	"invocations-completion/echo-max-tokens-0": "the engine scores no prompts, so echo with logprobs is refused.",
	"invocations-chat/echo":                    "a chat with echo scores its prompt, which the engine does not.",
	"adapter-invocations/chat-header-spaces":   "Go trims blanks around a header's value; SageMaker never sends any.",
}

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
	}
}

// TestAnswersAsRecorded replays every exchange of the core recordings against a container that runs the recorded base and
// adapter on the built-in engine.
func TestAnswersAsRecorded(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	buildMenu(t, dir, "ok_qv_only", "ok_zero_b")
	var url string
	equal, texts, compared := 0, 0, 0
	for _, group := range groups(dir) {
		if group.restart || url == "" {
			server := httptest.NewServer(startRecorded(t, dir, nil, group.changes))
			defer server.Close()
			url = server.URL
		}
		if group.name == "models-after" {
			forget(t, url)
		}
		var file recording
		readRecording(t, group.name, dir, &file)
		for _, exchange := range file.Exchanges {
			name := group.name + "/" + exchange.Name
			exchange.Response.Body = strings.ReplaceAll(exchange.Response.Body, `"root":"../data/good"`, `"root":"`+filepath.Join(dir, "good")+`"`)
			got := exchange.send(t, url)
			diffs := compare(exchange.Response, got, sampled(exchange.Request.Body))
			compared++
			reason, expected := known[name]
			switch {
			case len(diffs) == 0 && expected:
				t.Errorf("%s is answered as recorded now; take it out of the known differences (%s)", name, reason)
			case len(diffs) > 0 && !expected:
				t.Errorf("%s:\n\t%s", name, strings.Join(diffs, "\n\t"))
			case len(diffs) == 0:
				equal++
				if exchange.Response.Body == "" || textOf(exchange.Response) == textOf(got) {
					texts++
				}
			}
		}
	}
	t.Logf("%d exchanges compared: %d equal (%d of them to the last word of text), %d different on purpose", compared, equal, texts, len(known))
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

// TestStartsRefuseAsRecorded starts containers with the environments of the recorded failing starts.
func TestStartsRefuseAsRecorded(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	buildMenu(t, dir, "a6_rank32", "ok_qv_only")
	var cases []struct {
		Case  string   `json:"case"`
		Args  []string `json:"args"`
		Lines []string `json:"error_lines"`
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "vllm-0.11.2", "startup.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), "DATA", dir)), &cases); err != nil {
		t.Fatal(err)
	}
	for _, one := range cases {
		t.Run(one.Case, func(t *testing.T) {
			t.Parallel()
			if one.Case == "big-vocab-lora" || one.Case == "gpt2-lora" {
				t.Skip("the bases of these starts were not recorded")
			}
			_, err := Start(t.Context(), Config{ModelDir: filepath.Join(dir, "base"), Environment: environmentOf(one.Args)})
			if err == nil {
				t.Fatal("started")
			}
			// The last line is the one that says it; before its type there is only the name of Python's exception.
			want, _, _ := strings.Cut(strings.TrimSpace(one.Lines[len(one.Lines)-1]), " [type=")
			want = strings.TrimPrefix(want, "pydantic_core._pydantic_core.ValidationError: ")
			if !strings.Contains(err.Error(), want) {
				t.Errorf("refused with %q, recorded %q", err, want)
			}
		})
	}
}

// environmentOf turns recorded flags back into the variables the entrypoint makes them from.
func environmentOf(args []string) map[string]string {
	out := map[string]string{}
	for i := 0; i < len(args); i++ {
		key := "SM_VLLM_" + strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(args[i], "--"), "-", "_"))
		value := "true"
		if i+1 < len(args) && !strings.HasPrefix(args[i+1], "--") {
			i++
			value = args[i]
		}
		if key != "SM_VLLM_MODEL" {
			out[key] = value
		}
	}
	return out
}
