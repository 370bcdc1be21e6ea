package compare

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// run asks every pane at once, waits for all, and stores what they answered.
func (b *Board) run(ctx context.Context, id int64, r *run, speaker Speaker, endpoint string, request Request) {
	var panes sync.WaitGroup
	for n := range r.panes {
		panes.Go(func() { b.ask(ctx, id, r, n, speaker, endpoint, request) })
	}
	panes.Wait()
	state := Done
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errStopped):
		state = Stopped
	case errors.Is(cause, errClosing):
		state = Interrupted
	}
	if err := b.keep(context.WithoutCancel(ctx), id, r, state); err != nil {
		b.config.Log.ErrorContext(ctx, "comparison could not be stored", "comparison", id, "err", err)
	}
	b.mu.Lock()
	delete(b.running, id)
	b.mu.Unlock()
	r.cancel(nil)
	b.config.Hub.Changed(live.Comparison(id))
}

func (b *Board) ask(ctx context.Context, id int64, r *run, n int, speaker Speaker, endpoint string, request Request) {
	ctx, cancel := context.WithTimeout(ctx, paneDeadline)
	defer cancel()
	change := func(edit func(p *Pane)) {
		b.mu.Lock()
		edit(&r.panes[n])
		b.mu.Unlock()
		b.config.Hub.Changed(live.Pane(id, n))
	}
	b.mu.Lock()
	component := r.panes[n].Component
	b.mu.Unlock()

	sent := time.Now()
	var failure error
	for delta, err := range speaker.Stream(ctx, lora.Target{Endpoint: endpoint, Component: component}, generate(request)) {
		if err != nil {
			failure = err
			break
		}
		change(func(p *Pane) { p.take(delta, time.Since(sent)) })
	}
	took := time.Since(sent)
	cause := context.Cause(ctx)
	change(func(p *Pane) {
		p.Took = took
		switch {
		case failure == nil && cause == nil:
			p.State = Done
		case errors.Is(cause, errStopped):
			p.State = Stopped
		case errors.Is(cause, errClosing):
			p.State = Interrupted
		default:
			p.State, p.Trouble = Failed, lora.Message(failure)
		}
	})
	b.config.Hub.Changed(live.Comparison(id))
	if failure != nil && cause == nil {
		b.config.Log.WarnContext(ctx, "a pane got no answer", "comparison", id, "component", component, "kind", string(lora.KindOf(failure)))
		if b.config.Heard != nil {
			b.config.Heard(ctx, request.PlaceID, request.Base, component, failure)
		}
	}
}

// take adds what a delta brings. Text beyond what is kept is dropped, the counts go on.
func (p *Pane) take(delta cloud.Delta, since time.Duration) {
	if delta.Text != "" && p.TTFT == 0 {
		p.TTFT = since
	}
	if len(p.Text)+len(delta.Text) <= maxAnswer {
		p.Text += delta.Text
	}
	if delta.Finish != "" {
		p.Finish = delta.Finish
	}
	if delta.Usage != nil {
		p.TokensIn, p.TokensOut = int64(delta.Usage.PromptTokens), int64(delta.Usage.CompletionTokens)
	}
}

func generate(r Request) cloud.GenerateRequest {
	g := cloud.GenerateRequest{MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP, Seed: r.Seed}
	if !r.Chat {
		g.Prompt = r.Prompt
		return g
	}
	if r.System != "" {
		g.Messages = append(g.Messages, cloud.Message{Role: "system", Content: r.System})
	}
	g.Messages = append(g.Messages, cloud.Message{Role: "user", Content: r.Prompt})
	return g
}

// keep stores all panes and the end of the comparison at once.
func (b *Board) keep(ctx context.Context, id int64, r *run, state string) error {
	b.mu.Lock()
	panes := append([]Pane(nil), r.panes...)
	b.mu.Unlock()
	return b.config.DB.Write(ctx, func(q *db.Queries) error {
		for n, p := range panes {
			row := db.EndPaneParams{
				State: p.State, Text: p.Text, Finish: p.Finish, Trouble: p.Trouble, ComparisonID: id, N: int64(n),
				TTFTMicros: known(p.TTFT.Microseconds(), p.TTFT > 0), TookMicros: known(p.Took.Microseconds(), p.Took > 0),
				TokensIn: known(p.TokensIn, p.TokensIn >= 0), TokensOut: known(p.TokensOut, p.TokensOut >= 0),
			}
			if err := q.EndPane(ctx, row); err != nil {
				return fmt.Errorf("store pane %d: %w", n, err)
			}
		}
		now := db.Millis(time.Now())
		return q.EndComparison(ctx, db.EndComparisonParams{State: state, EndedAt: &now, ID: id})
	})
}

func known(value int64, is bool) *int64 {
	if !is {
		return nil
	}
	return &value
}

func fromRow(row db.Pane) Pane {
	p := newPane(row.Component)
	p.Label, p.State, p.Text, p.Finish, p.Trouble = row.Label, row.State, row.Text, row.Finish, row.Trouble
	if row.TokensIn != nil {
		p.TokensIn = *row.TokensIn
	}
	if row.TokensOut != nil {
		p.TokensOut = *row.TokensOut
	}
	if row.TTFTMicros != nil {
		p.TTFT = time.Duration(*row.TTFTMicros) * time.Microsecond
	}
	if row.TookMicros != nil {
		p.Took = time.Duration(*row.TookMicros) * time.Microsecond
	}
	return p
}
