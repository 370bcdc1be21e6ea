// Package watch keeps the database's picture of a place true: which endpoints and components are there, what moved since the
// last look, what has gone.
//
// It lists all components of every endpoint in one go and describes only those that are new, changed or moving, as often as
// the service asks its clients to (facts/sagemaker-vllm.md §7, poll advice). A look that fails changes nothing but the place's
// line of trouble: only a complete list without a component says that it has gone.
package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// Watcher looks at one place.
type Watcher struct {
	place *cloud.Place
	db    *db.DB
	hub   *live.Hub
	log   *slog.Logger
	poke  chan struct{}
}

// New makes a watcher of a place whose row is in the database. Nothing happens until Run or Look is called.
func New(place *cloud.Place, database *db.DB, hub *live.Hub, log *slog.Logger) *Watcher {
	return &Watcher{place: place, db: database, hub: hub, log: log.With("place", place.Identity().Name), poke: make(chan struct{}, 1)}
}

// Poke makes a running watcher look soon: something was just changed.
func (w *Watcher) Poke() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// pace is how long to wait before the next look.
func (w *Watcher) pace(moving bool, failures int) time.Duration {
	var wait time.Duration
	switch near := w.place.Identity().Near; {
	case near && moving:
		wait = 250 * time.Millisecond
	case near:
		wait = 750 * time.Millisecond
	case moving:
		wait = 15 * time.Second
	default:
		wait = time.Minute
	}
	return min(wait<<min(failures, 6), 5*time.Minute)
}

// Run looks again and again until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	for failures := 0; ; {
		moving, err := w.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		} else {
			w.log.WarnContext(ctx, "the place could not be seen", "kind", string(lora.KindOf(err)), "err", err)
		}
		timer := time.NewTimer(w.pace(moving, failures))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-w.poke:
			timer.Stop()
		}
	}
}

// seen is what one complete look found.
type seen struct {
	endpoints  []lora.Endpoint
	components []db.PutComponentParams // only those that were described
	names      map[string]bool         // by "ARN"; of every component that is listed
	moving     bool
}

// Look looks once, stores what it found, and tells the pages if something changed. It reports whether anything is on its
// way to another state.
func (w *Watcher) Look(ctx context.Context) (moving bool, err error) {
	id := w.place.Identity().ID
	found, err := w.see(ctx, id)
	if err != nil {
		trouble := lora.Message(err)
		storeErr := w.db.Write(context.WithoutCancel(ctx), func(q *db.Queries) error {
			return q.SetPlaceTrouble(ctx, db.SetPlaceTroubleParams{Trouble: trouble, ID: id})
		})
		if storeErr == nil {
			w.hub.Changed(live.Deck)
		}
		return false, err
	}
	changed, err := w.store(ctx, id, found)
	if err != nil {
		return false, fmt.Errorf("store what is in %s: %w", w.place.Identity().Name, err)
	}
	if changed {
		w.hub.Changed(live.Deck)
	}
	return found.moving, nil
}

func (w *Watcher) see(ctx context.Context, id string) (seen, error) {
	known, err := w.db.Read().ComponentsIn(ctx, id)
	if err != nil {
		return seen{}, fmt.Errorf("read known components: %w", err)
	}
	byARN := map[string]db.Component{}
	for _, row := range known {
		byARN[row.ARN] = row
	}
	found := seen{names: map[string]bool{}}
	if found.endpoints, err = w.place.Endpoints(ctx); err != nil {
		return seen{}, err
	}
	for _, endpoint := range found.endpoints {
		found.moving = found.moving || !endpoint.Status.Settled()
		rows, err := w.place.Components(ctx, endpoint.Name)
		if err != nil {
			return seen{}, err
		}
		for _, row := range rows {
			found.names[row.ARN] = true
			found.moving = found.moving || !row.Status.Settled()
			old, there := byARN[row.ARN]
			if there && old.Status == string(row.Status) && old.ModifiedAt == db.Millis(row.Modified) && row.Status.Settled() {
				continue
			}
			described, err := w.describe(ctx, id, row, old, there)
			if lora.KindOf(err) == lora.NotFound {
				continue // it went between the list and now; the next list will not have it
			}
			if err != nil {
				return seen{}, err
			}
			found.components = append(found.components, described)
		}
	}
	return found, nil
}

