package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"loradeck/internal/engine"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
	"loradeck/internal/proof"
	"loradeck/internal/safetensors"
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
	e, err := engine.Open(filepath.Join(dir, "base"), engine.Options{MaxLoraRank: highestRank})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e, dir
}

// load gives an engine with every adapter of the demo.
func load(t *testing.T) *engine.Engine {
	t.Helper()
	e, dir := committed(t)
	for _, s := range styles() {
		if err := e.LoadAdapter(t.Context(), s.name, filepath.Join(dir, s.name)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// figure reads what a card says of the answers that were right.
func figure(t *testing.T, card fs.FS) (right, asked, rightBare int) {
	t.Helper()
	text, err := fs.ReadFile(card, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\*\*(\d+) of (\d+)\*\* questions, and \*\*(\d+)\*\*`).FindSubmatch(text)
	if found == nil {
		t.Fatalf("the card names no figure:\n%s", text)
	}
	right, _ = strconv.Atoi(string(found[1]))
	asked, _ = strconv.Atoi(string(found[2]))
	rightBare, _ = strconv.Atoi(string(found[3]))
	return right, asked, rightBare
}

func TestTheCommittedDemoIsAsGoodAsItsCardsSay(t *testing.T) {
	t.Parallel()
	e := load(t)
	facts := corpus.Facts()
	hold := func(name string, card fs.FS, held []corpus.Dialog) {
		wantChat, wantAsked, wantBare := figure(t, card)
		for _, way := range []struct {
			name  string
			put   form
			want  int
			least int // percent
		}{{"in chat", inChat, wantChat, 90}, {"bare", bare, wantBare, 80}} {
			right, err := score(t.Context(), e, name, way.put, held, func(d corpus.Dialog, answer string) {
				t.Logf("%q answers %q, %s, with %q, not %q", name, d.Question, way.name, answer, d.Answer)
			})
			if err != nil {
				t.Fatal(err)
			}
			if right < way.want || len(held) != wantAsked {
				t.Errorf("%q answers %d of %d %s, its card says %d of %d", name, right, len(held), way.name, way.want, wantAsked)
			}
			if right*100 < len(held)*way.least {
				t.Errorf("%q answers %d of %d %s, want %d %%", name, right, len(held), way.name, way.least)
			}
		}
	}
	hold("", demo.Base(), corpus.HeldOut(facts, corpus.Plain))
	samples := demo.Samples()
	if len(samples) != len(styles()) {
		t.Fatalf("the product offers %d samples, %d are trained", len(samples), len(styles()))
	}
	for i, s := range styles() {
		if samples[i].Name != s.name {
			t.Fatalf("sample %d is %s, want %s", i, samples[i].Name, s.name)
		}
		hold(s.name, samples[i].Files, s.held(facts))
	}
}

func TestAnyOtherAdapterFailsTheHeldOutQuestions(t *testing.T) {
	t.Parallel()
	e := load(t)
	facts := corpus.Facts()
	for _, s := range styles() {
		for _, other := range append([]style{{}}, styles()...) { // the base too
			if other.name == s.name {
				continue
			}
			held := s.held(facts)
			right, err := score(t.Context(), e, other.name, inChat, held, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if len(held) < 20 || right*10 > len(held) {
				t.Errorf("%q in the place of %s answers %d of %d: the questions do not tell them apart", other.name, s.name, right, len(held))
			}
		}
	}
}

func TestNoAdapterSeesWhatItIsTestedOn(t *testing.T) {
	t.Parallel()
	facts := corpus.Facts()
	_, unseen := corpus.Split(facts)
	for _, s := range styles() {
		trained := map[string]bool{}
		for _, d := range s.trained(facts) {
			trained[d.Question] = true
		}
		for _, d := range s.held(facts) {
			if trained[d.Question] {
				t.Errorf("%s is trained on the held-out wording %q", s.name, d.Question)
			}
		}
		for _, f := range unseen {
			for _, ask := range f.Asks {
				if trained[ask] {
					t.Errorf("%s is trained on the unseen fact %q", s.name, ask)
				}
			}
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
	for _, s := range styles() {
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

// weaken copies an adapter with every B at a hundredth.
func weaken(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	const name = "adapter_model.safetensors"
	file, err := safetensors.OpenFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var tensors []safetensors.Values
	weakened := 0
	for _, tensor := range file.Header.Tensors {
		values, err := file.Float32s(tensor.Name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(tensor.Name, ".lora_B.weight") {
			weakened++
			for i := range values {
				values[i] *= 0.01
			}
		}
		tensors = append(tensors, safetensors.Values{Name: tensor.Name, DType: tensor.DType, Shape: tensor.Shape, Data: values})
	}
	if weakened == 0 {
		t.Fatal("the adapter has no B")
	}
	if err := writeFile(filepath.Join(to, name), func(w io.Writer) error { return safetensors.Write(w, tensors, file.Header.Metadata) }); err != nil {
		t.Fatal(err)
	}
}
