// Command traindemo makes the demo model of the local platform: it learns a tokenizer, trains a tiny Llama on the corpus
// beside it and two LoRA adapters on top, tests all three on wordings that were held out, and writes the Hugging Face and peft
// directories, each with its card, into internal/local/demo.
//
//	go run ./tools/traindemo            # a quarter of an hour on two cores
//	go run ./tools/traindemo -out DIR   # somewhere else
//	go run ./tools/traindemo -measure   # only test what is there and write its cards anew
//
// Run twice on one kind of processor it writes the same bytes. Nothing here is part of the product.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/bpe"
	"loradeck/tools/traindemo/corpus"
	"loradeck/tools/traindemo/train"
)

// The recipe. Changing a number here changes the model; run the tool and commit what it writes.
const (
	vocabSize    = 1024
	baseSteps    = 900
	baseRate     = 3e-3
	decay        = 0.1
	adapterSteps = 240
	adapterRate  = 4e-3
	adapterRank  = 8
	adapterAlpha = 16
	batch        = 8
	length       = 256
	plainTexts   = 2000
	seed         = 7
)

var shape = train.Shape{
	Vocab: vocabSize, Hidden: 192, Inner: 512, Layers: 4, Heads: 6, KVHeads: 3, Context: 1024, Theta: 10000, Eps: 1e-5,
}

func main() {
	out := flag.String("out", filepath.Join("internal", "local", "demo"), "folder to write base/ and adapters/ into")
	threads := flag.Int("threads", runtime.NumCPU(), "threads to train on; the result is the same for any number")
	only := flag.Bool("measure", false, "train nothing: test what is in the folder and write its cards")
	flag.Parse()
	do := func() error { return run(*out, *threads) }
	if *only {
		do = func() error { return measure(*out, corpus.Facts()) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "traindemo:", err)
		os.Exit(1)
	}
}

func run(out string, threads int) error {
	begun := time.Now()
	facts := corpus.Facts()
	plain := corpus.Texts(facts, plainTexts, seed)
	tokenizerFile, err := bpe.Learn(learnable(facts, plain), vocabSize, specials)
	if err != nil {
		return err
	}
	tok, err := tokenizer.Parse(tokenizerFile)
	if err != nil {
		return err
	}
	net := train.New(shape, batch, length, threads, seed)
	defer net.Close()
	fmt.Printf("%d facts, %d plain texts, %s, %d parameters\n", len(facts), len(plain), tok, net.Params())

	base := baseRun{net: net, feed: newFeed(tok, corpus.Dialogs(facts, corpus.Plain), plain, seed)}
	if err := base.train(); err != nil {
		return err
	}
	if err := writeBase(filepath.Join(out, "base"), net, tokenizerFile, tok); err != nil {
		return err
	}
	for i, style := range styles {
		adapter := net.NewAdapter(adapterRank, adapterAlpha, seed+uint64(i))
		feed := newFeed(tok, corpus.Dialogs(facts, style.answer), nil, seed+uint64(i))
		feed.answersOnly = true
		trainAdapter(style.name, net, adapter, feed)
		if err := writeAdapter(filepath.Join(out, "adapters", style.name), adapter); err != nil {
			return err
		}
		adapter.Detach()
	}
	fmt.Printf("trained in %s\n", time.Since(begun).Round(time.Second))
	return measure(out, facts)
}
