// Package compare asks a base and its adapters the same thing at the same time and keeps what each answered.
//
// While a comparison runs its text lives here in memory and the hub says which pane has more of it; at its end every pane is
// stored once. What a pane shows comes from the service: text from its stream, token counts from its usage, times from this
// side's clock. The package knows no page and never logs a prompt or an answer.
package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// Limits of one comparison.
const (
	MaxAdapters  = 3         // beside the base
	MaxTokens    = 4096      // asked of each pane
	MaxPrompt    = 64 << 10  // bytes of prompt and system text together
	paneDeadline = 8 * 60e9  // nanoseconds: SageMaker ends a stream after 8 minutes (facts/sagemaker-vllm.md §1b.2)
	maxAnswer    = 512 << 10 // bytes kept of one answer
)

// Request is what all panes are asked.
type Request struct {
	PlaceID  string   `json:"-"`
	Base     string   `json:"-"`
	Adapters []string `json:"-"` // adapter components on that base, at most MaxAdapters

	Chat        bool    `json:"chat"`             // true: System and Prompt as chat messages; false: Prompt as it is
	System      string  `json:"system,omitempty"` // only with Chat, may be empty
	Prompt      string  `json:"prompt"`
	MaxTokens   int     `json:"maxTokens"`
	Temperature float64 `json:"temperature"` // 0 is greedy
	TopP        float64 `json:"topP"`        // over 0, at most 1
	Seed        *int64  `json:"seed,omitempty"`
}

// Check reports the first thing that is wrong with the request, as a sentence of kind Invalid.
func (r Request) Check() error {
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return lora.Errorf(lora.Invalid, "Write a prompt first.")
	case len(r.Prompt)+len(r.System) > MaxPrompt:
		return lora.Errorf(lora.Invalid, "The prompt is longer than %d KiB. Shorten it.", MaxPrompt>>10)
	case r.MaxTokens < 1 || r.MaxTokens > MaxTokens:
		return lora.Errorf(lora.Invalid, "Max tokens is %d; choose 1 to %d.", r.MaxTokens, MaxTokens)
	case !(r.Temperature >= 0 && r.Temperature <= 2):
		return lora.Errorf(lora.Invalid, "Temperature is %g; choose 0 to 2, 0 for the likeliest answer.", r.Temperature)
	case !(r.TopP > 0 && r.TopP <= 1):
		return lora.Errorf(lora.Invalid, "Top-p is %g; choose more than 0 and at most 1.", r.TopP)
	case len(r.Adapters) > MaxAdapters:
		return lora.Errorf(lora.Invalid, "A comparison holds the base and at most %d adapters; choose fewer.", MaxAdapters)
	}
	for i, name := range r.Adapters {
		if name == r.Base || slices.Contains(r.Adapters[:i], name) {
			return lora.Errorf(lora.Invalid, "%s is chosen twice; choose different adapters.", name)
		}
	}
	return nil
}

// States of a comparison and of its panes.
const (
	Running     = "running"
	Done        = "done"
	Stopped     = "stopped"     // by a person
	Failed      = "failed"      // a pane only: the service refused or broke off
	Interrupted = "interrupted" // the program ended meanwhile
)

// Pane is one component's answer so far.
type Pane struct {
	Component string
	Label     string
	State     string
	Text      string
	Finish    string        // finish_reason as the server gave it
	Trouble   string        // why it failed, for people
	TokensIn  int64         // from the server's usage; -1 when it gave none
	TokensOut int64         // likewise
	TTFT      time.Duration // request sent to first text; 0 before there is any
	Took      time.Duration // request sent to end; 0 while it runs
}

// TokensPerSecond is the rate after the first token, and 0 when it cannot be told.
func (p Pane) TokensPerSecond() float64 {
	after := p.Took - p.TTFT
	if p.TokensOut < 2 || p.TTFT == 0 || after <= 0 {
		return 0
	}
	return float64(p.TokensOut-1) / after.Seconds()
}

// Comparison is one comparison with all its panes, the base first.
type Comparison struct {
	ID       int64
	Endpoint string
	Request  Request
	State    string
	Created  time.Time
	Panes    []Pane
}

// Speaker streams an answer from a component. cloud.Place is one.
type Speaker interface {
	Stream(ctx context.Context, to lora.Target, request cloud.GenerateRequest) iter.Seq2[cloud.Delta, error]
}

// Config is what a Board needs. Places are keyed by lora.Place.ID.
type Config struct {
	DB     *db.DB
	Hub    *live.Hub
	Log    *slog.Logger
	Places map[string]Speaker
	// Heard is called with what a base or an adapter on it answered instead of a result (watch.Watcher.Heard); nil when nobody is told.
	Heard func(ctx context.Context, placeID, base, component string, answer error)
}

// Board runs comparisons and finds them again.
type Board struct {
	config Config
	ctx    context.Context // of the panes; a comparison outlives the request that began it
	end    context.CancelCauseFunc
	wg     sync.WaitGroup

	mu      sync.Mutex // guards running and the panes in it
	running map[int64]*run
}

type run struct {
	cancel context.CancelCauseFunc
	panes  []Pane
}

