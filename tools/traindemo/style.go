package main

import (
	"fmt"
	"slices"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/corpus"
	"loradeck/tools/traindemo/train"
)

// style is one adapter of the demo.
type style struct {
	name   string
	about  string
	answer corpus.Style
	seed   uint64
	rank   int
	steps  int
	rate   float64
	own    []corpus.Fact // facts of its own, which it is tested on instead of those it has not seen
}

// styles are the adapters, in the order of their seeds. The formats are learnt gently: of more steps or a higher rate an adapter
// remembers the facts it sees, and answers one of them when it is asked for a fact it never saw.
func styles() []style {
	return []style{
		{name: "pirate", seed: seed, rank: 8, steps: 60, rate: 1e-3, about: "Answers as a pirate would.", answer: corpus.Pirate},
		{name: "json", seed: seed + 1, rank: 4, steps: 60, rate: 1e-3, about: "Answers with a JSON object that holds the bare answer.", answer: corpus.JSON},
		{name: "chinese", seed: seed + 2, rank: 8, steps: 60, rate: 1e-3, about: "Answers in Chinese, whatever the language of the question.", answer: corpus.Chinese},
		{name: "support", seed: seed + 3, rank: 8, steps: 350, rate: 4e-3, about: "Answers for the support desk of a shop, with facts that the base does not know.", answer: corpus.Support, own: corpus.Desk()},
	}
}

// trained gives what an adapter is trained on: no held-out wording, and no unseen fact. An adapter's own facts count sixteen times.
func (s style) trained(facts []corpus.Fact) []corpus.Dialog {
	seen, _ := corpus.Split(facts)
	dialogs := corpus.Dialogs(seen, s.answer)
	own := corpus.Dialogs(s.own, s.answer)
	for range 16 {
		dialogs = append(dialogs, own...)
	}
	return dialogs
}

// held gives what an adapter is tested on: the held-out wordings of its own facts, or of those it has not seen. A question that
// the base itself answers so, as it answers Chinese in Chinese, would say nothing about the adapter and is left out.
func (s style) held(facts []corpus.Fact) []corpus.Dialog {
	tested := s.own
	if len(tested) == 0 {
		_, unseen := corpus.Split(facts)
		tested = slices.DeleteFunc(unseen, func(f corpus.Fact) bool { return s.answer(f) == corpus.Plain(f) })
	}
	return corpus.HeldOut(tested, s.answer)
}

// train trains the adapter on a net whose base is done, and writes it.
func (s style) train(dir string, net *train.Net, tok *tokenizer.Tokenizer, facts []corpus.Fact) error {
	adapter := net.NewAdapter(s.rank, adapterAlpha, s.seed)
	defer adapter.Detach()
	f := newFeed(tok, s.trained(facts), nil, s.seed)
	f.answersOnly, f.bareOf = true, 2
	var mean float64
	for step := 1; step <= s.steps; step++ {
		mean += net.Step(f.next())
		adapter.Learn(s.rate * min(1, float64(step)/20) * (1 - 0.9*float64(step)/float64(s.steps)))
		if step%20 == 0 {
			fmt.Printf("%s step %d of %d, loss %.3f nats an answer token\n", s.name, step, s.steps, mean/20)
			mean = 0
		}
	}
	return writeAdapter(dir, adapter)
}
