// Package fault is the menu of what can go wrong on the local platform on purpose, and the list of what is set to go wrong.
//
// It knows what a fault is called, in one sentence, and how often it is still to happen. It does not know how one is played:
// whoever answers a request asks Take, and plays it. Nothing is kept over a restart, so a platform that was started anew is sound.
package fault

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"loradeck/internal/lora"
)

// Kind is a sort of fault.
type Kind string

// The kinds, in the order of the menu.
const (
	Throttle      Kind = "throttle"
	Expired       Kind = "expired"
	Quota         Kind = "quota"
	StaleDescribe Kind = "stale-describe"
	EmptyPage     Kind = "empty-page"
	NoCapacity    Kind = "no-capacity"
	StuckCreating Kind = "stuck-creating"
	DeadInService Kind = "dead-in-service"
	SlowS3        Kind = "slow-s3"
	CutS3         Kind = "cut-s3"

	InvokeThrottle    Kind = "invoke-throttle"
	InvokeNotReady    Kind = "invoke-not-ready"
	InvokeFailure     Kind = "invoke-failure"
	InvokeUnavailable Kind = "invoke-unavailable"
	InvokeDependency  Kind = "invoke-dependency"
	InvokeTimeout     Kind = "invoke-timeout"
	StreamBroken      Kind = "stream-broken"
	StreamTimeout     Kind = "stream-timeout"
	StreamFailure     Kind = "stream-failure"
	CutFrames         Kind = "cut-frames"

	EngineCrash   Kind = "engine-crash"
	VanishedFiles Kind = "vanished-files"
	EchoKills     Kind = "echo-kills"
	StaleCache    Kind = "stale-cache"
	Noise         Kind = "noise"
	NaN           Kind = "nan"
)

// Entry is a line of the menu.
type Entry struct {
	Kind     Kind   `json:"kind"`
	Sentence string `json:"sentence"` // what happens
	Resource string `json:"resource"` // what a resource names for this kind
	Part     string `json:"part"`     // where it happens
}

// part is where a kind happens.
func part(kind Kind) string {
	switch kind {
	case SlowS3, CutS3:
		return "S3"
	case InvokeThrottle, InvokeNotReady, InvokeFailure, InvokeUnavailable, InvokeDependency, InvokeTimeout, StreamBroken, StreamTimeout, StreamFailure, CutFrames:
		return "Invoking"
	case DeadInService, EngineCrash, VanishedFiles, EchoKills, StaleCache, Noise, NaN:
		return "The container"
	}
	return "The control plane"
}

// Menu gives every kind, in a fixed order.
func Menu() []Entry {
	const (
		named   = "a model, endpoint configuration, endpoint or inference component"
		invoked = "an endpoint or inference component"
		shared  = "a base, for everything it answers, or an adapter, for what is asked of it"
		own     = "a base or an adapter, for what is asked of it by its name"
	)
	lines := []struct {
		kind               Kind
		sentence, resource string
	}{
		{Throttle, "SageMaker's control plane answers ThrottlingException (Rate exceeded), S3 answers SlowDown.", named + ", or a bucket"},
		{Expired, "Every call is refused because its credentials have expired.", named + ", or a bucket"},
		{Quota, "Creating answers ResourceLimitExceeded: the account's quota is used up.", named},
		{StaleDescribe, "Describe answers as it was before the last change.", named},
		{EmptyPage, "A list answers an empty page with a token; the page after it holds what is there.", "an endpoint that the list is narrowed to"},
		{NoCapacity, "AWS has no instance for new copies: a base that is created or scaled goes Failed, an updated one back to what it was.", invoked},
		{StuckCreating, "What is being created stays Creating, until this is released or has been described as often as is set.", invoked},
		{DeadInService, "A component is InService and its container does not answer: invoking answers ModelError.", invoked + ", of a base for its adapters too"},
		{SlowS3, "S3 sends and takes 64 KiB a second.", "a bucket, or bucket/key"},
		{CutS3, "S3 drops the connection in the middle of a body.", "a bucket, or bucket/key"},
		{InvokeThrottle, "Invoking answers ThrottlingException without a message.", invoked},
		{InvokeNotReady, "Invoking answers ModelNotReadyException (429).", invoked},
		{InvokeFailure, "Invoking answers InternalFailure (500).", invoked},
		{InvokeUnavailable, "Invoking answers ServiceUnavailable (503).", invoked},
		{InvokeDependency, "Invoking answers InternalDependencyException (530).", invoked},
		{InvokeTimeout, "Invoking without a stream answers ModelError: the container took longer than the 60 seconds it has.", invoked},
		{StreamBroken, "A response stream breaks off after its first parts, as when the container dies: ModelStreamError with the code StreamBroken.", invoked},
		{StreamTimeout, "A response stream ends after its first parts because its 8 minutes are over: ModelStreamError with the code ModelInvocationTimeExceeded.", invoked},
		{StreamFailure, "A response stream ends after its first parts with InternalStreamFailure.", invoked},
		{CutFrames, "The parts of a response stream end in the middle of lines and letters.", invoked},
		{EngineCrash, "The base's engine dies of a request and comes back by itself without its adapters: they stay InService and answer 404.", shared},
		{VanishedFiles, "An adapter was evicted and its files have gone when it is read again: the engine dies with every adapter.", shared},
		{EchoKills, "A request with echo and logprobs beside any other ends the engine with every adapter, in vLLM 0.11.2 only.", shared},
		{StaleCache, "Prompts are cached by the adapter's name: other weights loaded under it go on from what the old ones computed.", shared},
		{Noise, "Numbers are rounded up or down by chance, as coarsely as by bfloat16: the log-probabilities of repeats differ by about 0.06.", own},
		{NaN, "Answers are computed as from weights that hold NaN: empty text, or an error with logprobs.", own},
	}
	menu := make([]Entry, len(lines))
	for i, l := range lines {
		menu[i] = Entry{l.kind, l.sentence, l.resource, part(l.kind)}
	}
	return menu
}

