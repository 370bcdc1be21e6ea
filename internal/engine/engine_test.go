package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine"
	"loradeck/internal/lora"
)

// run is one golden answer of transformers; see testdata/README.md.
type run struct {
	Adapter *string `json:"adapter"`
	Prompt  string  `json:"prompt"`
	Input   []int   `json:"ids"`
	Greedy  []int   `json:"greedy"`
	Text    string  `json:"text"`
}

func (r *run) adapter() string {
	if r.Adapter == nil {
		return ""
	}
	return *r.Adapter
}

func goldenRuns(t testing.TB, base string) []run {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", base, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Runs []run }
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e.Runs
}

// openTest opens a base from testdata or from a directory, with the golden adapters it has.
func openTest(t testing.TB, dir string, o engine.Options) *engine.Engine {
	t.Helper()
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("testdata", dir)
	}
	e, err := engine.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	adapters, err := filepath.Glob(filepath.Join(dir, "adapters", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, adapter := range adapters {
		if err := e.LoadAdapter(t.Context(), "adapters/"+filepath.Base(adapter), adapter); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// copyOf copies a golden base without its adapters, with some files replaced.
func copyOf(t testing.TB, base string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	paths, err := filepath.Glob(filepath.Join("testdata", base, "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if replaced, ok := files[filepath.Base(path)]; ok {
			text = []byte(replaced)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// result is a whole answer.
type result struct {
	IDs    []int
	Text   string
	Last   engine.Chunk
	Tokens []engine.Token
	Prompt []engine.Token
}

func generate(ctx context.Context, e *engine.Engine, r engine.Request) (result, error) {
	var got result
	for c, err := range e.Generate(ctx, r) {
		if err != nil {
			return got, err
		}
		for _, token := range c.Tokens {
			got.IDs = append(got.IDs, token.ID)
			got.Tokens = append(got.Tokens, token)
		}
		got.Prompt = append(got.Prompt, c.Prompt...)
		got.Text += c.Text
		got.Last = c
	}
	return got, nil
}

func mustGenerate(t testing.TB, e *engine.Engine, r engine.Request) result {
	t.Helper()
	got, err := generate(t.Context(), e, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func greedyRequest(r *run) engine.Request {
	return engine.Request{Adapter: r.adapter(), Tokens: r.Input, MaxTokens: 24, IgnoreEOS: true, Logprobs: 2}
}

func TestAllGoldenAnswersAtOnceEqualTransformers(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"llama", "mistral", "qwen2"} {
		t.Run(base, func(t *testing.T) {
			t.Parallel()
			e, runs := openTest(t, base, engine.Options{Threads: 2, StepTokens: 50, MaxRunning: 10}), goldenRuns(t, base)
			var wait sync.WaitGroup
			for i := range runs {
				wait.Go(func() {
					r := &runs[i]
					got, err := generate(t.Context(), e, greedyRequest(r))
					if err != nil {
						t.Errorf("%s/%s: %v", r.adapter(), r.Prompt, err)
						return
					}
					if !slices.Equal(got.IDs, r.Greedy) || got.Text != r.Text {
						t.Errorf("%s/%s: got %v %q, want %v %q", r.adapter(), r.Prompt, got.IDs, got.Text, r.Greedy, r.Text)
					}
					if c := got.Last; c.Finish != "length" || c.PromptTokens != len(r.Input) || c.CompletionTokens != 24 {
						t.Errorf("%s/%s: the last chunk is %+v", r.adapter(), r.Prompt, c)
					}
				})
			}
			wait.Wait()
		})
	}
}

func TestARequestIsTheSameBitForBitHoweverItIsBatched(t *testing.T) {
	t.Parallel()
	var requests []engine.Request
	for i, r := range goldenRuns(t, "llama") {
		q := greedyRequest(&r)
		q.Logprobs = 20
		if seed := uint64(i); i%2 == 1 {
			q.Temperature, q.TopP, q.TopK, q.Seed = 0.9, 0.95, 40, &seed
			q.Repetition, q.Frequency, q.MinP = 1.3, 0.5, 0.01
		}
		q.ScorePrompt, q.PromptLogprobs = i%3 == 0, 3
		requests = append(requests, q)
	}
	for i := range requests { // and the same with an adapter on both ends
		if i%4 == 0 {
			q := requests[i]
			q.Adapter = "ends"
			requests = append(requests, q)
		}
	}
	alone := openTest(t, "llama", engine.Options{Threads: 1, MaxRunning: 1, StepTokens: 1000})
	addEnds(t, alone)
	want := make([]result, len(requests))
	for i, q := range requests {
		want[i] = mustGenerate(t, alone, q)
	}
	for _, o := range []engine.Options{{Threads: 1, MaxRunning: 30, StepTokens: 7}, {Threads: 3, MaxRunning: 5, StepTokens: 64}} {
		e := openTest(t, "llama", o)
		addEnds(t, e)
		var wait sync.WaitGroup
		for i, q := range requests {
			wait.Go(func() {
				got, err := generate(t.Context(), e, q)
				if err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff([][]engine.Token{want[i].Prompt, want[i].Tokens}, [][]engine.Token{got.Prompt, got.Tokens}); diff != "" {
					t.Errorf("%+v: request %d (-alone +batched):\n%s", o, i, diff)
				}
			})
		}
		wait.Wait()
	}
}

// addEnds adds an adapter "ends" to a golden llama, on the embedding and on the head.
func addEnds(t *testing.T, e *engine.Engine) {
	t.Helper()
	waves := func(rows, cols int) engine.Matrix {
		m := engine.Matrix{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
		for i := range m.Data {
			m.Data[i] = float32(math.Sin(float64(i)))
		}
		return m
	}
	info := e.Info()
	if err := e.AddAdapter("ends", []engine.Delta{
		{Module: "model.embed_tokens", A: waves(3, info.Vocab), B: waves(info.Hidden, 3), Scale: 0.2},
		{Module: "lm_head", A: waves(2, info.Hidden), B: waves(info.Vocab, 2), Scale: 0.3},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTheSameSeedGivesTheSameAnswer(t *testing.T) {
	t.Parallel()
	e := openTest(t, "qwen2", engine.Options{Threads: 1})
	answer := func(seed uint64) string {
		return fmt.Sprint(mustGenerate(t, e, engine.Request{Tokens: []int{5, 6, 7}, MaxTokens: 30, Temperature: 1.5, Seed: &seed, IgnoreEOS: true}).IDs)
	}
	if one, two := answer(1), answer(1); one != two {
		t.Errorf("the same seed gave %s and %s", one, two)
	}
	if one, two := answer(1), answer(2); one == two {
		t.Errorf("two seeds gave the same %s", one)
	}
	hot := func() string {
		return fmt.Sprint(mustGenerate(t, e, engine.Request{Tokens: []int{5, 6, 7}, MaxTokens: 30, Temperature: 1.5, IgnoreEOS: true}).IDs)
	}
	if one, two := hot(), hot(); one == two {
		t.Error("without a seed two answers were the same")
	}
}

func TestAStopStringEndsTheAnswerWhereverTokensCutIt(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	r := goldenRuns(t, "llama")[0]
	whole := mustGenerate(t, e, greedyRequest(&r)).Text
	runes := []rune(whole)
	for from := 1; from < len(runes)-4; from++ {
		stop := string(runes[from : from+4])
		q := greedyRequest(&r)
		q.Stop = []string{"never in it", stop, stop + "x"}
		var text strings.Builder
		var last engine.Chunk
		for c, err := range e.Generate(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			text.WriteString(c.Text)
			last = c
			if !strings.HasPrefix(whole, text.String()) {
				t.Fatalf("stop %q: showed %q", stop, text.String())
			}
		}
		want, _, _ := strings.Cut(whole, stop)
		if text.String() != want || last.Finish != "stop" || last.StopReason != stop {
			t.Errorf("stop %q: got %q, %q, %q; want %q", stop, text.String(), last.Finish, last.StopReason, want)
		}
	}
}

func TestAnUnfinishedStopStringIsShownInTheEnd(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1})
	r := goldenRuns(t, "llama")[0]
	q := greedyRequest(&r)
	whole := mustGenerate(t, e, q).Text
	q.Stop = []string{whole[len(whole)-3:] + "more"}
	if got := mustGenerate(t, e, q); got.Text != whole || got.Last.Finish != "length" {
		t.Errorf("got %q, %q; want %q", got.Text, got.Last.Finish, whole)
	}
}

func TestEndTokensOfEitherConfigEndTheAnswer(t *testing.T) {
	t.Parallel()
	r := goldenRuns(t, "llama")[0]
	end := r.Greedy[7]
	at := slices.Index(r.Greedy, end)
	e := openTest(t, copyOf(t, "llama", map[string]string{"generation_config.json": fmt.Sprintf(`{"eos_token_id":[%d,3]}`, end)}), engine.Options{Threads: 1})
	if diff := cmp.Diff(slices.Sorted(slices.Values([]int{3, end, 508})), e.Info().EOS); diff != "" {
		t.Errorf("end tokens (-want +got):\n%s", diff)
	}
	q := greedyRequest(&r)
	q.IgnoreEOS = false
	got := mustGenerate(t, e, q)
	if got.Last.Finish != "stop" || got.Last.StopReason != "" || !slices.Equal(got.IDs, r.Greedy[:at+1]) {
		t.Errorf("got %v, %+v; want an end at token %d", got.IDs, got.Last, at)
	}
	if before := e.Tokenizer().Decode(r.Greedy[:at], true); got.Text != before {
		t.Errorf("the end token is in the text: got %q, want %q", got.Text, before)
	}
	q.MinTokens = at + 3
	if got := mustGenerate(t, e, q); len(got.IDs) < at+3 || slices.Contains(got.IDs[:at+3], end) {
		t.Errorf("min_tokens %d: got %v", at+3, got.IDs)
	}
	q.MinTokens, q.IgnoreEOS = 0, true
	if got := mustGenerate(t, e, q); !slices.Equal(got.IDs, r.Greedy) {
		t.Errorf("ignore_eos: got %v", got.IDs)
	}
	q.StopTokens = []int{r.Greedy[2]}
	if got := mustGenerate(t, e, q); got.Last.Finish != "stop" || len(got.IDs) != slices.Index(r.Greedy, r.Greedy[2])+1 {
		t.Errorf("a stop token beside ignore_eos: got %v", got.IDs)
	}
}

func TestLogprobsAreThoseOfTheWholeVocabulary(t *testing.T) {
	t.Parallel()
	e := openTest(t, "qwen2", engine.Options{Threads: 1})
	for _, n := range []int{-1, 0, 1, 20} {
		got := mustGenerate(t, e, engine.Request{Tokens: []int{5, 6, 7}, MaxTokens: 3, Temperature: 1, Logprobs: n, IgnoreEOS: true})
		for _, token := range got.Tokens {
			if len(token.Top) != max(n, 0) || (token.Logprob == 0) != (n < 0) || token.Logprob > 0 {
				t.Errorf("logprobs %d: got %+v", n, token)
			}
			total := 0.0
			for i, top := range token.Top {
				total += math.Exp(top.Logprob)
				if i > 0 && top.Logprob > token.Top[i-1].Logprob {
					t.Errorf("logprobs %d: not in order: %+v", n, token.Top)
				}
				if top.ID == token.ID && top.Logprob != token.Logprob {
					t.Errorf("the chosen token has %v and %v", token.Logprob, top.Logprob)
				}
			}
			if total > 1.00001 || n == 20 && total < 0.3 {
				t.Errorf("logprobs %d: the probabilities sum to %v", n, total)
			}
		}
	}
}

func TestRequestsThatCannotBeAnsweredAreRefused(t *testing.T) {
	t.Parallel()
	e := openTest(t, "llama", engine.Options{Threads: 1, MaxContext: 100})
	nan := math.NaN()
	for name, change := range map[string]func(*engine.Request){
		"no prompt":             func(r *engine.Request) { r.Tokens = nil },
		"a token too high":      func(r *engine.Request) { r.Tokens = []int{512} },
		"a negative token":      func(r *engine.Request) { r.Tokens = []int{-1} },
		"no tokens to make":     func(r *engine.Request) { r.MaxTokens = 0 },
		"more than the context": func(r *engine.Request) { r.MaxTokens = 98 },
		"more than a number":    func(r *engine.Request) { r.MaxTokens = math.MaxInt },
		"min over max":          func(r *engine.Request) { r.MinTokens = 6 },
		"negative temperature":  func(r *engine.Request) { r.Temperature = -1 },
		"NaN temperature":       func(r *engine.Request) { r.Temperature = nan },
		"top_p over one":        func(r *engine.Request) { r.TopP = 1.1 },
		"NaN top_p":             func(r *engine.Request) { r.TopP = nan },
		"NaN min_p":             func(r *engine.Request) { r.MinP = nan },
		"presence over two":     func(r *engine.Request) { r.Presence = 2.1 },
		"NaN frequency":         func(r *engine.Request) { r.Frequency = nan },
		"negative repetition":   func(r *engine.Request) { r.Repetition = -1 },
		"endless repetition":    func(r *engine.Request) { r.Repetition = math.Inf(1) },
		"bias on no token":      func(r *engine.Request) { r.LogitBias = map[int]float64{512: 1} },
		"no such token allowed": func(r *engine.Request) { r.Allowed = []int{512} },
		"too strong a bias":     func(r *engine.Request) { r.LogitBias = map[int]float64{1: -101} },
		"too many for a prompt": func(r *engine.Request) { r.ScorePrompt, r.PromptLogprobs = true, 21 },
		"too many logprobs":     func(r *engine.Request) { r.Logprobs = 21 },
		"an empty stop string":  func(r *engine.Request) { r.Stop = []string{"a", ""} },
		"a stop token too high": func(r *engine.Request) { r.StopTokens = []int{1000} },
	} {
		r := engine.Request{Tokens: []int{1, 2, 3}, MaxTokens: 5}
		change(&r)
		if _, err := generate(t.Context(), e, r); lora.KindOf(err) != lora.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := generate(t.Context(), e, engine.Request{Adapter: "nobody", Tokens: []int{1}, MaxTokens: 1}); lora.KindOf(err) != lora.NotFound {
		t.Errorf("an unknown adapter: got %v", err)
	}
	if _, err := generate(t.Context(), e, engine.Request{Tokens: make([]int, 95), MaxTokens: 5}); err != nil {
		t.Errorf("a request that just fits: %v", err)
	}
}
