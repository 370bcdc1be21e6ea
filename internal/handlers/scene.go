package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// scene is everything in service or on its way, as last seen: what the deck draws and the playground offers.
type scene struct {
	places      []db.Place
	endpoints   []db.Endpoint
	components  map[where]db.Component
	inOrder     []db.Component
	deployments []db.LiveDeploymentsRow
	deployed    map[where]db.LiveDeploymentsRow
}

// where names a component: its name is unique in its place.
type where struct{ place, name string }

// settling is how long after its creation a component may be missing from the last look without counting as gone.
const settling = time.Minute

func (h *Handlers) look(ctx context.Context) (scene, error) {
	q := h.DB.Read()
	s := scene{components: map[where]db.Component{}, deployed: map[where]db.LiveDeploymentsRow{}}
	var err error
	if s.places, err = q.Places(ctx); err != nil {
		return s, fmt.Errorf("read places: %w", err)
	}
	if s.endpoints, err = q.Endpoints(ctx); err != nil {
		return s, fmt.Errorf("read endpoints: %w", err)
	}
	if s.inOrder, err = q.Components(ctx); err != nil {
		return s, fmt.Errorf("read components: %w", err)
	}
	if s.deployments, err = q.LiveDeployments(ctx); err != nil {
		return s, fmt.Errorf("read deployments: %w", err)
	}
	for _, c := range s.inOrder {
		s.components[where{c.PlaceID, c.Name}] = c
	}
	for _, d := range s.deployments {
		s.deployed[where{d.PlaceID, d.ComponentName}] = d
	}
	return s, nil
}

// bases gives the base components of an endpoint.
func (s scene) bases(place, endpoint string) []db.Component {
	var found []db.Component
	for _, c := range s.inOrder {
		if c.PlaceID == place && c.Endpoint == endpoint && c.BaseName == "" {
			found = append(found, c)
		}
	}
	return found
}

// adapter is one adapter on a base: shipped from here, seen in the place, or both.
type adapter struct {
	component  db.Component
	seen       bool // component is known
	deployment db.LiveDeploymentsRow
	ours       bool // deployment is known
}

// adapters gives the adapters of a base: those shipped from here in the order they were shipped, then the others.
func (s scene) adapters(base db.Component) []adapter {
	var found []adapter
	for _, d := range s.deployments {
		if d.PlaceID == base.PlaceID && d.BaseName == base.Name {
			found = append(found, s.shipped(d))
		}
	}
	for _, c := range s.inOrder {
		_, ours := s.deployed[where{c.PlaceID, c.Name}]
		if c.PlaceID == base.PlaceID && c.BaseName == base.Name && !ours {
			found = append(found, adapter{component: c, seen: true})
		}
	}
	return found
}

func (a adapter) name() string {
	if a.ours {
		return a.deployment.ComponentName
	}
	return a.component.Name
}

// label is how people call it: the adapter and its version, or the component's name when it was shipped by others.
func (a adapter) label() string {
	if a.ours {
		return fmt.Sprintf("%s v%d", a.deployment.Adapter, a.deployment.Version)
	}
	return a.component.Name
}

// state puts the facts about an adapter together; lora says what they mean.
func (a adapter) state(base db.Component, now time.Time) lora.State {
	if !a.ours {
		return lora.ScreenState(lora.Facts{Status: lora.Status(a.component.Status)})
	}
	d := a.deployment
	facts := lora.Facts{
		JobKind: d.JobKind, JobState: d.JobState, Step: d.StepName, Status: lora.Status(a.component.Status), Verdict: lora.Verdict(d.Verdict),
		Stale: a.stale(base) != lora.StaleNot,
	}
	if !a.seen && d.ComponentCreatedAt != 0 {
		if now.Sub(db.Time(d.ComponentCreatedAt)) > settling {
			facts.Gone = true
		} else {
			facts.Status = lora.StatusCreating // the next look will find it
		}
	}
	return lora.ScreenState(facts)
}

// stale is why the newest proof of the adapter no longer counts; StaleNot also while there is none.
func (a adapter) stale(base db.Component) lora.StaleCause {
	if !a.seen || !a.ours || a.deployment.ProvedAt == 0 {
		return lora.StaleNot
	}
	return a.deployment.Subject().Stale(db.News(a.component, base))
}

// moving reports whether a job is at work on the adapter.
func (a adapter) moving() bool {
	return a.ours && (a.deployment.JobState == lora.JobQueued || a.deployment.JobState == lora.JobRunning)
}

// inService reports whether the service says so of the component. It answers while a copy of its base runs, too.
func (a adapter) inService() bool {
	return a.seen && lora.Status(a.component.Status) == lora.StatusInService
}

// idle says why nothing on a base answers and what to do, when no copy of it runs though it is in service or was; "" else.
func idle(base db.Component) string {
	if base.Copies > 0 {
		return ""
	}
	none := "No copy of " + base.Name + " runs, so nothing on it answers"
	switch lora.Status(base.Status) {
	case lora.StatusInService:
		return none + ", although it is InService. Scale it up before you ask it or deploy to it."
	case lora.StatusUpdating:
		return none + " before its update has ended."
	case lora.StatusFailed:
		return none + ". Set right what is wrong, then delete it and create it again."
	}
	return ""
}

// settings reads a base's LoRA variables; known is false while its model has not been read.
func settings(base db.Component) (s lora.Settings, known bool) {
	var environment map[string]string
	if json.Unmarshal([]byte(base.Environment), &environment) != nil || len(environment) == 0 {
		return s, false
	}
	return lora.SettingsFrom(environment), true
}

// model is what a base's config.json says of it, as far as the deck shows it.
type model struct {
	Architectures []string `json:"architectures"`
	DType         string   `json:"dtype"`
	TorchDType    string   `json:"torch_dtype"` // what dtype was called before transformers 5
	Context       int64    `json:"max_position_embeddings"`
}

func modelOf(base db.Component) model {
	var m model
	if json.Unmarshal([]byte(base.ModelConfig), &m) != nil {
		return model{}
	}
	if m.DType == "" {
		m.DType = m.TorchDType
	}
	return m
}
