package handlers

import (
	"testing"
	"time"

	"loradeck/internal/db"
)

func TestNoTimeLeftIsToldOfAStepThatTakesLongerThanUsual(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 10, 0, 0, time.UTC)
	past := usual{steps: map[string]span{
		"upload": {low: time.Second, middle: 2 * time.Second, high: 3 * time.Second},
		"prove":  {low: 3 * time.Second, middle: 4 * time.Second, high: 5 * time.Second},
	}}
	tests := []struct {
		name  string
		spent time.Duration
		left  time.Duration
		known bool
	}{
		{"begun", time.Second, 5 * time.Second, true},
		{"about to end", 3 * time.Second, 4 * time.Second, true},
		{"late", 3*time.Second + time.Millisecond, 0, false},
	}
	for _, test := range tests {
		began := db.Millis(now.Add(-test.spent))
		left, known := past.left([]db.Step{{Name: "upload", State: "running", StartedAt: &began}, {Name: "prove", State: "waiting"}}, now)
		if left != test.left || known != test.known {
			t.Errorf("%s: %v left, known %v; want %v, %v", test.name, left, known, test.left, test.known)
		}
	}
}