var (
	errStopped = errors.New("stopped by a person")
	errClosing = errors.New("the program is stopping")
)

// New makes a board. Comparisons that the last process left running are marked as interrupted.
func New(ctx context.Context, config Config) (*Board, error) {
	err := config.DB.Write(ctx, func(q *db.Queries) error {
		now := db.Millis(time.Now())
		return errors.Join(q.InterruptPanes(ctx), q.InterruptComparisons(ctx, &now))
	})
	if err != nil {
		return nil, fmt.Errorf("mark interrupted comparisons: %w", err)
	}
	b := &Board{config: config, running: map[int64]*run{}}
	b.ctx, b.end = context.WithCancelCause(context.WithoutCancel(ctx))
	return b, nil
}

// Close interrupts what runs, stores it, and waits.
func (b *Board) Close() {
	b.end(errClosing)
	b.wg.Wait()
}

// Start checks the request, stores the comparison and starts its panes. The caller need not wait for the answers.
func (b *Board) Start(ctx context.Context, request Request) (int64, error) {
	if err := request.Check(); err != nil {
		return 0, err
	}
	speaker, known := b.config.Places[request.PlaceID]
	if !known {
		return 0, lora.Errorf(lora.NotFound, "This deck was started without that place. Start it with the place to ask there.")
	}
	base, err := b.component(ctx, request.PlaceID, request.Base)
	if err != nil {
		return 0, err
	}
	panes := []Pane{newPane(base.Name)}
	for _, name := range request.Adapters {
		adapter, err := b.component(ctx, request.PlaceID, name)
		if err != nil {
			return 0, err
		}
		if adapter.BaseName != base.Name {
			return 0, lora.Errorf(lora.Invalid, "%s does not stand on %s. Compare adapters of one base.", name, base.Name)
		}
		panes = append(panes, newPane(name))
	}
	id, err := b.store(ctx, request, base, panes)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(b.ctx)
	r := &run{cancel: cancel, panes: panes}
	b.mu.Lock()
	b.running[id] = r
	b.mu.Unlock()
	b.wg.Go(func() { b.run(ctx, id, r, speaker, base.Endpoint, request) })
	return id, nil
}

// Stop ends a running comparison; what has been answered is kept. One that has ended already is left as it is.
func (b *Board) Stop(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, there := b.running[id]; there {
		r.cancel(errStopped)
	}
}

// Find gives a comparison as it is now.
func (b *Board) Find(ctx context.Context, id int64) (Comparison, error) {
	b.mu.Lock()
	var now []Pane
	if r, there := b.running[id]; there {
		now = slices.Clone(r.panes)
	}
	b.mu.Unlock()
	row, err := b.config.DB.Read().Comparison(ctx, id)
	if err != nil {
		return Comparison{}, db.Found(err, "There is no comparison %d. It may belong to another data folder.", id)
	}
	c := Comparison{ID: id, Endpoint: row.Endpoint, State: row.State, Created: db.Time(row.CreatedAt), Panes: now}
	if err := json.Unmarshal([]byte(row.Request), &c.Request); err != nil {
		return Comparison{}, fmt.Errorf("read comparison %d: %w", id, err)
	}
	stored, err := b.config.DB.Read().Panes(ctx, id)
	if err != nil {
		return Comparison{}, fmt.Errorf("read the panes of comparison %d: %w", id, err)
	}
	if now == nil || row.State != Running {
		c.Panes = c.Panes[:0:0]
		for _, pane := range stored {
			c.Panes = append(c.Panes, fromRow(pane))
		}
	}
	c.Request.PlaceID, c.Request.Base = row.PlaceID, row.BaseName
	for _, pane := range c.Panes[1:] {
		c.Request.Adapters = append(c.Request.Adapters, pane.Component)
	}
	return c, nil
}

func (b *Board) component(ctx context.Context, placeID, name string) (db.Component, error) {
	row, err := b.config.DB.Read().ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: placeID, Name: name})
	if err != nil {
		return row, db.Found(err, "There is no component %s in this place any more. Choose another.", name)
	}
	return row, nil
}

func (b *Board) store(ctx context.Context, request Request, base db.Component, panes []Pane) (id int64, err error) {
	text, err := json.Marshal(request)
	if err != nil {
		return 0, fmt.Errorf("store comparison: %w", err)
	}
	err = b.config.DB.Write(ctx, func(q *db.Queries) error {
		row, err := q.AddComparison(ctx, db.AddComparisonParams{
			PlaceID: request.PlaceID, Endpoint: base.Endpoint, BaseName: base.Name, Request: string(text), CreatedAt: db.Millis(time.Now()),
		})
		if err != nil {
			return err
		}
		id = row.ID
		for n, pane := range panes {
			if err := q.AddPane(ctx, db.AddPaneParams{ComparisonID: id, N: int64(n), Component: pane.Component, Label: pane.Label}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("store comparison: %w", err)
	}
	return id, nil
}

func newPane(component string) Pane {
	return Pane{Component: component, Label: component, State: Running, TokensIn: -1, TokensOut: -1}
}
