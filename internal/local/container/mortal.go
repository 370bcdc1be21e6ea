package container

import (
	"context"
	"errors"
	"iter"
	"sync"
)

// life is what an engine is in. Its server answers while it is dying, and does not while it is down.
type life int

const (
	alive life = iota
	dying
	down
)

// errDead is what a dead engine answers.
var errDead = errors.New("the engine has died")

// mortal is an engine that can die and be opened again. What needs no computing, such as the tokenizer, goes on meanwhile: it
// belongs to the server.
type mortal struct {
	open func(ctx context.Context) (Engine, error)

	mu      sync.RWMutex
	engine  Engine // of this life, or of the last one
	life    life
	end     context.CancelFunc // of what is under way
	ctx     context.Context    // ends with the life
	pending sync.WaitGroup
}

// openMortal opens an engine for its first life.
func openMortal(ctx context.Context, open func(ctx context.Context) (Engine, error)) (*mortal, error) {
	m := &mortal{open: open, life: down}
	return m, m.revive(ctx)
}

// revive opens the engine again.
func (m *mortal) revive(ctx context.Context) error {
	engine, err := m.open(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.engine, m.life = engine, alive
	m.ctx, m.end = context.WithCancel(context.WithoutCancel(ctx))
	return nil
}

// die ends the engine and everything that it computes; false when it is dead already. It waits for the generations only, which end
// at once: what they have made is put down where no client keeps them.
func (m *mortal) die() (died bool, err error) {
	m.mu.Lock()
	if m.life != alive {
		m.mu.Unlock()
		return false, nil
	}
	m.life = dying
	m.mu.Unlock()
	m.end()
	m.pending.Wait()
	return true, m.engine.Close()
}

// fall ends the server of an engine that died.
func (m *mortal) fall() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life = down
}

func (m *mortal) stage() life {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.life
}

// current is the engine, dead or alive.
func (m *mortal) current() Engine {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.engine
}

// Describe, Encode, Decode, RenderChat, Forget and Load are the engine's.
func (m *mortal) Describe() Description                  { return m.current().Describe() }
func (m *mortal) Encode(text string, special bool) []int { return m.current().Encode(text, special) }
func (m *mortal) Decode(ids []int) string                { return m.current().Decode(ids) }
func (m *mortal) Forget(name string)                     { m.current().Forget(name) }
func (m *mortal) Load() Load                             { return m.current().Load() }

func (m *mortal) RenderChat(messages []Message, generationPrompt bool) (string, error) {
	return m.current().RenderChat(messages, generationPrompt)
}

// AddAdapter is the engine's, or errDead.
func (m *mortal) AddAdapter(name string, deltas []Delta) error {
	if m.stage() != alive {
		return errDead
	}
	return m.current().AddAdapter(name, deltas)
}

// RemoveAdapter is the engine's. A dead one has no adapter.
func (m *mortal) RemoveAdapter(name string) error {
	if m.stage() != alive {
		return nil
	}
	return m.current().RemoveAdapter(name)
}

// Generate is the engine's. It ends in errDead when the engine is dead, or dies meanwhile.
func (m *mortal) Generate(ctx context.Context, request Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		m.mu.RLock()
		engine, life, lasting := m.engine, m.life, m.ctx
		if life == alive {
			m.pending.Add(1)
		}
		m.mu.RUnlock()
		if life != alive {
			yield(Chunk{}, errDead)
			return
		}
		defer m.pending.Done()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(lasting, cancel)()
		for chunk, err := range engine.Generate(ctx, request) {
			if err != nil && lasting.Err() != nil {
				err = errDead
			}
			if !yield(chunk, err) {
				return
			}
		}
	}
}

// Close frees the engine. No generation may be under way.
func (m *mortal) Close() error { return m.current().Close() }
