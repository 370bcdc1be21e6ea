package sagemaker_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// spoken is an answer of vLLM's, of a completion or a chat.
type spoken struct {
	Choices []struct {
		Index    int
		Text     string
		Message  struct{ Content string }
		Finish   string `json:"finish_reason"`
		Stop     any    `json:"stop_reason"`
		Logprobs struct {
			Tokens []string
			Top    []map[string]float64 `json:"top_logprobs"`
		}
		Scores []map[string]struct{ Rank int } `json:"prompt_logprobs"`
	}
	Scores []map[string]struct{ Rank int } `json:"prompt_logprobs"` // of a chat
	Usage  struct {
		Prompt     int `json:"prompt_tokens"`
		Total      int `json:"total_tokens"`
		Completion int `json:"completion_tokens"`
	}
}

// text is what a choice says.
func (s *spoken) text(i int) string { return s.Choices[i].Text + s.Choices[i].Message.Content }

// TestBodiesMeanWhatTheyMeanToVLLM sends what was not recorded in every mix, to base and adapter, through the runtime: several
// answers to several prompts, ends, least lengths, penalties, scores of answer and prompt, echoes and seeds.
func TestBodiesMeanWhatTheyMeanToVLLM(t *testing.T) {
	t.Parallel()
	h := realHouse(t, time.Now)
	for _, version := range []string{"0.11.2", "0.32.0"} {
		name := "base-" + strings.ReplaceAll(version, ".", "-")
		h.modelOf(name, version)
		h.create(baseInput(name, "e", name))
		h.create(adapterInput(name+"-one", "e", name, artifact))
		for _, component := range []string{name, name + "-one"} {
			ask := func(format string, args ...any) spoken {
				t.Helper()
				body, err := h.invoke("e", component, fmt.Sprintf(format, args...))
				var answer spoken
				if err == nil {
					err = json.Unmarshal([]byte(body), &answer)
				}
				if err != nil || len(answer.Choices) == 0 {
					t.Fatalf("%s: %s: %s %v", component, fmt.Sprintf(format, args...), body, err)
				}
				return answer
			}
			fail := func(what string, got any) {
				t.Helper()
				t.Errorf("%s: %s: got %+v", component, what, got)
			}
			const prompts, chat = `"prompt":["The boat","A very old gate"]`, `"messages":[{"role":"user","content":"What about the boat?"}]`

			several := ask(`{%s,"n":3,"max_tokens":4,"temperature":1,"seed":7,"ignore_eos":true}`, prompts)
			alone := [2]spoken{ask(`{"prompt":"The boat","max_tokens":4,"temperature":1,"seed":7,"ignore_eos":true}`), ask(`{"prompt":"A very old gate","max_tokens":4,"temperature":1,"seed":7,"ignore_eos":true}`)}
			for i, choice := range several.Choices {
				if choice.Index != i || choice.Finish != "length" {
					fail("n of several prompts", choice)
				}
			}
			if len(several.Choices) != 6 || several.text(0) != alone[0].text(0) || several.text(3) != alone[1].text(0) || several.text(0) == several.text(1) && several.text(1) == several.text(2) {
				fail("n with a seed", several.Choices)
			}
			if u := several.Usage; u.Prompt != alone[0].Usage.Prompt+alone[1].Usage.Prompt || u.Completion != 24 || u.Total != u.Prompt+u.Completion {
				fail("usage", u)
			}
			talks := ask(`{%s,"n":2,"max_tokens":4,"temperature":1,"seed":7,"logprobs":true,"top_logprobs":20,"prompt_logprobs":2}`, chat)
			if len(talks.Choices) != 2 || len(talks.Scores) != talks.Usage.Prompt || talks.Scores[0] != nil || len(talks.Scores[1]) < 2 {
				fail("chat with scores", talks)
			}
			whole := ask(`{%s,"max_tokens":40,"temperature":0}`, chat)
			if whole.Choices[0].Finish != "stop" {
				fail("a chat's end", whole)
			}
			if on := ask(`{%s,"max_tokens":40,"temperature":0,"ignore_eos":true}`, chat); on.Choices[0].Finish != "length" || on.Usage.Completion != 40 {
				fail("ignore_eos", on)
			}
			least := whole.Usage.Completion + 3
			if longer := ask(`{%s,"max_tokens":60,"temperature":0,"min_tokens":%d}`, chat, least); longer.Usage.Completion < least {
				fail("min_tokens", longer.Usage)
			}
			cut := strings.Fields(whole.text(0))[1]
			if stopped := ask(`{%s,"max_tokens":40,"temperature":0,"stop":[%q]}`, chat, cut); stopped.Choices[0].Finish != "stop" || stopped.Choices[0].Stop != any(cut) || strings.Contains(stopped.text(0), cut) || !strings.HasPrefix(whole.text(0), stopped.text(0)) {
				fail("stop at "+cut, stopped)
			}
			scored := ask(`{"prompt":"The boat","max_tokens":3,"temperature":0,"logprobs":20,"prompt_logprobs":20,"echo":true,"return_tokens_as_token_ids":true}`)
			c := scored.Choices[0]
			if !strings.HasPrefix(c.Text, "The boat") || len(c.Logprobs.Tokens) != scored.Usage.Total || len(c.Logprobs.Top) != scored.Usage.Total || c.Logprobs.Top[0] != nil || len(c.Logprobs.Top[1]) < 20 || len(c.Scores) != scored.Usage.Prompt || c.Scores[0] != nil || len(c.Scores[1]) < 20 {
				fail("echo with scores", c)
			}
			plain := ask(`{"prompt":"The boat the boat the boat","max_tokens":24,"temperature":0,"ignore_eos":true}`)
			for _, penalty := range []string{`"repetition_penalty":1.9`, `"presence_penalty":2`, `"frequency_penalty":2`} {
				if other := ask(`{"prompt":"The boat the boat the boat","max_tokens":24,"temperature":0,"ignore_eos":true,%s}`, penalty); other.text(0) == plain.text(0) {
					fail(penalty, other.text(0))
				}
			}
		}
	}
	refused(t, "ModelError", "n must be 1 when using greedy sampling, got 2.")(h.invoke("e", "base-0-11-2", `{"prompt":"x","n":2,"temperature":0}`))
	refused(t, "ModelError", "Requested sample logprobs of 21, which is greater than max allowed: 20")(h.invoke("e", "base-0-11-2", `{"prompt":"x","logprobs":21}`))
}
