package container

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// scoredAnswer is the part of a completion, or of one of its events, that has tokens in it.
type scoredAnswer struct {
	Choices []struct {
		Index          int
		Text           string
		Logprobs       completionLogprobs
		PromptLogprobs []map[string]scored `json:"prompt_logprobs"`
	}
}

// UnmarshalJSON reads what likeliestList writes, in no particular order.
func (l *likeliestList) UnmarshalJSON(text []byte) error {
	var table map[string]*float64
	if err := json.Unmarshal(text, &table); err != nil {
		return err
	}
	for token, logprob := range table {
		*l = append(*l, likely{token, logprob})
	}
	return nil
}

func readScored(t *testing.T, text string) (a scoredAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

func startReal(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(startRecorded(t, unpackData(t), nil, nil))
	t.Cleanup(server.Close)
	return server.URL
}

func TestEveryPromptIsEchoedWithItsOwnScores(t *testing.T) {
	t.Parallel()
	url := startReal(t)
	whole := readScored(t, post(t, url, "/invocations", "", `{"prompt":["The boat","I saw the old gate"],"n":2,"temperature":1,"seed":1,"max_tokens":3,"echo":true,"logprobs":2}`).Body)
	if len(whole.Choices) != 4 {
		t.Fatalf("%d choices", len(whole.Choices))
	}
	for i, prompt := range []string{"The boat", "The boat", "I saw the old gate", "I saw the old gate"} {
		choice := whole.Choices[i]
		text := strings.Join(choice.Logprobs.Tokens, "")
		if choice.Index != i || !strings.HasPrefix(choice.Text, prompt) || text != "<s>"+choice.Text {
			t.Errorf("choice %d is %q of tokens %q, want %q first", choice.Index, choice.Text, choice.Logprobs.Tokens, prompt)
		}
		if n := len(choice.PromptLogprobs); len(choice.Logprobs.TokenLogprobs) != n+3 || n < 2 || choice.PromptLogprobs[0] != nil {
			t.Errorf("choice %d has %d scores of a prompt and %d of all", i, n, len(choice.Logprobs.TokenLogprobs))
		}
		for at, table := range choice.PromptLogprobs[1:] {
			own := 0
			for _, one := range table {
				if one.Text == choice.Logprobs.Tokens[at+1] && *one.Logprob == *choice.Logprobs.TokenLogprobs[at+1] {
					own++
				}
			}
			if own != 1 || len(table) < 2 || len(table) > 3 {
				t.Errorf("choice %d, token %d: %v", i, at+1, table)
			}
		}
	}
}

func TestAStreamedEchoIsTheWholeOne(t *testing.T) {
	t.Parallel()
	url := startReal(t)
	for _, limit := range []string{"0", "4"} {
		body := `{"prompt":"The boat","temperature":0,"echo":true,"logprobs":1,"max_tokens":` + limit
		whole := readScored(t, post(t, url, "/invocations", "", body+"}").Body)
		var text string
		var tokens []string
		var logprobs []*float64
		for _, event := range strings.Split(post(t, url, "/invocations", "", body+`,"stream":true}`).Body, "\n\n") {
			data, ok := strings.CutPrefix(event, "data: {")
			if !ok {
				continue
			}
			choice := readScored(t, "{"+data).Choices[0]
			text, tokens, logprobs = text+choice.Text, append(tokens, choice.Logprobs.Tokens...), append(logprobs, choice.Logprobs.TokenLogprobs...)
		}
		want := whole.Choices[0]
		if text != want.Text || cmp.Diff(want.Logprobs.Tokens, tokens) != "" || cmp.Diff(want.Logprobs.TokenLogprobs, logprobs) != "" {
			t.Errorf("max_tokens %s: streamed %q %q, whole %q %q", limit, text, tokens, want.Text, want.Logprobs.Tokens)
		}
	}
}

func TestAChatEchoesOnlyAMessageItGoesOnWith(t *testing.T) {
	t.Parallel()
	const user, both = `[{"role":"user","content":"q"}]`, `[{"role":"user","content":"q"},{"role":"assistant","content":"So"}]`
	for _, test := range []struct{ messages, more, want string }{
		{both, `,"add_generation_prompt":false,"continue_final_message":true`, "So a b"},
		{both, ``, "So a b"},
		{user, ``, " a b"},
		{user, `,"add_generation_prompt":false`, "q a b"},
	} {
		body := `{"messages":` + test.messages + `,"echo":true,"n":2,"temperature":1` + test.more
		for _, mode := range []string{"}", `,"stream":true}`} {
			got := ask(t, &double{script: says(" a", " b")}, body+mode)
			if mode == "}" {
				if got.Status != 200 || strings.Count(got.Body, `"content":"`+test.want+`"`) != 2 || !strings.Contains(got.Body, `"prompt_logprobs":[`) {
					t.Errorf("%s\n\tgot  %d %s\n\twant %q", body, got.Status, got.Body, test.want)
				}
				continue
			}
			events, err := readEvents(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]string{"0": test.want, "1": test.want}, events.texts); diff != "" {
				t.Errorf("%s streamed (-want +got):\n%s", body, diff)
			}
		}
	}
}

