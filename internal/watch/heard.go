package watch

import (
	"context"
	"fmt"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// Heard takes in what a base or an adapter on it answered instead of a result. An engine that dies comes back without its adapters and
// the service goes on saying InService (facts §2.1, recordings, crash-and-restart.json), so answers alone tell of it. What one says is
// stored with its time, and proofs that are not newer no longer count. Other errors are no news.
func (w *Watcher) Heard(ctx context.Context, base, component string, answer error) {
	news, err := w.hear(ctx, base, component, answer)
	if err != nil {
		w.log.WarnContext(ctx, "what an answer says of an engine could not be stored", "base", base, "component", component, "err", err)
	}
	if news {
		w.log.WarnContext(ctx, "an engine started anew, and earlier proofs no longer count", "base", base, "component", component)
		w.hub.Changed(live.Deck)
	}
}

// hear stores what an answer says of its engine, and reports whether it said anything.
func (w *Watcher) hear(ctx context.Context, base, component string, answer error) (news bool, err error) {
	said, isModel := cloud.AsModelError(answer)
	if !isModel {
		return false, nil
	}
	at, place := db.Millis(time.Now()), w.place.Identity().ID // before anything is asked: what is answered later may be sound again
	keep := context.WithoutCancel(ctx)                        // it stays true when whoever asked has gone
	switch {
	case said.Died():
		err = w.db.Write(keep, func(q *db.Queries) error {
			return q.SetEngineDied(keep, db.SetEngineDiedParams{At: at, PlaceID: place, Name: base})
		})
		return err == nil, err
	case said.Unknown() && component != base:
		who, err := w.forgetful(ctx, base, component)
		if err != nil || who == "" {
			return false, err
		}
		err = w.db.Write(keep, func(q *db.Queries) error {
			return q.SetAdaptersForgotten(keep, db.SetAdaptersForgottenParams{At: at, PlaceID: place, Name: who})
		})
		return err == nil, err
	}
	return false, nil
}

// forgetful names the component that a "does not exist" is news of, "" when it is of none. Of an adapter whose proof counts, with it and
// its base unchanged, it says that an engine has started anew and forgotten it: with one copy that is the base's, and its other
// adapters went with it; with several, the copies that know them may go on answering, so it concerns that adapter alone. Once the
// proof no longer counts, or where there was none, it is no news.
func (w *Watcher) forgetful(ctx context.Context, base, component string) (string, error) {
	stands, err := w.db.Read().ProofStanding(ctx, db.ProofStandingParams{PlaceID: w.place.Identity().ID, ComponentName: component})
	if db.Missing(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the proof of %s: %w", component, err)
	}
	proof := stands.Proof.Subject()
	if proof.Stale(db.News(stands.Component, stands.Component_2)) != lora.StaleNot { // the second is the base
		return "", nil
	}
	// The last look may be a minute old, and an adapter that is being deleted or updated is unknown for a while.
	there, err := w.place.Component(ctx, component)
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", component, err)
	}
	below, err := w.place.Component(ctx, base)
	if err != nil {
		return "", fmt.Errorf("describe %s: %w", base, err)
	}
	settled := there.Status == lora.StatusInService && below.Status == lora.StatusInService
	switch now := (lora.ProofNews{ComponentModified: there.Modified, BaseModified: below.Modified}); {
	case !settled || proof.Stale(now) != lora.StaleNot:
		return "", nil
	case below.Copies > 1:
		return component, nil
	}
	return base, nil
}