// describe reads one component in full. What cannot change in its lifetime — tags, and a base's model — is read once.
func (w *Watcher) describe(ctx context.Context, id string, row lora.Component, old db.Component, there bool) (db.PutComponentParams, error) {
	c, err := w.place.Component(ctx, row.Name)
	if err != nil {
		return db.PutComponentParams{}, err
	}
	put := db.PutComponentParams{
		PlaceID: id, Name: c.Name, ARN: c.ARN, Endpoint: c.Endpoint, BaseName: c.BaseName, ModelName: c.ModelName, ArtifactURL: c.ArtifactURL,
		Status: string(c.Status), FailureReason: c.FailureReason, Copies: int64(c.Copies), Environment: "{}", Tags: "{}",
		CreatedAt: db.Millis(c.Created), ModifiedAt: db.Millis(c.Modified),
	}
	if there && old.CreatedAt == put.CreatedAt && old.ModelName == put.ModelName {
		put.Image, put.DataURL, put.Environment, put.ModelConfig, put.Tags = old.Image, old.DataURL, old.Environment, old.ModelConfig, old.Tags
		return put, nil
	}
	tags, err := w.place.Tags(ctx, c.ARN)
	if err != nil {
		return put, err
	}
	if put.Tags, err = asJSON(tags); err != nil {
		return put, err
	}
	if c.IsAdapter() || c.ModelName == "" {
		return put, nil
	}
	model, err := w.place.Model(ctx, c.ModelName)
	if lora.KindOf(err) == lora.NotFound {
		return put, nil // its model was deleted, which SageMaker allows while it serves
	}
	if err != nil {
		return put, err
	}
	put.Image, put.DataURL = model.Image, model.DataURL
	if put.Environment, err = asJSON(model.Environment); err != nil {
		return put, err
	}
	config, err := w.place.ModelConfig(ctx, model)
	if err == nil {
		put.ModelConfig = string(config)
	} else {
		w.log.InfoContext(ctx, "config.json of a base could not be read", "component", c.Name, "kind", string(lora.KindOf(err)))
	}
	return put, nil
}

func asJSON(pairs map[string]string) (string, error) {
	if pairs == nil {
		pairs = map[string]string{}
	}
	text, err := json.Marshal(pairs)
	return string(text), err
}

// store writes a complete look and reports whether the picture changed.
func (w *Watcher) store(ctx context.Context, id string, found seen) (changed bool, err error) {
	err = w.db.Write(ctx, func(q *db.Queries) error {
		place, err := q.Place(ctx, id)
		if err != nil {
			return err
		}
		changed = place.Trouble != "" || place.SyncedAt == 0
		gone, err := w.storeEndpoints(ctx, q, id, found.endpoints)
		if err != nil {
			return err
		}
		changed = changed || gone || len(found.components) > 0
		for _, put := range found.components {
			if err := q.PutComponent(ctx, put); err != nil {
				return err
			}
		}
		now := db.Millis(time.Now())
		rows, err := q.ComponentsIn(ctx, id)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if found.names[row.ARN] && !outlived(row, found.components) {
				continue
			}
			changed = true
			if err := q.MarkComponentGone(ctx, db.MarkComponentGoneParams{GoneAt: &now, ID: row.ID}); err != nil {
				return err
			}
		}
		return q.SetPlaceSynced(ctx, db.SetPlaceSyncedParams{SyncedAt: now, ID: id})
	})
	return changed, err
}

// outlived reports whether the row is an earlier lifetime of a component that has been made again under its name.
func outlived(row db.Component, described []db.PutComponentParams) bool {
	return slices.ContainsFunc(described, func(put db.PutComponentParams) bool {
		return put.ARN == row.ARN && put.CreatedAt > row.CreatedAt
	})
}

func (w *Watcher) storeEndpoints(ctx context.Context, q *db.Queries, id string, endpoints []lora.Endpoint) (changed bool, err error) {
	rows, err := q.EndpointsIn(ctx, id)
	if err != nil {
		return false, err
	}
	old := map[string]db.Endpoint{}
	for _, row := range rows {
		old[row.Name] = row
	}
	for _, e := range endpoints {
		put := db.PutEndpointParams{
			PlaceID: id, Name: e.Name, ARN: e.ARN, ConfigName: e.ConfigName, Status: string(e.Status), FailureReason: e.FailureReason, Variant: e.Variant,
			InstanceType: e.InstanceType, InstanceCount: int64(e.InstanceCount), CreatedAt: db.Millis(e.Created), ModifiedAt: db.Millis(e.Modified),
		}
		if db.PutEndpointParams(old[e.Name]) == put {
			delete(old, e.Name)
			continue
		}
		delete(old, e.Name)
		changed = true
		if err := q.PutEndpoint(ctx, put); err != nil {
			return changed, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		changed = true
		if err := q.DropEndpoint(ctx, db.DropEndpointParams{PlaceID: id, Name: name}); err != nil {
			return changed, err
		}
	}
	return changed, nil
}