func TestWhatChangesTheChoiceOfTokensReachesTheEngine(t *testing.T) {
	t.Parallel()
	const body = `{"prompt":"x","max_tokens":5,"min_tokens":2,"ignore_eos":true,"temperature":0.5,"top_p":0.9,"top_k":7,"min_p":0.1,` +
		`"presence_penalty":1,"frequency_penalty":-0.5,"repetition_penalty":1.2,"logit_bias":{"5":250,"6":-1.5},"logprobs":20,"prompt_logprobs":3,"stop_token_ids":[9],"allowed_token_ids":[3,4]}`
	d := &double{script: says(" a")}
	if got := ask(t, d, body); got.Status != 200 {
		t.Fatalf("got %d %s", got.Status, got.Body)
	}
	want := Request{
		Tokens: []int{1, 'x'}, MaxTokens: 5, MinTokens: 2, IgnoreEOS: true, Temperature: 0.5, TopP: 0.9, TopK: 7, MinP: 0.1, Presence: 1,
		Frequency: -0.5, Repetition: 1.2, LogitBias: map[int]float64{5: 100, 6: -1.5}, Logprobs: 20, PromptLogprobs: 3, StopTokens: []int{9},
		Allowed: []int{3, 4},
	}
	if diff := cmp.Diff(want, d.asked[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLaterVersionsNameTheNumberThatDoesNotFit(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(startVersion(t, "0.32.0", unpackData(t), (&double{script: says(" a")}).opener, nil))
	defer server.Close()
	for body, want := range map[string]string{
		`{"prompt":"x","prompt_logprobs":-2}`:                 `"message":"` + badScores + ` (parameter=prompt_logprobs, value=-2)","type":"BadRequestError","param":"prompt_logprobs"`,
		`{"prompt":"x","logprobs":-1}`:                        `"message":"` + badLogprobs + ` (parameter=logprobs, value=-1)"`,
		`{"prompt":"x","prompt_logprobs":1,"stream":true}`:    `"message":"` + noScoreStream + ` (parameter=prompt_logprobs)"`,
		`{"prompt":"x","prompt_logprobs":21}`:                 `which is greater than max allowed: 20 (parameter=prompt_logprobs, value=21)"`,
		`{"prompt":"x","prompt_logprobs":0,"stream":true}`:    `"text":" a"`,
		`{"prompt":"x","logit_bias":{"400":1},"stream":true}`: `Vocabulary size: 400 (parameter=logit_bias, value=[400])"`,
	} {
		if got := post(t, server.URL, "/invocations", "", body); !strings.Contains(got.Body, want) {
			t.Errorf("%s: got %d %s, want %s", body, got.Status, got.Body, want)
		}
	}
}

func TestABasesOwnDefaultsCountWhereARequestIsSilent(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	config := `{"temperature":0.7,"top_p":0.8,"top_k":20,"min_p":0.05,"repetition_penalty":1.1,"max_new_tokens":9}`
	if err := os.WriteFile(filepath.Join(dir, "base", "generation_config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &double{script: says(" a")}
	server := httptest.NewServer(startRecorded(t, dir, d.opener, nil))
	defer server.Close()
	post(t, server.URL, "/invocations", "", `{"prompt":"x"}`)
	post(t, server.URL, "/invocations", "", `{"prompt":"x","repetition_penalty":1,"min_p":0,"top_k":0,"temperature":1,"top_p":1,"max_tokens":3}`)
	want := []Request{
		{Tokens: []int{1, 'x'}, MaxTokens: 9, Temperature: 0.7, TopP: 0.8, TopK: 20, MinP: 0.05, Repetition: 1.1, Logprobs: -1, PromptLogprobs: -1},
		{Tokens: []int{1, 'x'}, MaxTokens: 3, Temperature: 1, TopP: 1, Repetition: 1, Logprobs: -1, PromptLogprobs: -1},
	}
	if diff := cmp.Diff(want, d.asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
