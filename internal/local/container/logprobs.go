package container

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// leastLogprob stands for minus infinity, which JSON cannot hold.
const leastLogprob = -9999.0

// completionLogprobs are logprobs as a completion gives them.
type completionLogprobs struct {
	TextOffset    []int           `json:"text_offset"`
	TokenLogprobs []*float64      `json:"token_logprobs"`
	Tokens        []string        `json:"tokens"`
	TopLogprobs   []likeliestList `json:"top_logprobs"`
}

// likeliestList is written as one JSON object, token to logprob; of two tokens with one text the later value counts.
type likeliestList []likely

type likely struct {
	token   string
	logprob *float64
}

// MarshalJSON writes the object in the list's order, and null for none.
func (l likeliestList) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("null"), nil
	}
	out := &object{}
	for _, one := range l {
		if one.logprob == nil {
			out.set(one.token, nil)
			continue
		}
		out.set(one.token, *one.logprob)
	}
	return out.MarshalJSON()
}

// chatLogprobs are logprobs as a chat gives them.
type chatLogprobs struct {
	Content []chatToken `json:"content"`
}

type chatToken struct {
	Token       string       `json:"token"`
	Logprob     *float64     `json:"logprob"`
	Bytes       byteList     `json:"bytes"`
	TopLogprobs []chatLikely `json:"top_logprobs"`
}

type chatLikely struct {
	Token   string   `json:"token"`
	Logprob *float64 `json:"logprob"`
	Bytes   byteList `json:"bytes"`
}

// byteList is written as a list of numbers, not as base64.
type byteList string

// MarshalJSON writes the list.
func (b byteList) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('[')
	for i := range len(b) {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprint(&out, b[i])
	}
	out.WriteByte(']')
	return out.Bytes(), nil
}

// bounded is a logprob for JSON: minus infinity is cut off, NaN is null.
func bounded(logprob float64) *float64 {
	if math.IsNaN(logprob) {
		return nil
	}
	logprob = max(logprob, leastLogprob)
	return &logprob
}

// broken reports whether an answer has a logprob that is no number: without streaming, vLLM 0.11.2 then fails bare
// (recordings, nan.json).
func broken(answers []answer) bool {
	for _, a := range answers {
		for _, t := range slices.Concat(a.prompt, a.tokens) {
			if math.IsNaN(t.Logprob) {
				return true
			}
			for _, alternative := range t.Top {
				if math.IsNaN(alternative.Logprob) {
					return true
				}
			}
		}
	}
	return false
}

// reports says whether the client asked for logprobs, of the answer or of the prompt.
func (x *exchange) reports() bool { return x.logprobs >= 0 || x.scores >= 0 }

// ranked lists the chosen token first, then the k likeliest others; where the chosen one is itself among the k likeliest
// there is one other fewer. That is the order and the number of vLLM's own table.
func ranked(t Token, k int) []Alternative {
	out := []Alternative{{ID: t.ID, Text: t.Text, Logprob: t.Logprob}}
	above := 0
	for _, a := range t.Top {
		if a.ID != t.ID && a.Logprob > t.Logprob {
			above++
		}
	}
	if above < k {
		k--
	}
	for _, a := range t.Top {
		if len(out) > k {
			break
		}
		if a.ID != t.ID {
			out = append(out, a)
		}
	}
	return out
}

func (x *exchange) tokenText(id int, text string) string {
	if x.asIDs {
		return fmt.Sprintf("token_id:%d", id)
	}
	return text
}

// completionLogprobs gives nil when none were asked for. prompt is what is echoed of it; its first token follows nothing and
// has null for a logprob. offset is where in the answer's text the first token begins.
func (x *exchange) completionLogprobs(prompt, tokens []Token, offset int) *completionLogprobs {
	if x.logprobs < 0 {
		return nil
	}
	out := &completionLogprobs{TextOffset: []int{}, TokenLogprobs: []*float64{}, Tokens: []string{}, TopLogprobs: []likeliestList{}}
	add := func(t Token, logprob *float64, alternatives []Alternative) {
		token := x.tokenText(t.ID, t.Text)
		out.TextOffset = append(out.TextOffset, offset)
		out.TokenLogprobs = append(out.TokenLogprobs, logprob)
		out.Tokens = append(out.Tokens, token)
		var top likeliestList
		for _, a := range alternatives[:min(len(alternatives), x.logprobs+1)] {
			top = append(top, likely{x.tokenText(a.ID, a.Text), bounded(a.Logprob)})
		}
		out.TopLogprobs = append(out.TopLogprobs, top)
		offset += length(token)
	}
	for i, t := range prompt {
		if i == 0 {
			add(t, nil, nil)
			continue
		}
		add(t, bounded(t.Logprob), ranked(t, x.scores))
	}
	for _, t := range tokens {
		add(t, bounded(t.Logprob), ranked(t, x.logprobs))
	}
	return out
}

// promptLogprobs are the scores of a prompt's tokens, null for the first; nil when they were not asked for. Each is an object
// of token ids, the prompt's own first.
func (x *exchange) promptLogprobs(prompt []Token) []*object {
	if x.scores < 0 {
		return nil
	}
	out := make([]*object, len(prompt))
	for i, t := range prompt {
		if i == 0 {
			continue
		}
		out[i] = &object{}
		out[i].set(strconv.Itoa(t.ID), scored{bounded(t.Logprob), t.Rank, t.Text})
		for j, a := range t.Top {
			out[i].set(strconv.Itoa(a.ID), scored{bounded(a.Logprob), j + 1, a.Text})
		}
	}
	return out
}

// scored is a token in prompt_logprobs.
type scored struct {
	Logprob *float64 `json:"logprob"`
	Rank    int      `json:"rank"`
	Text    string   `json:"decoded_token"`
}

// chatLogprobs gives nil when none were asked for.
func (x *exchange) chatLogprobs(tokens []Token) *chatLogprobs {
	if x.logprobs < 0 {
		return nil
	}
	out := &chatLogprobs{Content: []chatToken{}}
	for _, t := range tokens {
		one := chatToken{Token: x.tokenText(t.ID, t.Text), Logprob: bounded(t.Logprob), Bytes: byteList(t.Text), TopLogprobs: []chatLikely{}}
		for i, a := range ranked(t, x.logprobs) {
			if i >= x.logprobs {
				break
			}
			text := x.tokenText(a.ID, a.Text)
			one.TopLogprobs = append(one.TopLogprobs, chatLikely{text, bounded(a.Logprob), byteList(text)})
		}
		out.Content = append(out.Content, one)
	}
	return out
}
