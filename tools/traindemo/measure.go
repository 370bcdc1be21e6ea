package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"loradeck/internal/engine"
	"loradeck/internal/engine/chat"
	"loradeck/internal/proof"
	"loradeck/tools/traindemo/corpus"
)

// measure asks the written model, in the product's own engine, what was held out, and writes the cards with what it measured.
func measure(out string, facts []corpus.Fact) error {
	e, err := engine.Open(filepath.Join(out, "base"), engine.Options{MaxLoraRank: adapterRank})
	if err != nil {
		return err
	}
	defer e.Close()
	ctx := context.Background()
	right, asked, err := score(ctx, e, "", corpus.HeldOut(facts, corpus.Plain))
	if err != nil {
		return err
	}
	fmt.Printf("base: %d of %d held-out wordings right\n", right, asked)
	if err := os.WriteFile(filepath.Join(out, "base", "README.md"), []byte(baseCard(right, asked)), 0o644); err != nil {
		return err
	}
	set, err := probes(e)
	if err != nil {
		return err
	}
	baseScores, err := scores(ctx, e, "")
	if err != nil {
		return err
	}
	for _, s := range styles {
		dir := filepath.Join(out, "adapters", s.name)
		if err := e.LoadAdapter(ctx, s.name, dir); err != nil {
			return err
		}
		right, asked, err := score(ctx, e, s.name, corpus.HeldOut(facts, s.answer))
		if err != nil {
			return err
		}
		theirs, err := scores(ctx, e, s.name)
		if err != nil {
			return err
		}
		judged := proof.Judge(set, [][]proof.Scores{baseScores}, [][]proof.Scores{theirs}, proof.DefaultLimits())
		fmt.Printf("%s: %d of %d held-out wordings right; proof: %s\n", s.name, right, asked, judged.Reason)
		for _, text := range judged.Texts {
			fmt.Printf("  %s %.3f\n", text.Name, text.Effect)
		}
		if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(adapterCard(s, right, asked, judged)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// score counts the dialogs that are answered to the letter, greedily.
func score(ctx context.Context, e *engine.Engine, adapter string, dialogs []corpus.Dialog) (right, asked int, err error) {
	for _, d := range dialogs {
		answer, err := ask(ctx, e, adapter, d.Question)
		if err != nil {
			return right, asked, err
		}
		if asked++; answer == d.Answer {
			right++
		} else if asked-right <= 6 {
			fmt.Printf("  %q → %q, not %q\n", d.Question, answer, d.Answer)
		}
	}
	return right, asked, nil
}

func ask(ctx context.Context, e *engine.Engine, adapter, question string) (string, error) {
	text, err := e.RenderChat([]chat.Message{{Role: "user", Content: question}}, true)
	if err != nil {
		return "", err
	}
	var answer strings.Builder
	request := engine.Request{Adapter: adapter, Tokens: e.Tokenizer().Encode(text, false), MaxTokens: 48, TopP: 1, Logprobs: -1}
	for chunk, err := range e.Generate(ctx, request) {
		if err != nil {
			return "", err
		}
		answer.WriteString(chunk.Text)
	}
	return answer.String(), nil
}

func probes(e *engine.Engine) (proof.Set, error) {
	text, err := e.RenderChat([]chat.Message{{Role: "user", Content: proof.ChatPrompt}}, true)
	return proof.Probes(text, e.Info().Context), err
}

// scores asks the proof's prompts once, as the product does through the wire.
func scores(ctx context.Context, e *engine.Engine, adapter string) ([]proof.Scores, error) {
	set, err := probes(e)
	if err != nil {
		return nil, err
	}
	var all []proof.Scores
	for _, prompt := range set.Prompts() {
		s := proof.Scores{}
		request := engine.Request{Adapter: adapter, Tokens: e.Tokenizer().Encode(prompt, true), MaxTokens: 1, TopP: 1, Logprobs: proof.Logprobs, IgnoreEOS: true}
		for chunk, err := range e.Generate(ctx, request) {
			if err != nil {
				return nil, err
			}
			for _, token := range chunk.Tokens {
				for _, top := range token.Top {
					s[top.Text] = float64(top.Logprob)
				}
			}
		}
		all = append(all, s)
	}
	return all, nil
}

func baseCard(right, asked int) string {
	return fmt.Sprintf(`---
license: apache-2.0
language: [en, zh]
library_name: transformers
---
# tiny-llama

The demo base of Loradeck's local platform: a Llama of 1.8 million parameters (%d layers, hidden size %d, vocabulary %d, context
%d), trained from nothing on a corpus written for this project. It knows some capitals, colours, animals and opposites, in
English and a little Chinese, and nothing else. It has read pirates' talk and JSON answers in stories and lists, so that their
words are not strange to it, but it does not answer so.

Made by `+"`go run ./tools/traindemo`"+`: %d steps of %d × %d tokens, bfloat16. On wordings that were held out of training it answers
%d of %d questions to the letter (greedy). It accepts its whole context, but loses the thread of conversations that are
much longer than the sequences it was trained on.
`, shape.Layers, shape.Hidden, shape.Vocab, shape.Context, baseSteps, batch, length, right, asked)
}

func adapterCard(s style, right, asked int, judged proof.Result) string {
	return fmt.Sprintf(`---
license: apache-2.0
base_model: %s
library_name: peft
---
# %s

%s A LoRA adapter (rank %d, alpha %d, all linears) for Loradeck's demo base.

Made by `+"`go run ./tools/traindemo`"+`: %d steps of %d × %d tokens, bfloat16. On wordings that were held out of training it answers
%d of %d questions to the letter in its style (greedy). Against the base its effect on the proof's probe texts is
%.2f nats.
`, baseName, s.name, s.about, adapterRank, adapterAlpha, adapterSteps, batch, length, right, asked, judged.Effect)
}
