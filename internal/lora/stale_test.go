package lora_test

import (
	"testing"
	"time"

	"loradeck/internal/lora"
)

func TestAProofCountsUntilSomethingLaterSpeaksAgainstIt(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 11, 23, 14, minute, 0, 0, time.UTC) }
	proof := lora.ProofSubject{Asked: at(10), ComponentModified: at(5), BaseModified: at(1)}
	with := func(change func(*lora.ProofNews)) lora.ProofNews {
		news := lora.ProofNews{ComponentModified: at(5), BaseModified: at(1)}
		change(&news)
		return news
	}
	tests := []struct {
		rule string
		news lora.ProofNews
		want lora.StaleCause
	}{
		{"nothing is known against it", with(func(*lora.ProofNews) {}), lora.StaleNot},
		{"the last look is older than the proof", with(func(n *lora.ProofNews) { n.ComponentModified, n.BaseModified = at(4), at(0) }), lora.StaleNot},
		{"the component changed", with(func(n *lora.ProofNews) { n.ComponentModified = at(6) }), lora.StaleComponent},
		{"the base changed", with(func(n *lora.ProofNews) { n.BaseModified = at(2) }), lora.StaleBase},
		{"the engine died before it was asked", with(func(n *lora.ProofNews) { n.Died = at(9) }), lora.StaleNot},
		{"the engine died as it was asked", with(func(n *lora.ProofNews) { n.Died = at(10) }), lora.StaleDied},
		{"the engine died later", with(func(n *lora.ProofNews) { n.Died = at(11) }), lora.StaleDied},
		{"the base forgot later", with(func(n *lora.ProofNews) { n.Forgot = at(11) }), lora.StaleForgot},
		{"a copy did not know it later", with(func(n *lora.ProofNews) { n.Missed = at(11) }), lora.StaleMissed},
		{"both were heard and asked about since", with(func(n *lora.ProofNews) { n.Forgot, n.Missed = at(9), at(8) }), lora.StaleNot},
	}
	for _, test := range tests {
		if got := proof.Stale(test.news); got != test.want {
			t.Errorf("%s: got %q, want %q", test.rule, got, test.want)
		}
	}
}
