package local

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"loradeck/internal/local/container"
	"loradeck/internal/local/fault"
	"loradeck/internal/local/sagemaker"
	"loradeck/internal/local/vllm"
)

// serveLevers answers the local place's own addresses, which AWS does not have.
func (s *Server) serveLevers(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/_local/faults"); ok && (rest == "" || rest[0] == '/') {
		s.serveFaults(w, r, strings.TrimPrefix(rest, "/"))
		return
	}
	if r.URL.Path == "/_local/pace" {
		s.servePace(w, r)
		return
	}
	name, metrics := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/_local/containers/"), "/metrics")
	if !metrics && r.URL.Path != "/_local/state" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "State is only read: use GET.", http.StatusMethodNotAllowed)
		return
	}
	if metrics {
		s.serveMetrics(w, r, name)
		return
	}
	now, err := s.state(r.Context())
	if err != nil {
		s.config.Log.ErrorContext(r.Context(), "state not read", "err", err)
		http.Error(w, "The state cannot be read.", http.StatusInternalServerError)
		return
	}
	answerJSON(w, http.StatusOK, now)
}

// serveMetrics gives a container's own metrics, to which no way leads through SageMaker.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request, name string) {
	c := s.control.Containers()[name]
	if c == nil {
		http.Error(w, "No container of a base "+name+" runs.", http.StatusNotFound)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = "/metrics"
	c.ServeHTTP(w, inner)
}

// state sets what the containers really have beside what the control plane says.
type state struct {
	Account    string      `json:"account"`
	Region     string      `json:"region"`
	Started    time.Time   `json:"started"`
	Pace       string      `json:"pace"`
	Paces      []string    `json:"paces"` // what it can be set to
	Containers []held      `json:"containers"`
	Components []component `json:"components"`
}

// held is what a running container has.
type held struct {
	Component string `json:"component"`      // the base's
	Dead      bool   `json:"dead,omitempty"` // the fault of that name keeps it from answering
	Adapters  []any  `json:"adapters"`       // heldAdapter, or servedAdapter of a vLLM
	*engine
}

// engine is what the built-in container tells of itself; a vLLM tells nothing of it.
type engine struct {
	Version  string    `json:"version"` // of the vLLM it plays
	Life     string    `json:"life"`    // running, dying or down
	Started  time.Time `json:"started"`
	MaxLoras int       `json:"maxLoras"`
	CPULoras int       `json:"maxCpuLoras"`
	Running  int       `json:"running"` // requests
	Waiting  int       `json:"waiting"`
	Died     time.Time `json:"died,omitzero"`  // last
	Lost     []string  `json:"lost,omitempty"` // adapters that went with it, and were neither registered nor removed since
}

type heldAdapter struct {
	Name       string    `json:"name"`
	Modules    int       `json:"modules"` // linear modules of the base it really changes
	Registered time.Time `json:"registered"`
	Kept       bool      `json:"kept"`      // in memory; else it is read again on its next use
	Answering  bool      `json:"answering"` // in a batch now
	Dead       bool      `json:"dead,omitempty"`
}

// servedAdapter is what a base has that a running vLLM serves: vLLM tells no more.
type servedAdapter struct {
	Name string `json:"name"`
	Kept bool   `json:"kept"` // vLLM has it; else it is registered again on its next use
	Dead bool   `json:"dead,omitempty"`
}

// component is an inference component as the control plane lists it.
type component struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Status   string `json:"status"`
	// Held is true when a container runs for it, or has an adapter of its name. One that is InService and not held answers
	// with an error.
	Held bool `json:"held"`
	// Idle is true of one that is InService and not held because no copy runs, its own or its base's: scaling up brings it back.
	Idle bool `json:"idle,omitempty"`
	// Base is told of an adapter that is InService and not held.
	Base string `json:"base,omitempty"`
}

// told is what a vLLM told of its adapters, if it did.
type told struct {
	answered bool
	adapters []vllm.Adapter
}

// askServers asks the vLLMs among the containers what they have, all at once: one that hangs takes seconds to be given up.
func askServers(ctx context.Context, running map[string]sagemaker.Container) map[string]told {
	var mu sync.Mutex
	var asking sync.WaitGroup
	all := map[string]told{}
	for name, c := range running {
		server, is := c.(*vllm.Container)
		if !is {
			continue
		}
		asking.Go(func() {
			adapters, err := server.Adapters(ctx)
			mu.Lock()
			defer mu.Unlock()
			all[name] = told{err == nil, adapters}
		})
	}
	asking.Wait()
	return all
}

