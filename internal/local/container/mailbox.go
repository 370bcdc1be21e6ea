package container

import "sync"

// mailbox hands the chunks of several generations to the one that answers. Putting never waits: a client that reads slowly
// must not keep a generation, and with it an adapter's slot, from its end. What it holds is bounded by the answers' tokens.
type mailbox struct {
	mu     sync.Mutex
	pieces []piece
	closed bool
	news   chan struct{} // holds one when there is something to take
}

func newMailbox() *mailbox { return &mailbox{news: make(chan struct{}, 1)} }

func (m *mailbox) put(p piece) {
	m.mu.Lock()
	m.pieces = append(m.pieces, p)
	m.mu.Unlock()
	m.tell()
}

// close says that nothing more comes.
func (m *mailbox) close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.tell()
}

func (m *mailbox) tell() {
	select {
	case m.news <- struct{}{}:
	default: // it has been told already
	}
}

// take waits for pieces and gives all there are; none when nothing more comes.
func (m *mailbox) take() []piece {
	for range m.news {
		m.mu.Lock()
		out, closed := m.pieces, m.closed
		m.pieces = nil
		m.mu.Unlock()
		if closed {
			m.tell() // the next one is to learn it too
		}
		if closed || len(out) > 0 {
			return out
		}
	}
	return nil
}
