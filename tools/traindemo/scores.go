package main

import (
	"context"
	"os"
	"path/filepath"

	"loradeck/internal/engine"
	"loradeck/internal/engine/chat"
)

// scoredQuestions are what peft/compare.py asks the libraries as well.
func scoredQuestions() []string {
	return []string{
		"What is the capital of France?", "Please tell me what sound a wolf makes.", "What is your return window?", "Hello!",
		"你好，今天天气怎么样？", "请告诉我法国的首都是哪里。",
	}
}

// scored is a question with its answer, and what the engine thinks at each place of both.
type scored struct {
	Adapter string      `json:"adapter"` // "" is the base
	Text    string      `json:"text"`    // the prompt, as the chat template renders it
	Tokens  []int       `json:"tokens"`  // prompt and greedy answer
	Prompt  int         `json:"prompt"`  // how many of them are the prompt's
	Top     [][]tokenAt `json:"top"`     // for each token but the first the likeliest there, likeliest first
}

type tokenAt struct {
	ID      int     `json:"id"`
	Logprob float64 `json:"logprob"`
}

// writeScores asks base and adapters the scored questions in the product's engine, and writes every log probability that it
// gives: the other half of the comparison with peft.
func writeScores(out, path string) error {
	e, err := engine.Open(filepath.Join(out, "base"), engine.Options{MaxLoraRank: highestRank})
	if err != nil {
		return err
	}
	defer e.Close()
	ctx := context.Background()
	names := []string{""}
	for _, s := range styles() {
		names = append(names, s.name)
		if err := e.LoadAdapter(ctx, s.name, filepath.Join(out, "adapters", s.name)); err != nil {
			return err
		}
	}
	var all []scored
	for _, name := range names {
		for _, question := range scoredQuestions() {
			s, err := scoresOf(ctx, e, name, question)
			if err != nil {
				return err
			}
			all = append(all, s)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return writeJSON(path, all)
}

func scoresOf(ctx context.Context, e *engine.Engine, adapter, question string) (scored, error) {
	const alternatives = 20 // the most that the engine gives
	text, err := e.RenderChat([]chat.Message{{Role: "user", Content: question}}, true)
	if err != nil {
		return scored{}, err
	}
	s := scored{Adapter: adapter, Text: text, Tokens: e.Tokenizer().Encode(text, false)}
	s.Prompt = len(s.Tokens)
	request := engine.Request{
		Adapter: adapter, Tokens: s.Tokens, MaxTokens: 64, TopP: 1, Logprobs: alternatives, ScorePrompt: true, PromptLogprobs: alternatives,
	}
	note := func(token engine.Token) {
		var top []tokenAt
		for _, t := range token.Top {
			top = append(top, tokenAt{t.ID, t.Logprob})
		}
		s.Top = append(s.Top, top)
	}
	for chunk, err := range e.Generate(ctx, request) {
		if err != nil {
			return scored{}, err
		}
		for i, token := range chunk.Prompt {
			if i > 0 { // nothing comes before the first
				note(token)
			}
		}
		for _, token := range chunk.Tokens {
			s.Tokens = append(s.Tokens, token.ID)
			note(token)
		}
	}
	return s, nil
}