func (s *Server) state(ctx context.Context) (state, error) {
	now := state{
		Account: s.config.Account, Region: s.config.Region, Started: s.started, Pace: s.Pace(), Paces: s.Paces(), Containers: []held{}, Components: []component{},
	}
	var err error
	if now.Components, err = s.listed(ctx); err != nil {
		return state{}, err
	}
	endpoints := map[string]string{}
	for _, c := range now.Components {
		endpoints[c.Name] = c.Endpoint
	}
	has := map[string]bool{}
	running := s.control.Containers()
	servers := askServers(ctx, running)
	for _, name := range slices.Sorted(maps.Keys(running)) {
		has[name] = true
		dead := func(asked string) bool { return s.faults.Has(fault.DeadInService, endpoints[name], asked, name) }
		h := held{Component: name, Dead: dead(name), Adapters: []any{}}
		switch c := running[name].(type) {
		case *container.Container:
			about := c.About()
			has[name] = about.Life == "running"
			h.engine = &engine{about.Version, about.Life, about.Started, about.MaxLoras, about.CPULoras, about.Load.Running, about.Load.Waiting, about.Died, about.Lost}
			for _, a := range c.Adapters() {
				has[a.Name] = has[name]
				h.Adapters = append(h.Adapters, heldAdapter{a.Name, a.Modules, a.Registered, a.Resident, a.Answering, dead(a.Name)})
			}
		case *vllm.Container:
			has[name] = servers[name].answered
			for _, a := range servers[name].adapters {
				has[a.Name] = true
				h.Adapters = append(h.Adapters, servedAdapter{a.Name, a.Loaded, dead(a.Name)})
			}
		}
		now.Containers = append(now.Containers, h)
	}
	idle := map[string]bool{} // bases that were looked at
	for i := range now.Components {
		c := &now.Components[i]
		if c.Held = has[c.Name]; c.Status != "InService" || c.Held {
			continue
		}
		if err := s.missed(ctx, c, idle); err != nil {
			return state{}, err
		}
	}
	return now, nil
}

// listed are all components as the control plane lists them.
func (s *Server) listed(ctx context.Context) ([]component, error) {
	all := []component{}
	for token := ""; ; {
		query := object{"SortBy": "Name", "SortOrder": "Ascending", "MaxResults": 100}
		if token != "" {
			query["NextToken"] = token
		}
		input, err := json.Marshal(query)
		if err != nil {
			return nil, err
		}
		status, text, err := client{s}.send(ctx, http.MethodPost, "/", "sagemaker", "ListInferenceComponents", input)
		if err != nil {
			return nil, err
		}
		var page struct {
			InferenceComponents []struct{ InferenceComponentName, EndpointName, InferenceComponentStatus string }
			NextToken           string
		}
		if err := json.Unmarshal(text, &page); status != http.StatusOK || err != nil {
			return nil, fmt.Errorf("ListInferenceComponents answers %d: %s", status, text)
		}
		for _, c := range page.InferenceComponents {
			all = append(all, component{Name: c.InferenceComponentName, Endpoint: c.EndpointName, Status: c.InferenceComponentStatus})
		}
		if token = page.NextToken; token == "" {
			return all, nil
		}
	}
}

// missed tells of a component that is InService and not held what base it belongs to, and whether no copy of that runs. Idle has
// what is known of bases, and takes up what is learned.
func (s *Server) missed(ctx context.Context, c *component, idle map[string]bool) error {
	about, err := s.about(ctx, c.Name)
	if err != nil {
		return err
	}
	base := c.Name
	if c.Base = about.Specification.BaseInferenceComponentName; c.Base != "" {
		base = c.Base
	}
	if _, known := idle[base]; !known {
		if about, err = s.about(ctx, base); err != nil {
			return err
		}
		idle[base] = about.RuntimeConfig != nil && about.RuntimeConfig.CurrentCopyCount == 0
	}
	c.Idle = idle[base]
	return nil
}

// described is what DescribeInferenceComponent tells of where a component belongs, and of its copies.
type described struct {
	Specification struct{ BaseInferenceComponentName string } // none of a base
	RuntimeConfig *struct{ CurrentCopyCount int }             // none of an adapter
}

func (s *Server) about(ctx context.Context, name string) (described, error) {
	var out described
	err := client{s}.describe(ctx, "DescribeInferenceComponent", object{"InferenceComponentName": name}, &out)
	return out, err
}
