package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"loradeck/internal/engine"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
	"loradeck/internal/proof"
	"loradeck/tools/traindemo/corpus"
)

// committed runs the demo that is embedded in the product.
func committed(t *testing.T) (e *engine.Engine, dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "base"), demo.Base()); err != nil {
		t.Fatal(err)
	}
	for _, s := range demo.Samples() {
		if err := os.CopyFS(filepath.Join(dir, s.Name), s.Files); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.Open(filepath.Join(dir, "base"), engine.Options{MaxLoraRank: adapterRank})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e, dir
}

func TestTheCommittedDemoAnswersWordingsItNeverSaw(t *testing.T) {
	t.Parallel()
	e, dir := committed(t)
	ctx := context.Background()
	facts := corpus.Facts()
	for _, s := range append([]style{{answer: corpus.Plain}}, styles...) {
		if s.name != "" {
			if err := e.LoadAdapter(ctx, s.name, filepath.Join(dir, s.name)); err != nil {
				t.Fatal(err)
			}
		}
		right, asked, err := score(ctx, e, s.name, corpus.HeldOut(facts, s.answer))
		if err != nil {
			t.Fatal(err)
		}
		if right*10 < asked*9 {
			t.Errorf("%q answers %d of %d, want nine of ten", s.name, right, asked)
		}
	}
}

func TestTheCommittedAdaptersAreProvenAndAHundredthOfEachIsNot(t *testing.T) {
	t.Parallel()
	e, dir := committed(t)
	ctx := context.Background()
	set, err := probes(e)
	if err != nil {
		t.Fatal(err)
	}
	base, err := scores(ctx, e, "")
	if err != nil {
		t.Fatal(err)
	}
	verdict := func(name string) proof.Result {
		if err := e.LoadAdapter(ctx, name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		theirs, err := scores(ctx, e, name)
		if err != nil {
			t.Fatal(err)
		}
		return proof.Judge(set, [][]proof.Scores{base, base}, [][]proof.Scores{theirs, theirs}, proof.DefaultLimits())
	}
	for _, s := range styles {
		if got := verdict(s.name); got.Verdict != lora.VerdictProven {
			t.Errorf("%s: %s, %s", s.name, got.Verdict, got.Reason)
		}
		weak := s.name + "-weak"
		weaken(t, filepath.Join(dir, s.name), filepath.Join(dir, weak))
		if got := verdict(weak); got.Verdict != lora.VerdictNoEffect {
			t.Errorf("a hundredth of %s: %s, %s", s.name, got.Verdict, got.Reason)
		}
	}
}

// weaken copies an adapter with a hundredth of its alpha, which is a hundredth of its effect on every weight.
func weaken(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(to, "adapter_config.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["lora_alpha"] = adapterAlpha / 100.0
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
