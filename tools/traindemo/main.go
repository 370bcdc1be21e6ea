// Command traindemo makes the demo model of the local platform: it learns a tokenizer, trains a tiny Llama on the corpus
// beside it and four LoRA adapters on top, tests all five on wordings that were held out, and writes the Hugging Face and peft
// directories, each with its card, into internal/local/demo.
//
//	go run ./tools/traindemo            # half an hour on two busy cores
//	go run ./tools/traindemo -out DIR   # somewhere else
//	go run ./tools/traindemo -only json # train this adapter again, on the base that is there
//	go run ./tools/traindemo -measure   # only test what is there and write its cards anew
//	go run ./tools/traindemo -scores F  # write what the engine thinks of some answers, for peft/compare.py
//
// Run twice on one kind of processor it writes the same bytes, and so does -only. Nothing here is part of the product.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/corpus"
	"loradeck/tools/traindemo/train"
)

// The recipe. Changing a number here changes the model; run the tool and commit what it writes.
const (
	vocabSize    = 1536
	baseSteps    = 1100
	baseRate     = 3e-3
	decay        = 0.1
	highestRank  = 8
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
	only := flag.String("only", "", "train this adapter alone, on the base that is in the folder")
	untrained := flag.Bool("measure", false, "train nothing: test what is in the folder and write its cards")
	scores := flag.String("scores", "", "train nothing: write the engine's log probabilities into this file")
	flag.Parse()
	do := func() error { return run(*out, *threads, *only) }
	switch {
	case *scores != "":
		do = func() error { return writeScores(*out, *scores) }
	case *untrained:
		do = func() error { return measure(*out, corpus.Facts()) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "traindemo:", err)
		os.Exit(1)
	}
}

// run trains all, or the adapter named in only, and measures all.
func run(out string, threads int, only string) error {
	begun := time.Now()
	facts := corpus.Facts()
	chosen := styles()
	if only != "" {
		chosen = slices.DeleteFunc(chosen, func(s style) bool { return s.name != only })
		if len(chosen) == 0 {
			return fmt.Errorf("there is no adapter %q", only)
		}
	}
	net := train.New(shape, batch, length, threads, seed)
	defer net.Close()
	if only == "" {
		if err := trainBase(filepath.Join(out, "base"), net, facts); err != nil {
			return err
		}
	} else if err := net.ReadBase(filepath.Join(out, "base", "model.safetensors")); err != nil {
		return err
	}
	tok, err := tokenizer.Open(filepath.Join(out, "base", "tokenizer.json"))
	if err != nil {
		return err
	}
	for _, s := range chosen {
		if err := s.train(filepath.Join(out, "adapters", s.name), net, tok, facts); err != nil {
			return err
		}
	}
	fmt.Printf("trained in %s\n", time.Since(begun).Round(time.Second))
	return measure(out, facts)
}
