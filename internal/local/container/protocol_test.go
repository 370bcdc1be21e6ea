package container

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// ask posts an invocation to a container over d.
func ask(t *testing.T, d *double, body string) reply {
	t.Helper()
	server := httptest.NewServer(startDouble(t, d))
	defer server.Close()
	return post(t, server.URL, "/invocations", "", body)
}

func TestGoneClientEndsTheGeneration(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{`,"stream":true`, ``} {
		d := &double{script: says(" a", " b", " c"), release: make(chan struct{}), ended: make(chan error, 1)}
		server := httptest.NewServer(startDouble(t, d))
		ctx, cancel := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, "POST", server.URL+"/invocations", strings.NewReader(`{"prompt":"x"`+mode+`}`))
		request.Header.Set("Content-Type", "application/json")
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			response, err := http.DefaultClient.Do(request)
			if err == nil {
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}()
		d.release <- struct{}{} // the first token is under way
		cancel()
		if err := <-d.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the generation ended with %v", err)
		}
		<-answered
		server.Close()
	}
}

func TestClosingEndsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	d := &double{script: says(" a", " b"), release: make(chan struct{}), ended: make(chan error, 1)}
	c := startDouble(t, d)
	answered := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		request := httptest.NewRequest("POST", "/invocations", strings.NewReader(`{"prompt":"x"}`))
		request.Header.Set("Content-Type", "application/json")
		c.ServeHTTP(w, request)
		answered <- w.Code
	}()
	d.release <- struct{}{}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if status := <-answered; status == http.StatusOK {
		t.Error("half an answer was given as a whole one")
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest("GET", "/ping", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("a closed container pings %d", w.Code)
	}
}