// Fault is one that is set.
type Fault struct {
	ID       string `json:"id"`
	Kind     Kind   `json:"kind"`
	Resource string `json:"resource"` // "" is every resource
	Calls    int    `json:"calls"`    // still to happen; 0 is until released
	Happened int    `json:"happened"`
}

// Ended is a fault that is over.
type Ended struct {
	Fault
	Released bool      `json:"released"` // with Calls to come; otherwise it happened as often as was asked
	At       time.Time `json:"at"`
}

// Registry holds what is set. The zero value is ready, a nil one takes nothing. It is safe for concurrent use.
type Registry struct {
	mu    sync.Mutex
	last  int
	set   []Fault       // in the order in which they were set
	ended []Ended       // the last ones, in the order in which they ended
	fewer chan struct{} // closed when one is over, where somebody waits for that
}

const (
	mostFaults = 100
	mostCalls  = 1_000_000
	mostEnded  = 10
)

// Set adds a fault for the next calls, or until it is released where calls is 0. Its errors are of kind Invalid.
func (r *Registry) Set(kind Kind, resource string, calls int) (Fault, error) {
	if !slices.ContainsFunc(Menu(), func(e Entry) bool { return e.Kind == kind }) {
		return Fault{}, lora.Errorf(lora.Invalid, "There is no fault %q. GET /_local/faults lists them.", kind)
	}
	if calls < 0 || calls > mostCalls {
		return Fault{}, lora.Errorf(lora.Invalid, "A fault is set for 1 to %d calls, or for 0, which is until it is released.", mostCalls)
	}
	if len(resource) > 1100 { // a bucket, a slash and a key of 1,024 bytes
		return Fault{}, lora.Errorf(lora.Invalid, "The resource's name is too long.")
	}
	if strings.ContainsFunc(resource, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return Fault{}, lora.Errorf(lora.Invalid, "The resource %q holds a character that cannot be seen. Give the name without it, or none for every resource.", resource)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.set) >= mostFaults {
		return Fault{}, lora.Errorf(lora.Invalid, "%d faults are set already. Release some first.", mostFaults)
	}
	r.last++
	f := Fault{ID: strconv.Itoa(r.last), Kind: kind, Resource: resource, Calls: calls}
	r.set = append(r.set, f)
	return f, nil
}

// Release ends a fault. One that is over, or never was, is of kind NotFound.
func (r *Registry) Release(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.set, func(f Fault) bool { return f.ID == id })
	if i < 0 {
		return lora.Errorf(lora.NotFound, "No fault %q is set; it may have happened as often as was asked.", id)
	}
	r.end(i, true)
	return nil
}

// ReleaseAll ends every fault.
func (r *Registry) ReleaseAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.set) > 0 {
		r.end(0, true)
	}
}

// end takes a fault out of what is set, keeps it among the last that ended, and wakes those who wait for that. The caller holds mu.
func (r *Registry) end(i int, released bool) {
	r.ended = append(r.ended, Ended{r.set[i], released, time.Now()})
	r.ended = r.ended[max(0, len(r.ended)-mostEnded):]
	r.set = slices.Delete(r.set, i, i+1)
	if r.fewer != nil {
		close(r.fewer)
		r.fewer = nil
	}
}

// Over waits until the kind is set for none of the resources. Its error is ctx's.
func (r *Registry) Over(ctx context.Context, kind Kind, resources ...string) error {
	for r != nil {
		r.mu.Lock()
		set := r.find(kind, resources) >= 0
		if set && r.fewer == nil {
			r.fewer = make(chan struct{})
		}
		fewer := r.fewer
		r.mu.Unlock()
		if !set {
			break
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-fewer:
		}
	}
	return context.Cause(ctx)
}

// Faults gives what is set, oldest first.
func (r *Registry) Faults() []Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.set)
}

// Ended gives the last that ended, newest first.
func (r *Registry) Ended() []Ended {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := slices.Clone(r.ended)
	slices.Reverse(last)
	return last
}

// Has reports whether Take would find the kind set for one of the resources. It uses nothing up.
func (r *Registry) Has(kind Kind, resources ...string) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.find(kind, resources) >= 0
}

// Take reports whether the kind is to happen now to a call that concerns these resources, and counts it. The oldest one that
// fits is used up first.
func (r *Registry) Take(kind Kind, resources ...string) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.find(kind, resources)
	if i < 0 {
		return false
	}
	f := &r.set[i]
	f.Happened++
	if f.Calls == 0 {
		return true
	}
	if f.Calls--; f.Calls == 0 {
		r.end(i, false)
	}
	return true
}

func (r *Registry) find(kind Kind, resources []string) int {
	return slices.IndexFunc(r.set, func(f Fault) bool {
		return f.Kind == kind && (f.Resource == "" || slices.Contains(resources, f.Resource))
	})
}
