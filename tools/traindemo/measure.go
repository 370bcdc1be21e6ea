package main

import (
	"cmp"
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
	e, err := engine.Open(filepath.Join(out, "base"), engine.Options{MaxLoraRank: highestRank})
	if err != nil {
		return err
	}
	defer e.Close()
	ctx := context.Background()
	for _, s := range styles() {
		if err := e.LoadAdapter(ctx, s.name, filepath.Join(out, "adapters", s.name)); err != nil {
			return err
		}
	}
	held := corpus.HeldOut(facts, corpus.Plain)
	right, err := score(ctx, e, "", inChat, held, complain)
	if err != nil {
		return err
	}
	rightBare, err := score(ctx, e, "", bare, held, complain)
	if err != nil {
		return err
	}
	fmt.Printf("base: %d of %d held-out wordings right, asked bare %d\n", right, len(held), rightBare)
	if err := os.WriteFile(filepath.Join(out, "base", "README.md"), []byte(baseCard(right, rightBare, len(held), e.Info().Params)), 0o644); err != nil {
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
	for _, s := range styles() {
		m, err := s.measured(ctx, e, facts)
		if err != nil {
			return err
		}
		theirs, err := scores(ctx, e, s.name)
		if err != nil {
			return err
		}
		m.proof = proof.Judge(set, [][]proof.Scores{baseScores}, [][]proof.Scores{theirs}, proof.DefaultLimits())
		fmt.Printf("%s: %d of %d held-out questions right, asked bare %d; proof: %s %s\n", s.name, m.right, m.asked, m.rightBare, m.proof.Verdict, m.proof.Reason)
		if err := os.WriteFile(filepath.Join(out, "adapters", s.name, "README.md"), []byte(adapterCard(s, m)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// measured is what an adapter's card tells.
type measured struct {
	right, asked int
	rightBare    int      // of the same questions, asked without the chat template
	others       []string // rows of what the base and the other adapters get right of the same questions
	proof        proof.Result
}

// measured asks the adapter its held-out questions, and everyone else too.
func (s style) measured(ctx context.Context, e *engine.Engine, facts []corpus.Fact) (measured, error) {
	var m measured
	var err error
	held := s.held(facts)
	m.asked = len(held)
	if m.right, err = score(ctx, e, s.name, inChat, held, complain); err != nil {
		return m, err
	}
	if m.rightBare, err = score(ctx, e, s.name, bare, held, complain); err != nil {
		return m, err
	}
	for _, other := range append([]style{{}}, styles()...) {
		if other.name == s.name {
			continue
		}
		right, err := score(ctx, e, other.name, inChat, held, quiet)
		if err != nil {
			return m, err
		}
		m.others = append(m.others, fmt.Sprintf("| %s | %d |", cmp.Or(other.name, "the base"), right))
	}
	return m, nil
}

// form is how a question is put to the engine, as tokens.
type form func(e *engine.Engine, question string) ([]int, error)

// inChat puts a question through the chat template, as chat completions do.
func inChat(e *engine.Engine, question string) ([]int, error) {
	text, err := e.RenderChat([]chat.Message{{Role: "user", Content: question}}, true)
	return e.Tokenizer().Encode(text, false), err
}

// bare puts a question as it stands, as completions do.
func bare(e *engine.Engine, question string) ([]int, error) {
	return e.Tokenizer().Encode(question, true), nil
}

// score counts the dialogs that are answered to the letter, greedily, and calls wrong to tell of each of the others. Space
// around an answer does not count: asked bare, it stands on the next line.
func score(ctx context.Context, e *engine.Engine, adapter string, put form, dialogs []corpus.Dialog, wrong func(d corpus.Dialog, answer string)) (right int, err error) {
	for _, d := range dialogs {
		answer, err := ask(ctx, e, adapter, put, d.Question)
		if err != nil {
			return right, err
		}
		if strings.TrimSpace(answer) == d.Answer {
			right++
		} else {
			wrong(d, answer)
		}
	}
	return right, nil
}

// complain prints a wrong answer.
func complain(d corpus.Dialog, answer string) {
	fmt.Printf("  %q → %q, not %q\n", d.Question, answer, d.Answer)
}

// quiet says nothing of a wrong answer: of an adapter in another's place they are all wrong.
func quiet(corpus.Dialog, string) {}

func ask(ctx context.Context, e *engine.Engine, adapter string, put form, question string) (string, error) {
	tokens, err := put(e, question)
	if err != nil {
		return "", err
	}
	var answer strings.Builder
	request := engine.Request{Adapter: adapter, Tokens: tokens, MaxTokens: 96, TopP: 1, Logprobs: -1}
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