func TestStreamShowsEachPieceAsItComes(t *testing.T) {
	t.Parallel()
	d := &double{script: says(" a", " b"), release: make(chan struct{})}
	server := httptest.NewServer(startDouble(t, d))
	defer server.Close()
	go func() { d.release <- struct{}{} }()
	response, err := http.Post(server.URL+"/invocations", "application/json", strings.NewReader(`{"prompt":"x","stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	first, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(first, `"text":" a"`) {
		t.Fatalf("got %q, %v before the second token was made", first, err)
	}
	close(d.release)
	rest, _ := io.ReadAll(lines)
	if !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
		t.Errorf("the stream ends with %q", rest)
	}
}

func TestBrokenNumbersFailBareButStreamAsNull(t *testing.T) {
	t.Parallel()
	script := func() []Token { return []Token{{ID: 9, Text: "", Logprob: math.NaN()}, {ID: 2, Text: "</s>"}} }
	if got := ask(t, &double{script: script()}, `{"prompt":"x","logprobs":1}`); got.Status != 500 || got.Body != "Internal Server Error" {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	if got := ask(t, &double{script: script()}, `{"prompt":"x"}`); got.Status != 200 {
		t.Errorf("without logprobs: %d %s", got.Status, got.Body)
	}
	got := ask(t, &double{script: script()}, `{"prompt":"x","logprobs":1,"stream":true}`)
	if got.Status != 200 || !strings.Contains(got.Body, `"token_logprobs":[null]`) {
		t.Errorf("streamed: %d %s", got.Status, got.Body)
	}
}

func TestFailureWhileStreamingIsAnEvent(t *testing.T) {
	t.Parallel()
	d := &double{script: says(" a", " b"), fail: errors.New("the secret path /x")}
	got := ask(t, d, `{"prompt":"x","stream":true}`)
	if got.Status != 200 || !strings.Contains(got.Body, `data: {"error":{"message":"EngineCore`) || strings.Contains(got.Body, "secret") || !strings.HasSuffix(got.Body, "[DONE]\n\n") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	if got := ask(t, d, `{"prompt":"x"}`); got.Status != 500 || strings.Contains(got.Body, "secret") {
		t.Errorf("whole: got %d %s", got.Status, got.Body)
	}
}

func TestChoicesHaveSeedsOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := &double{script: says(" a")}
	got := ask(t, d, `{"prompt":["x","y"],"n":2,"seed":7,"temperature":1,"logprobs":0}`)
	if got.Status != 200 || strings.Count(got.Body, `"index":`) != 4 || !strings.Contains(got.Body, `"usage":{"prompt_tokens":4,"total_tokens":12,"completion_tokens":8`) {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	var seeds []int
	for _, r := range d.asked {
		seeds = append(seeds, int(*r.Seed))
	}
	slices.Sort(seeds)
	if !slices.Equal(seeds, []int{7, 7, 8, 8}) {
		t.Errorf("seeds %v", seeds)
	}
}

func TestStopTokenIsNamedAndStopStringPutBack(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"prompt":"x","stop_token_ids":[11]}`:                                         `"text":" a","logprobs":null,"finish_reason":"stop","stop_reason":11`,
		`{"prompt":"x","stop":" b"}`:                                                   `"text":" a","logprobs":null,"finish_reason":"stop","stop_reason":" b"`,
		`{"prompt":"x","stop":[" b"],"include_stop_str_in_output":true}`:               `"text":" a b","logprobs":null,"finish_reason":"stop","stop_reason":" b"`,
		`{"prompt":"x","stop_token_ids":[2]}`:                                          `"text":" a b c","logprobs":null,"finish_reason":"stop","stop_reason":null`,
		`{"prompt":"x","max_tokens":1,"return_token_ids":true,"echo":true}`:            `"token_ids":[10],"prompt_logprobs":null,"prompt_token_ids":[1,120]`,
		`{"prompt":"x","max_tokens":0,"echo":true}`:                                    `"text":"x","logprobs":null,"finish_reason":"length"`,
		`{"prompt":"x","max_tokens":"2","temperature":"0","ignore_eos":1}`:             `"text":" a b","logprobs":null,"finish_reason":"length"`,
		`{"prompt":"x","max_tokens":1,"logprobs":1}`:                                   `"top_logprobs":[{" a":-0.5," other":-0.25}]`,
		`{"prompt":"x","max_tokens":1,"logprobs":0}`:                                   `"top_logprobs":[{" a":-0.5}]`,
		`{"prompt":"x","max_tokens":1,"logprobs":2}`:                                   `"top_logprobs":[{" a":-0.5," other":-0.25}]`,
		`{"prompt":"x","max_tokens":1,"logprobs":0,"return_tokens_as_token_ids":true}`: `"tokens":["token_id:10"]`,
		`{"messages":[{"role":"user","content":"x"}],"max_tokens":1,"logprobs":true}`:  `"top_logprobs":[]`,
		`{"messages":[{"role":"user","content":["a",{"type":"text","text":"b"}]}]}`:    `"content":" a b c"`,
		`{"messages":"x","prompt":"y","max_tokens":1}`:                                 `"object":"text_completion"`,
		`{"messages":[{"role":"user","content":"x"}],"prompt":5,"max_tokens":1}`:       `"object":"chat.completion"`,
		`{"prompt":[[1,2],[3]],"max_tokens":1}`:                                        `"usage":{"prompt_tokens":3,`,
		`{"prompt":"x","max_tokens":1,"response_format":{"type":"text"}}`:              `"text":" a"`,
		`{"prompt":"x","max_tokens":1,"priority":1}`:                                   `"text":" a"`,
	} {
		got := ask(t, &double{script: says(" a", " b", " c")}, body)
		if got.Status != 200 || !strings.Contains(got.Body, want) {
			t.Errorf("%s\n\tgot  %d %s\n\twant %s", body, got.Status, got.Body, want)
		}
	}
}

func TestWhatIsNotDoneHereIsSaid(t *testing.T) {
	t.Parallel()
	chat := `{"messages":[{"role":"user","content":"x"}],`
	for body, want := range map[string]string{
		`{"prompt":"x","response_format":{"type":"json_object"}}`:    "response_format",
		`{"prompt":"x","guided_regex":"a"}`:                          "structured output",
		`{"prompt":"x","n":1000000000,"temperature":1}`:              "more than 4096 answers in one invocation",
		`{"prompt":"x","skip_special_tokens":false}`:                 "skip_special_tokens: false",
		chat + `"tools":[{"type":"function"}],"tool_choice":"none"}`: "tools",
		chat + `"chat_template_kwargs":{"a":1}}`:                     "chat_template_kwargs",
		chat + `"bad_words":["a"]}`:                                  "bad_words",
	} {
		got := ask(t, &double{script: says(" a")}, body)
		if got.Status != 400 || !strings.Contains(got.Body, "The local platform does not do "+want+", SageMaker would.") {
			t.Errorf("%s: got %d %s, want a refusal of %s", body, got.Status, got.Body, want)
		}
	}
}

func TestNumbersAreRefusedInVLLMsWords(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"prompt":"x","top_k":-2}`:                                         "top_k must be 0 (disable), or at least 1, got -2.",
		`{"prompt":"x","min_tokens":9,"max_tokens":3}`:                      "min_tokens must be less than or equal to max_tokens=3, got 9.",
		`{"prompt":"x","stop":[""]}`:                                        "stop cannot contain an empty string.",
		`{"prompt":"x","n":2,"temperature":0}`:                              "n must be 1 when using greedy sampling, got 2.",
		`{"prompt":"x","best_of":3}`:                                        "vLLM V1 does not yet support best_of.",
		`{"prompt":"x","best_of":3,"stream":true}`:                          "best_of must equal n to use output_kind=DELTA",
		`{"prompt":"x","best_of":3,"temperature":0}`:                        "n must be 1 when using greedy sampling, got 3.",
		`{"prompt":"x","best_of":0}`:                                        "best_of must be at least 1, got 0",
		`{"prompt":"x","logits_processors":["p"]}`:                          "The `logits_processors` argument is not supported by this server. See --logits-processor-pattern engine argument for more information.",
		`{"prompt":"x","cache_salt":""}`:                                    noHandler,
		`{"prompt":"x","presence_penalty":3}`:                               "presence_penalty must be in [-2, 2], got 3.0.",
		`{"prompt":"x","frequency_penalty":-2.5}`:                           "frequency_penalty must be in [-2, 2], got -2.5.",
		`{"prompt":"x","repetition_penalty":0}`:                             "repetition_penalty must be greater than zero, got 0.0.",
		`{"prompt":"x","min_p":1.5}`:                                        "min_p must be in [0, 1], got 1.5.",
		`{"prompt":"x","logprobs":21}`:                                      "Requested sample logprobs of 21, which is greater than max allowed: 20",
		`{"prompt":"x","prompt_logprobs":21}`:                               "Requested prompt logprobs of 21, which is greater than max allowed: 20",
		`{"prompt":"x","prompt_logprobs":-1}`:                               "Requested prompt logprobs of 400, which is greater than max allowed: 20",
		`{"prompt":"x","prompt_logprobs":-2}`:                               noHandler,
		`{"prompt":"x","prompt_logprobs":1,"stream":true}`:                  noHandler,
		`{"prompt":"x","logit_bias":{"400":1,"-3":2}}`:                      "token_id(s) [-3, 400] in logit_bias contain out-of-vocab token ids. Vocabulary size: 400",
		`{"prompt":"x","allowed_token_ids":[]}`:                             "allowed_token_ids is not None and empty!",
		`{"prompt":"x","allowed_token_ids":[5,400]}`:                        "allowed_token_ids contains out-of-vocab token id!",
		`{"prompt":"x","logit_bias":{"x":1}}`:                               "invalid literal for int() with base 10: 'x'",
		`{"prompt":"x","logit_bias":{"1":"much"}}`:                          noHandler,
		`{"prompt":[400]}`:                                                  "Token id 400 is out of vocabulary",
		`{"prompt":[]}`:                                                     "please provide at least one prompt",
		`{"prompt":"x","suffix":"y"}`:                                       "suffix is not currently supported",
		`{"prompt":"x","temperature":NaN}`:                                  "The local platform does not do a temperature that is no number, SageMaker would.",
		`{"prompt":"x","stream_options":{"a":1}}`:                           noHandler,
		`{"prompt":"x","seed":99999999999999999999}`:                        noHandler,
		`{"prompt":"x","n":null}`:                                           noHandler,
		`{"messages":[{"role":"user","content":null}]}`:                     noHandler,
		`{"messages":[{"role":"user","content":"x"}],"tool_choice":"auto"}`: noHandler,
	} {
		got := ask(t, &double{script: says(" a")}, body)
		if got.Status != 400 || !strings.Contains(got.Body, string(compact(want))) {
			t.Errorf("%s: got %d %s, want %s", body, got.Status, got.Body, want)
		}
	}
}

