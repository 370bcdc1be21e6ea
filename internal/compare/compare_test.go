package compare_test

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// script is a speaker whose answers the test gives piece by piece. The wire itself is held by the tests of cloud.
type script struct {
	pieces map[string]chan cloud.Delta // by component; closing one ends its answer
	broken map[string]error
	asked  chan cloud.GenerateRequest
}

// Stream gives what the test sends.
func (s *script) Stream(ctx context.Context, to lora.Target, request cloud.GenerateRequest) iter.Seq2[cloud.Delta, error] {
	return func(yield func(cloud.Delta, error) bool) {
		s.asked <- request
		for {
			select {
			case <-ctx.Done():
				yield(cloud.Delta{}, ctx.Err())
				return
			case delta, more := <-s.pieces[to.Component]:
				if !more {
					if err := s.broken[to.Component]; err != nil {
						yield(cloud.Delta{}, err)
					}
					return
				}
				if !yield(delta, nil) {
					return
				}
			}
		}
	}
}

type bench struct {
	t       *testing.T
	path    string
	db      *db.DB
	hub     *live.Hub
	script  *script
	speaker compare.Speaker // the place; the script unless a test has its own
	heard   chan string     // what was told of answers that failed
	board   *compare.Board
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ctx := context.Background()
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "app.db"), hub: live.New(), heard: make(chan string, 8), script: &script{
		pieces: map[string]chan cloud.Delta{"base": make(chan cloud.Delta), "one": make(chan cloud.Delta), "two": make(chan cloud.Delta)},
		broken: map[string]error{}, asked: make(chan cloud.GenerateRequest, 8),
	}}
	var err error
	if b.db, err = db.Open(ctx, b.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.db.Close() })
	err = b.db.Write(ctx, func(q *db.Queries) error {
		if err := q.PutPlace(ctx, db.PutPlaceParams{ID: "p", Name: "p"}); err != nil {
			return err
		}
		for name, on := range map[string]string{"base": "", "one": "base", "two": "base", "stranger": "other"} {
			put := db.PutComponentParams{PlaceID: "p", Name: name, ARN: "arn:" + name, Endpoint: "e", BaseName: on, Status: "InService", Environment: "{}", Tags: "{}", CreatedAt: 1}
			if err := q.PutComponent(ctx, put); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b.speaker = b.script
	b.open()
	return b
}

func (b *bench) open() {
	b.t.Helper()
	board, err := compare.New(context.Background(), compare.Config{
		DB: b.db, Hub: b.hub, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Places: map[string]compare.Speaker{"p": b.speaker},
		Heard: func(_ context.Context, placeID, base, component string, answer error) {
			b.heard <- strings.Join([]string{placeID, base, component, lora.Message(answer)}, " ")
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.board = board
	b.t.Cleanup(board.Close)
}

func request(adapters ...string) compare.Request {
	return compare.Request{PlaceID: "p", Base: "base", Adapters: adapters, Chat: true, System: "Be brief.", Prompt: "Hello?", MaxTokens: 8, TopP: 1}
}

func (b *bench) start(r compare.Request) int64 {
	b.t.Helper()
	id, err := b.board.Start(context.Background(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

// until reads the comparison again each time the hub says that it changed.
func (b *bench) until(id int64, what string, holds func(compare.Comparison) bool) compare.Comparison {
	b.t.Helper()
	w := b.hub.Watch(live.Comparison(id), live.Pane(id, 0), live.Pane(id, 1), live.Pane(id, 2))
	defer w.Close()
	for {
		c, err := b.board.Find(context.Background(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		if holds(c) {
			return c
		}
		select {
		case <-w.Wake():
			w.Take()
		case <-time.After(20 * time.Second):
			b.t.Fatalf("never: %s; it is %+v", what, c)
		}
	}
}

func ended(c compare.Comparison) bool { return c.State != compare.Running }

func TestAComparisonStreamsAndIsKeptAsItWas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.script.broken["one"] = lora.Errorf(lora.Unavailable, "It broke off.")
	id := b.start(request("one"))
	if asked := <-b.script.asked; len(asked.Messages) != 2 || asked.Messages[0].Content != "Be brief." || asked.MaxTokens != 8 {
		t.Errorf("asked %+v", asked)
	}
	b.script.pieces["base"] <- cloud.Delta{Text: "Hel"}
	b.until(id, "the first text is seen while it runs", func(c compare.Comparison) bool { return c.Panes[0].Text == "Hel" && c.Panes[0].TTFT > 0 })
	b.script.pieces["base"] <- cloud.Delta{Text: "lo", Finish: "stop"}
	b.script.pieces["base"] <- cloud.Delta{Usage: &cloud.Usage{PromptTokens: 7, CompletionTokens: 5}}
	close(b.script.pieces["base"])
	b.script.pieces["one"] <- cloud.Delta{Text: "Arr"}
	close(b.script.pieces["one"])
	live := b.until(id, "it ends", ended)
	if told := <-b.heard; told != "p base one It broke off." || len(b.heard) > 0 {
		t.Errorf("told %q, and %d more", told, len(b.heard))
	}

	b.board.Close()
	b.open() // as after a restart
	kept, err := b.board.Find(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]compare.Comparison{"live": live, "kept": kept} {
		base, one := c.Panes[0], c.Panes[1]
		if c.State != compare.Done || base.State != compare.Done || base.Text != "Hello" || base.Finish != "stop" || base.TokensIn != 7 || base.TokensOut != 5 || base.Took <= 0 {
			t.Errorf("%s: %s, base %+v", name, c.State, base)
		}
		if one.State != compare.Failed || one.Text != "Arr" || one.Trouble != "It broke off." || one.TokensOut != -1 {
			t.Errorf("%s: adapter %+v", name, one)
		}
		if c.Request.Prompt != "Hello?" || len(c.Request.Adapters) != 1 || c.Request.Base != "base" {
			t.Errorf("%s: request %+v", name, c.Request)
		}
	}
}

func TestStopKeepsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.start(request())
	b.script.pieces["base"] <- cloud.Delta{Text: "half an ans"}
	b.board.Stop(id)
	c := b.until(id, "it stops", ended)
	if c.State != compare.Stopped || c.Panes[0].State != compare.Stopped || c.Panes[0].Text != "half an ans" {
		t.Errorf("got %s, %+v", c.State, c.Panes[0])
	}
	b.board.Stop(id) // a second time changes nothing
	b.board.Stop(999)
}

func TestWhatRanWhenTheProgramEndedIsInterrupted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.start(request())
	b.script.pieces["base"] <- cloud.Delta{Text: "ha"}
	b.board.Close()
	b.open()
	if c, err := b.board.Find(context.Background(), id); err != nil || c.State != compare.Interrupted || c.Panes[0].Text != "ha" {
		t.Errorf("stopped in an orderly way: %+v, %v", c, err)
	}
	err := b.db.Write(context.Background(), func(q *db.Queries) error { // as a killed process leaves it
		row, err := q.AddComparison(context.Background(), db.AddComparisonParams{PlaceID: "p", Endpoint: "e", BaseName: "base", Request: "{}"})
		if err != nil {
			return err
		}
		id = row.ID
		return q.AddPane(context.Background(), db.AddPaneParams{ComparisonID: id, Component: "base", Label: "base"})
	})
	if err != nil {
		t.Fatal(err)
	}
	b.open()
	if c, err := b.board.Find(context.Background(), id); err != nil || c.State != compare.Interrupted || c.Panes[0].State != compare.Interrupted {
		t.Errorf("killed: %+v, %v", c, err)
	}
}

func TestAWrongRequestGetsASentence(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, test := range map[string]struct {
		change func(*compare.Request)
		kind   lora.Kind
	}{
		"no prompt":         {func(r *compare.Request) { r.Prompt = " \n" }, lora.Invalid},
		"too long":          {func(r *compare.Request) { r.Prompt = strings.Repeat("x", 1<<17) }, lora.Invalid},
		"no tokens":         {func(r *compare.Request) { r.MaxTokens = 0 }, lora.Invalid},
		"hot":               {func(r *compare.Request) { r.Temperature = 2.1 }, lora.Invalid},
		"no top-p":          {func(r *compare.Request) { r.TopP = 0 }, lora.Invalid},
		"twice":             {func(r *compare.Request) { r.Adapters = []string{"one", "one"} }, lora.Invalid},
		"too many":          {func(r *compare.Request) { r.Adapters = []string{"one", "two", "a", "b"} }, lora.Invalid},
		"of another base":   {func(r *compare.Request) { r.Adapters = []string{"stranger"} }, lora.Invalid},
		"not there":         {func(r *compare.Request) { r.Adapters = []string{"gone"} }, lora.NotFound},
		"of another place":  {func(r *compare.Request) { r.PlaceID = "q" }, lora.NotFound},
		"no number for hot": {func(r *compare.Request) { r.Temperature = nan() }, lora.Invalid},
	} {
		r := request("one")
		test.change(&r)
		if _, err := b.board.Start(context.Background(), r); lora.KindOf(err) != test.kind {
			t.Errorf("%s: got %v, want %s", name, err, test.kind)
		}
	}
	if _, err := b.board.Find(context.Background(), 77); lora.KindOf(err) != lora.NotFound {
		t.Errorf("unknown comparison: %v", err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestSpeedIsOfTheTokensAfterTheFirst(t *testing.T) {
	t.Parallel()
	p := compare.Pane{TokensOut: 11, TTFT: time.Second, Took: 3 * time.Second}
	if got := p.TokensPerSecond(); got != 5 {
		t.Errorf("got %v, want 5", got)
	}
	for _, p := range []compare.Pane{{TokensOut: 1, TTFT: 1, Took: 2}, {TokensOut: -1}, {TokensOut: 9, Took: 2}} {
		if got := p.TokensPerSecond(); got != 0 {
			t.Errorf("%+v: got %v, want unknown", p, got)
		}
	}
}
