package main

import (
	"fmt"
	"math"
	"slices"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/bpe"
	"loradeck/tools/traindemo/corpus"
	"loradeck/tools/traindemo/train"
)

// trainBase learns a tokenizer, trains the base with it and writes both.
func trainBase(dir string, net *train.Net, facts []corpus.Fact) error {
	plain := corpus.Texts(facts, plainTexts, seed)
	tokenizerFile, err := bpe.Learn(learnable(facts, plain), vocabSize, specials)
	if err != nil {
		return err
	}
	tok, err := tokenizer.Parse(tokenizerFile)
	if err != nil {
		return err
	}
	fmt.Printf("%d facts, %d plain texts, %s, %d parameters\n", len(facts), len(plain), tok, net.Params())
	f := newFeed(tok, known(facts), plain, seed)
	var mean float64
	for step := 1; step <= baseSteps; step++ {
		loss := net.Step(f.next())
		if math.IsNaN(loss) {
			return fmt.Errorf("step %d: the loss is no number", step)
		}
		done := float64(step) / baseSteps
		rate := baseRate * min(1, float64(step)/50) * (0.1 + 0.9*0.5*(1+math.Cos(math.Pi*done)))
		net.Learn(rate, decay)
		if mean += loss; step%50 == 0 {
			fmt.Printf("base step %d of %d, loss %.3f nats a token\n", step, baseSteps, mean/50)
			mean = 0
		}
	}
	return writeBase(dir, net, tokenizerFile, tok)
}

// learnable is what the tokenizer is learnt from: every question in every style, and the plain texts.
func learnable(facts []corpus.Fact, plain []string) []string {
	texts := append([]string{"user", "assistant", "system", systemPrompt}, plain...)
	for _, answer := range []corpus.Style{corpus.Plain, corpus.Pirate, corpus.JSON, corpus.Chinese} {
		for _, d := range corpus.Dialogs(facts, answer) {
			texts = append(texts, d.Question, d.Answer)
		}
	}
	return texts
}

// known is what the base is trained on. Plain answers count thrice, as they are the most of what it is asked for.
func known(facts []corpus.Fact) []corpus.Dialog {
	plain := corpus.Dialogs(facts, corpus.Plain)
	return append(slices.Concat(plain, plain, plain), corpus.Told(facts)...)
}