// TestFieldsThatAreNoMoreArePassedOver has what the request schemas of 0.27.1 and 0.32.0 say to these bodies.
func TestFieldsThatAreNoMoreArePassedOver(t *testing.T) {
	t.Parallel()
	const salt = `"message":"Parameter 'cache_salt' must be a non-empty string if provided. (parameter=cache_salt)"`
	for _, version := range []string{"0.27.1", "0.32.0"} {
		server := httptest.NewServer(startVersion(t, version, unpackData(t), (&double{script: says(" a")}).opener, nil))
		defer server.Close()
		for _, field := range []string{
			`"best_of":3`, `"best_of":"many"`, `"guided_json":{}`, `"guided_regex":5`, `"guided_choice":["a"]`, `"guided_grammar":"x"`,
			`"structural_tag":"x"`, `"logits_processors":["p"]`, `"priority":1`, `"cache_salt":"x"`, `"cache_salt":""`, `"cache_salt":5`,
		} {
			want := `" a"`
			if strings.HasSuffix(field, `""`) || strings.HasSuffix(field, `salt":5`) {
				want = salt
			}
			for _, body := range []string{`{"prompt":"x",` + field + `}`, `{"messages":[{"role":"user","content":"x"}],` + field + `}`} {
				if got := post(t, server.URL, "/invocations", "", body); !strings.Contains(got.Body, want) {
					t.Errorf("%s, %s: got %d %s, want %s", version, body, got.Status, got.Body, want)
				}
			}
		}
	}
}

