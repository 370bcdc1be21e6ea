package engine_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine"
	"loradeck/internal/lora"
)

func TestLeavingTheLoopFreesThePlace(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1, MaxRunning: 1})
	long := engine.Request{Tokens: []int{1, 2, 3}, MaxTokens: 500, IgnoreEOS: true}
	for _, err := range e.Generate(t.Context(), long) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	mine := errors.New("mine")
	var last error
	made := 0
	for c, err := range e.Generate(ctx, long) {
		cancel(mine)
		made, last = made+len(c.Tokens), err
	}
	if !errors.Is(last, mine) && made < 500 { // it may have been over before
		t.Errorf("a cancelled request ended after %d tokens with %v", made, last)
	}
	// One place only: this ends because the two before have left it.
	mustGenerate(t, e, engine.Request{Tokens: []int{1}, MaxTokens: 2, IgnoreEOS: true})
	if s := e.Stats(); s.Waiting != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestAWaitingRequestCanBeCancelled(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1, MaxRunning: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range e.Generate(t.Context(), engine.Request{Tokens: []int{1}, MaxTokens: 500, IgnoreEOS: true}) {
		if err != nil {
			t.Fatal(err)
		}
		cancel() // while the first holds the only place
		if _, err := generate(ctx, e, engine.Request{Tokens: []int{1}, MaxTokens: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if s := e.Stats(); s.Waiting != 0 {
			t.Errorf("it still waits: %+v", s)
		}
		break
	}
}

func TestARemovedAdapterFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	q := engine.Request{Adapter: "adapters/all-r8", Tokens: []int{1, 2, 3}, MaxTokens: 200, IgnoreEOS: true}
	want := mustGenerate(t, e, q)
	var got []int
	for c, err := range e.Generate(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			if err := e.RemoveAdapter(q.Adapter); err != nil {
				t.Fatal(err)
			}
			// Another of the same name must not take its place.
			if err := e.LoadAdapter(t.Context(), q.Adapter, "testdata/llama/adapters/qv-r4"); err != nil {
				t.Fatal(err)
			}
		}
		for _, token := range c.Tokens {
			got = append(got, token.ID)
		}
	}
	if !slices.Equal(got, want.IDs) {
		t.Errorf("got %v, want %v", got, want.IDs)
	}
	if again := mustGenerate(t, e, q); slices.Equal(again.IDs, want.IDs) {
		t.Error("the new adapter answers as the old one")
	}
}

func TestAdapterNamesAreTakenOnce(t *testing.T) {
	t.Parallel()
	e := openTest(t, copyOf(t, "llama", nil), engine.Options{Threads: 1, MaxLoraRank: 8})
	load := func(name, adapter string) error {
		return e.LoadAdapter(t.Context(), name, "testdata/llama/adapters/"+adapter)
	}
	if err := errors.Join(load("b", "qv-r4"), load("a", "all-r8")); err != nil {
		t.Fatal(err)
	}
	if err := load("a", "qv-r4"); lora.KindOf(err) != lora.Conflict {
		t.Errorf("a taken name: got %v", err)
	}
	if err := load("", "qv-r4"); lora.KindOf(err) != lora.Invalid {
		t.Errorf("no name: got %v", err)
	}
	if err := load("c", "pattern-r8"); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "rank 12") {
		t.Errorf("a rank over the limit in one module: got %v", err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, e.Adapters()); diff != "" {
		t.Errorf("adapters (-want +got):\n%s", diff)
	}
	if err := e.RemoveAdapter("a"); err != nil {
		t.Error(err)
	}
	if err := e.RemoveAdapter("a"); lora.KindOf(err) != lora.NotFound {
		t.Errorf("removing it twice: got %v", err)
	}
}

func TestANaNAdapterShowsAndHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	fill := func(rows, cols int, v float32) engine.Matrix {
		m := engine.Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
		for i := range m.Data {
			m.Data[i] = v
		}
		return m
	}
	nan := float32(math.NaN())
	err := e.AddAdapter("nan", []engine.Delta{{Module: "model.layers.1.mlp.up_proj", A: fill(2, 64, nan), B: fill(128, 2, 1), Scale: 1}})
	if err != nil {
		t.Fatal(err)
	}
	r := goldenRuns(t, "llama")[0]
	var wait sync.WaitGroup
	wait.Go(func() {
		q := greedyRequest(&r)
		q.Adapter = "nan"
		got, err := generate(t.Context(), e, q)
		if err != nil || !math.IsNaN(got.Tokens[0].Logprob) || !math.IsNaN(got.Tokens[0].Top[1].Logprob) {
			t.Errorf("got %+v, %v", got.Tokens, err)
		}
	})
	wait.Go(func() {
		if got, err := generate(t.Context(), e, greedyRequest(&r)); err != nil || !slices.Equal(got.IDs, r.Greedy) {
			t.Errorf("the base beside it: got %v, %v", got.IDs, err)
		}
	})
	wait.Wait()
}

func TestCloseEndsWhatRuns(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 2, MaxRunning: 1})
	var last error
	made := 0
	for c, err := range e.Generate(t.Context(), engine.Request{Tokens: []int{1}, MaxTokens: 500, IgnoreEOS: true}) {
		if err == nil {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
		made, last = made+len(c.Tokens), err
	}
	if lora.KindOf(last) != lora.Unavailable && made < 500 { // it may have been over before
		t.Errorf("the running request ended after %d tokens with %v", made, last)
	}
	if _, err := generate(t.Context(), e, engine.Request{Tokens: []int{1}, MaxTokens: 1}); lora.KindOf(err) != lora.Unavailable {
		t.Errorf("a request after Close: got %v", err)
	}
	if err := e.AddAdapter("x", nil); err == nil {
		t.Error("an adapter was added after Close")
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
