package engine

import (
	"context"
	"strings"
	"sync"
)

// tokenText turns tokens into text one at a time, holding back incomplete characters; a tokenizer's stream does.
type tokenText interface {
	Next(id int) string
	Flush() string
}

// answer is the text of one request as it grows: what may be shown goes out, what may yet become a stop string is held.
type answer struct {
	text  tokenText
	stops []string
	held  string
}

// add takes the next token and gives what may be shown, and the stop string when one is complete. With free set the token
// comes before min_tokens are reached and cannot stop the answer.
func (a *answer) add(id int, free bool) (show, stop string) {
	piece := a.text.Next(id)
	if free {
		return piece, ""
	}
	a.held += piece
	first := -1
	for _, s := range a.stops {
		if at := strings.Index(a.held, s); at >= 0 && (first < 0 || at < first) {
			first, stop = at, s
		}
	}
	if first >= 0 {
		show, a.held = a.held[:first], ""
		return show, stop
	}
	keep := 0
	for _, s := range a.stops {
		keep = max(keep, beginning(a.held, s))
	}
	show, a.held = a.held[:len(a.held)-keep], a.held[len(a.held)-keep:]
	return show, ""
}

// rest gives what is still held once nothing can follow.
func (a *answer) rest() string {
	rest := a.held + a.text.Flush()
	a.held = ""
	return rest
}

// beginning is the length of the longest proper beginning of stop that ends text.
func beginning(text, stop string) int {
	for n := min(len(stop)-1, len(text)); n > 0; n-- {
		if strings.HasSuffix(text, stop[:n]) {
			return n
		}
	}
	return 0
}

// outbox hands chunks from the scheduler to a request's reader. Putting never waits: chunks that the reader has not taken
// are joined.
type outbox struct {
	ready chan struct{} // holds one signal when there is something to take

	mu    sync.Mutex // guards the fields below
	chunk Chunk
	some  bool // chunk holds something
	ended bool
	err   error
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

func (o *outbox) put(c Chunk) {
	o.mu.Lock()
	if o.some {
		c.Text = o.chunk.Text + c.Text
		c.Tokens = append(o.chunk.Tokens, c.Tokens...)
		c.Prompt = append(o.chunk.Prompt, c.Prompt...)
	}
	o.chunk, o.some = c, true
	o.ended = o.ended || c.Finish != ""
	o.mu.Unlock()
	o.signal()
}

// fail ends the answer with err.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	if !o.ended {
		o.ended, o.err = true, err
	}
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// take waits for something: a chunk (some), the end, or both at once.
func (o *outbox) take(ctx context.Context) (c Chunk, some, ended bool, err error) {
	select {
	case <-o.ready:
	case <-ctx.Done():
		return Chunk{}, false, true, context.Cause(ctx)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c, some = o.chunk, o.some
	o.chunk, o.some = Chunk{}, false
	return c, some, o.ended, o.err
}