// TestLaterFieldsAreJudged has fields that 0.11.2 passes over, and what 0.27.1 and 0.32.0 say to them.
func TestLaterFieldsAreJudged(t *testing.T) {
	t.Parallel()
	notDone := func(what string) string { return "The local platform does not do " + what + ", SageMaker would." }
	const completion, chat = `{"prompt":"x",`, `{"messages":[{"role":"user","content":"x"}],`
	for body, want := range map[string]string{
		completion + `"bad_words":["a"]}`:                    notDone("bad_words"),
		completion + `"bad_words":[]}`:                       "",
		completion + `"logprobs":1,"logprob_token_ids":[1]}`: notDone("logprob_token_ids"),
		completion + `"repetition_detection":{}}`:            notDone("repetition_detection"),
		completion + `"thinking_token_budget":5}`:            "thinking_token_budget is set but reasoning_config is not configured.",
		completion + `"return_prompt_text":true}`:            "",
		chat + `"return_prompt_text":true}`:                  notDone("return_prompt_text"),
		chat + `"tools":[]}`:                                 noTools + " (parameter=tools)",
	} {
		for _, version := range []string{"0.11.2", "0.27.1", "0.32.0"} {
			server := httptest.NewServer(startVersion(t, version, unpackData(t), (&double{script: says(" a")}).opener, nil))
			got := post(t, server.URL, "/invocations", "", body)
			server.Close()
			passes := want == "" || version == "0.11.2"
			if passes != (got.Status == 200) || !passes && !strings.Contains(got.Body, want) {
				t.Errorf("%s, %s: got %d %s, want %s", version, body, got.Status, got.Body, want)
			}
		}
	}
	for _, field := range []string{"logprobs", "prompt_logprobs"} {
		server := httptest.NewServer(startVersion(t, "0.27.1", unpackData(t), (&double{script: says(" a")}).opener, nil))
		got := post(t, server.URL, "/invocations", "", completion+`"`+field+`":"1"}`)
		server.Close()
		if want := `"message":"` + "`" + field + "` must be an integer. (parameter=" + field + `, value=1)"`; !strings.Contains(got.Body, want) {
			t.Errorf("%s as a text: got %d %s, want %s", field, got.Status, got.Body, want)
		}
	}
}

func TestOneNameIsRegisteredOnce(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	c := startRecorded(t, dir, (&double{}).opener, nil)
	server := httptest.NewServer(c)
	defer server.Close()
	var ok, taken atomic.Int32
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			switch got := register(t, server.URL, "one", filepath.Join(dir, "good")); got.Status {
			case 200:
				ok.Add(1)
			case 400:
				taken.Add(1)
			}
		})
	}
	all.Wait()
	if ok.Load() != 1 || taken.Load() != 5 {
		t.Errorf("%d registered, %d refused; recorded: 1 and 5", ok.Load(), taken.Load())
	}
	if got := c.Adapters(); len(got) != 1 || got[0].Name != "one" || got[0].Modules != 14 {
		t.Errorf("got %+v", got)
	}
}

func TestChatNeedsATemplate(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	if err := os.Remove(filepath.Join(dir, "base", "chat_template.jinja")); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(startRecorded(t, dir, nil, nil))
	defer server.Close()
	got := post(t, server.URL, "/invocations", "", `{"messages":[{"role":"user","content":"x"}]}`)
	if got.Status != 400 || !strings.Contains(got.Body, "you must provide a chat template") {
		t.Errorf("got %d %s", got.Status, got.Body)
	}
	if got := post(t, server.URL, "/invocations", "", `{"prompt":"x","max_tokens":1}`); got.Status != 200 {
		t.Errorf("a completion needs none: %d %s", got.Status, got.Body)
	}
}

func TestMetricsCarryTheBaseName(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(startDouble(t, &double{script: says(" a")}))
	defer server.Close()
	post(t, server.URL, "/invocations", "", `{"prompt":"x"}`)
	response, err := http.Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	for _, want := range []string{`vllm:prompt_tokens_total{engine="0",model_name="/opt/ml/model"} 2.0`, `vllm:generation_tokens_total{engine="0",model_name="/opt/ml/model"} 2.0`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}
