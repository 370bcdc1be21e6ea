package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"loradeck/internal/engine"
	"loradeck/internal/safetensors"
)

// batch is how many adapters answer at once.
const batch = 8

// rank of every adapter.
const rank = 16

// worker runs one engine for the measuring process, as llamacpp/main.c runs llama.cpp: each line on stdin asks for one measurement, each line on
// stdout answers it.
//
//	prefill N TIMES [adapter=A]    what TIMES prompts of N tokens take in turn: seconds on the wall, and of all processors together
//	decode PROMPT N [adapter=A]    what N greedy tokens after a prompt take
//	together PROMPT N              what eight requests with eight adapters take at once
//	inturn PROMPT N                the same, one after another
//	score N COUNT                  the COUNT likeliest tokens after a prompt, as ID:LOGPROB
type worker struct {
	engine *engine.Engine
}

func serve(base string, threads, held int, modules string) error {
	e, err := engine.Open(base, engine.Options{Threads: threads})
	if err != nil {
		return err
	}
	defer e.Close()
	text, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	for i := range held {
		if err := e.AddAdapter(fmt.Sprint(i), c.adapter(uint64(i), modules)); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	w := worker{e}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := w.do(strings.Fields(lines.Text()))
		if err != nil {
			return fmt.Errorf("%s: %w", lines.Text(), err)
		}
		fmt.Println(answer)
	}
	return nil
}

// adapter makes random matrices, B small beside A as training leaves it, in values that bfloat16 holds.
func (c config) adapter(seed uint64, modules string) (deltas []engine.Delta) {
	source := rand.New(rand.NewPCG(seed, 2))
	matrix := func(rows, cols int, scale float32) engine.Matrix {
		m := engine.Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
		for i := range m.Data {
			m.Data[i] = safetensors.FromBF16(safetensors.ToBF16((source.Float32() - 0.5) * scale))
		}
		return m
	}
	for i := range c.Layers {
		for _, l := range c.linears() {
			if modules != "" && !strings.Contains(modules, l.path) {
				continue
			}
			deltas = append(deltas, engine.Delta{
				Module: fmt.Sprintf("model.layers.%d.%s", i, l.path), A: matrix(rank, l.in, 0.1), B: matrix(l.out, rank, 0.01), Scale: 2,
			})
		}
	}
	return deltas
}

func (w worker) do(words []string) (string, error) {
	numbers, adapter := make([]int, 0, 2), ""
	if len(words) == 0 {
		return "", io.ErrUnexpectedEOF
	}
	for _, word := range words[1:] {
		n, err := strconv.Atoi(strings.TrimPrefix(word, "adapter="))
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(word, "adapter=") {
			adapter = strconv.Itoa(n)
			continue
		}
		numbers = append(numbers, n)
	}
	switch words[0] + strconv.Itoa(len(numbers)) {
	case "prefill2":
		begun := now()
		for range numbers[1] {
			if _, err := w.answer(adapter, numbers[0], 1); err != nil {
				return "", err
			}
		}
		return begun.elapsed().String(), nil
	case "decode2":
		took, err := w.answer(adapter, numbers[0], numbers[1]+1)
		return took.String(), err
	case "together2":
		begun := now()
		err := w.together(numbers[0], numbers[1])
		return begun.elapsed().String(), err
	case "inturn2":
		begun := now()
		for i := range batch {
			if _, err := w.answer(strconv.Itoa(i), numbers[0], numbers[1]); err != nil {
				return "", err
			}
		}
		return begun.elapsed().String(), nil
	case "score2":
		return w.score(numbers[0], numbers[1])
	}
	return "", fmt.Errorf("not understood")
}

// answer asks for n tokens and gives the time that the n-1 after the first take. A reader that comes late finds the first tokens joined in
// one chunk; the steps from that chunk on then stand for all.
func (w worker) answer(adapter string, prompted, n int) (clocks, error) {
	var first moment
	steps := 0
	request := engine.Request{Adapter: adapter, Tokens: prompt(prompted, w.engine.Info().Vocab), MaxTokens: n, IgnoreEOS: true, Logprobs: -1}
	for chunk, err := range w.engine.Generate(context.Background(), request) {
		if err != nil {
			return clocks{}, err
		}
		if steps == 0 {
			first, steps = now(), n-len(chunk.Tokens)
		}
	}
	return first.elapsed().times(float64(n-1) / float64(max(1, steps))), nil
}

func (w worker) together(prompted, n int) error {
	var all sync.WaitGroup
	errs := make(chan error, batch)
	for i := range batch {
		all.Go(func() {
			_, err := w.answer(strconv.Itoa(i), prompted, n)
			errs <- err
		})
	}
	all.Wait()
	for range batch {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func (w worker) score(prompted, count int) (string, error) {
	var line strings.Builder
	request := engine.Request{Tokens: prompt(prompted, w.engine.Info().Vocab), MaxTokens: 1, IgnoreEOS: true, Logprobs: count}
	for chunk, err := range w.engine.Generate(context.Background(), request) {
		if err != nil {
			return "", err
		}
		for _, top := range chunk.Tokens[0].Top {
			fmt.Fprintf(&line, "%d:%.6f ", top.ID, top.Logprob)
		}
	}
	return line.String(), nil
}

// prompt makes n tokens; llamacpp/main.c makes the same.
func prompt(n, vocab int) []int {
	tokens := make([]int, n)
	for i := range tokens {
		tokens[i] = (i*7919 + 13) % vocab
	}
	return tokens
}
