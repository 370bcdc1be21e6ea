package handlers

import (
	"context"
	"fmt"
	"slices"
	"time"

	"loradeck/internal/db"
)

// usual is how long the steps of a kind of job have taken in a place.
type usual struct {
	jobs  int // past jobs it is taken from
	steps map[string]span
}

// span is the middle half of past durations.
type span struct {
	low, middle, high time.Duration
	count             int
}

const (
	mostPast   = 50 // jobs looked back on: newer ones say more
	enoughPast = 3  // durations before anything is said
)

func (h *Handlers) usual(ctx context.Context, place, kind string) (usual, error) {
	rows, err := h.DB.Read().StepTimes(ctx, db.StepTimesParams{PlaceID: place, Kind: kind, Limit: mostPast})
	if err != nil {
		return usual{}, fmt.Errorf("read how long steps took: %w", err)
	}
	times := map[string][]time.Duration{}
	for _, row := range rows {
		times[row.Name] = append(times[row.Name], time.Duration(row.Took)*time.Millisecond)
	}
	u := usual{steps: map[string]span{}}
	for name, all := range times {
		u.jobs = max(u.jobs, len(all))
		if len(all) >= enoughPast {
			u.steps[name] = spanOf(all)
		}
	}
	return u, nil
}

// spanOf gives the quartiles, each the nearest of the durations.
func spanOf(all []time.Duration) span {
	slices.Sort(all)
	at := func(share float64) time.Duration { return all[int(share*float64(len(all)-1)+0.5)] }
	return span{low: at(0.25), middle: at(0.5), high: at(0.75), count: len(all)}
}

// left estimates the time until the last of the steps has ended. It is known only when every step that is still to end has a
// usual time, and the one under way has not gone beyond it.
func (u usual) left(steps []db.Step, now time.Time) (left time.Duration, known bool) {
	for _, s := range steps {
		if s.State != "waiting" && s.State != "running" {
			continue
		}
		past, found := u.steps[s.Name]
		if !found {
			return 0, false
		}
		rest := past.middle
		if s.StartedAt != nil {
			spent := now.Sub(db.Time(*s.StartedAt))
			if spent > past.high {
				return 0, false
			}
			rest = max(0, rest-spent)
		}
		left, known = left+rest, true
	}
	return left, known
}
