package lora

import "time"

// ProofSubject is what a proof is a proof of: one state of a component and its base, and one life of the base's engine.
type ProofSubject struct {
	Asked             time.Time // when the last question was sent
	ComponentModified time.Time // as described while it was proven
	BaseModified      time.Time
}

// ProofNews is what is known by now of the component and base that a proof is of. A zero time is "never".
type ProofNews struct {
	ComponentModified time.Time
	BaseModified      time.Time
	Died              time.Time // when the base last answered that its engine had died
	Forgot            time.Time // when the base was last found to have forgotten its adapters
	Missed            time.Time // when one copy of the base was last found not to know this adapter
}

// StaleCause is why a proof no longer counts.
type StaleCause string

// The causes, and that there is none.
const (
	StaleNot       StaleCause = ""
	StaleComponent StaleCause = "the component changed"
	StaleBase      StaleCause = "the base changed"
	StaleDied      StaleCause = "the engine died" // and came back without its adapters (recordings, crash-and-restart.json)
	StaleForgot    StaleCause = "the engine forgot its adapters"
	StaleMissed    StaleCause = "a copy does not know it" // a single Not Found is enough (design §6)
)

// Stale gives the first cause for which the proof no longer counts. A change counts when it is later than what was proven: a proof
// may know of one that the last look had not seen. What was heard of the engine counts unless the last question was sent after it.
func (s ProofSubject) Stale(news ProofNews) StaleCause {
	heard := func(at time.Time) bool { return !at.IsZero() && !s.Asked.After(at) }
	switch {
	case news.ComponentModified.After(s.ComponentModified):
		return StaleComponent
	case news.BaseModified.After(s.BaseModified):
		return StaleBase
	case heard(news.Died):
		return StaleDied
	case heard(news.Forgot):
		return StaleForgot
	case heard(news.Missed):
		return StaleMissed
	}
	return StaleNot
}
