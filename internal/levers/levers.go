// Package levers speaks to the levers of the local place: its faults, its pace, and what its containers really hold. They stand
// under /_local/ of the local platform's listener, and AWS has nothing like them: this is the one thing the app asks that is not
// AWS's own protocol.
//
// It knows the wire and nothing of the platform behind it, with which it shares no code; and nothing of the pages in front.
package levers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"loradeck/internal/lora"
)

// Local is how the local place is.
type Local struct {
	Account    string      `json:"account"`
	Region     string      `json:"region"`
	Started    time.Time   `json:"started"`
	Pace       string      `json:"pace"`
	Paces      []string    `json:"paces"` // what it can be set to
	Containers []Container `json:"containers"`
	Components []Component `json:"components"`
	Faults     `json:"-"`
}

// Faults is what can be set to go wrong, what is, and what was.
type Faults struct {
	Menu  []Entry `json:"menu"`
	Set   []Fault `json:"set"`   // oldest first
	Ended []Ended `json:"ended"` // the last ones, newest first
}

// Container is what runs for a base. Of a vLLM of one's own only the base and the names of its adapters are known.
type Container struct {
	Component string    `json:"component"` // the base's
	Dead      bool      `json:"dead"`      // the fault dead-in-service keeps it from answering
	Version   string    `json:"version"`   // of the vLLM it plays; "" is not known, and then nothing below is but the adapters
	Life      string    `json:"life"`      // "running", "dying" or "down"
	Started   time.Time `json:"started"`
	MaxLoras  int       `json:"maxLoras"`    // adapters that answer at once
	CPULoras  int       `json:"maxCpuLoras"` // adapters that are kept
	Running   int       `json:"running"`     // requests
	Waiting   int       `json:"waiting"`
	Died      time.Time `json:"died"` // when its engine died last; zero when it never has
	Lost      []string  `json:"lost"` // adapters that went with it, and were neither registered nor removed since
	Adapters  []Adapter `json:"adapters"`
}

// Adapter is a registered adapter.
type Adapter struct {
	Name       string    `json:"name"`
	Modules    int       `json:"modules"` // linear modules of the base it really changes
	Registered time.Time `json:"registered"`
	Kept       bool      `json:"kept"`      // in memory; else it is read, or given to a vLLM, again on its next use
	Answering  bool      `json:"answering"` // in a batch now
	Dead       bool      `json:"dead"`      // as of its container, or for itself
}

// Component is an inference component as the control plane lists it.
type Component struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Status   string `json:"status"`
	Held     bool   `json:"held"` // a container runs for it, or has an adapter of its name
	Idle     bool   `json:"idle"` // none does because no copy runs, its own or its base's
	Base     string `json:"base"` // of an adapter that is InService and not held
}

// Entry is a line of the menu of faults.
type Entry struct {
	Kind     string `json:"kind"`
	Sentence string `json:"sentence"` // what happens
	Resource string `json:"resource"` // what a resource names for this kind
	Part     string `json:"part"`     // where it happens
}

// Fault is one that is set.
type Fault struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
	Resource string `json:"resource"` // "" is every resource
	Calls    int    `json:"calls"`    // still to happen; 0 is until released
	Happened int    `json:"happened"`
}

// Ended is one that is over.
type Ended struct {
	Fault
	Released bool      `json:"released"` // with Calls to come; otherwise it happened as often as was asked
	At       time.Time `json:"at"`
}

// Asked is how many calls it was set for, 0 being until released.
func (e Ended) Asked() int {
	if e.Calls == 0 && e.Released {
		return 0
	}
	return e.Calls + e.Happened
}

// Client pulls the levers of one local platform. Its errors are fit for users.
type Client struct {
	base string
	http *http.Client
}

// New makes a client of the platform at address, "http://127.0.0.1:8090".
func New(address string) *Client {
	return &Client{base: strings.TrimRight(address, "/") + "/_local/", http: &http.Client{Timeout: 10 * time.Second}}
}

// Address is the platform's.
func (c *Client) Address() string { return strings.TrimSuffix(c.base, "/_local/") }

// Look reads how the place is.
func (c *Client) Look(ctx context.Context) (Local, error) {
	var now Local
	err := c.read(ctx, "state", &now)
	if err == nil {
		now.Faults, err = c.Faults(ctx)
	}
	return now, err
}

// Faults reads what is set, which asks no container.
func (c *Client) Faults(ctx context.Context) (Faults, error) {
	var faults Faults
	err := c.read(ctx, "faults", &faults)
	return faults, err
}

// Set adds a fault for so many calls, 0 being until it is released, for one resource or with "" for all.
func (c *Client) Set(ctx context.Context, kind, resource string, calls int) error {
	_, err := c.send(ctx, http.MethodPost, "faults", map[string]any{"kind": kind, "resource": resource, "calls": calls})
	return err
}

// Release ends a fault. One that is over is no error.
func (c *Client) Release(ctx context.Context, id string) error {
	_, err := c.send(ctx, http.MethodDelete, "faults/"+url.PathEscape(id), nil)
	if lora.KindOf(err) == lora.NotFound {
		return nil
	}
	return err
}

// ReleaseAll ends every fault.
func (c *Client) ReleaseAll(ctx context.Context) error {
	_, err := c.send(ctx, http.MethodDelete, "faults", nil)
	return err
}

// SetPace changes how long changes of state take.
func (c *Client) SetPace(ctx context.Context, pace string) error {
	_, err := c.send(ctx, http.MethodPut, "pace", map[string]any{"pace": pace})
	return err
}

// Metrics gives the metrics of a base's container, in Prometheus's text format.
func (c *Client) Metrics(ctx context.Context, base string) ([]byte, error) {
	return c.send(ctx, http.MethodGet, "containers/"+url.PathEscape(base)+"/metrics", nil)
}

func (c *Client) read(ctx context.Context, what string, into any) error {
	text, err := c.send(ctx, http.MethodGet, what, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return lora.Wrap(err, lora.Unavailable, "The local platform's answer about its %s cannot be read. Is another program listening on its address?", what)
	}
	return nil
}

// mostAnswer bounds what is read of an answer.
const mostAnswer = 16 << 20

func (c *Client) send(ctx context.Context, method, what string, wish any) ([]byte, error) {
	var body io.Reader = http.NoBody
	if wish != nil {
		text, err := json.Marshal(wish)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, what, err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+what, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, what, err)
	}
	if wish != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, lora.Wrap(err, lora.Unavailable, "The local platform does not answer. Look at the program's log.")
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	switch {
	case err != nil:
		return nil, lora.Wrap(err, lora.Unavailable, "The local platform's answer broke off. Try again.")
	case answer.StatusCode == http.StatusNotFound:
		return nil, lora.Errorf(lora.NotFound, "%s", strings.TrimSpace(string(text)))
	case answer.StatusCode/100 == 4:
		return nil, lora.Errorf(lora.Invalid, "%s", strings.TrimSpace(string(text)))
	case answer.StatusCode/100 != 2:
		return nil, lora.Errorf(lora.Unavailable, "The local platform answered %d. Look at the program's log.", answer.StatusCode)
	}
	return text, nil
}
