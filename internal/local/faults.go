package local

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"loradeck/internal/local/fault"
	"loradeck/internal/lora"
)

// faultLimit bounds what may be sent to /_local/faults.
const faultLimit = 64 << 10

// serveFaults is GET /_local/faults (menu, what is set and what ended last), POST (set one: kind, resource, calls), DELETE (release all) and
// DELETE /_local/faults/ID (release one).
func (s *Server) serveFaults(w http.ResponseWriter, r *http.Request, id string) {
	switch {
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && id == "":
		answerJSON(w, http.StatusOK, struct {
			Menu  []fault.Entry `json:"menu"`
			Set   []fault.Fault `json:"set"`   // oldest first
			Ended []fault.Ended `json:"ended"` // newest first
		}{fault.Menu(), append([]fault.Fault{}, s.faults.Faults()...), append([]fault.Ended{}, s.faults.Ended()...)})
	case r.Method == http.MethodPost && id == "":
		s.setFault(w, r)
	case r.Method == http.MethodDelete && id == "":
		s.faults.ReleaseAll()
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodDelete:
		if err := s.faults.Release(id); err != nil {
			http.Error(w, lora.Message(err), http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
		http.Error(w, "Faults are read with GET, set with POST and released with DELETE.", http.StatusMethodNotAllowed)
	}
}

func (s *Server) setFault(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") { // a form of some page must not reach this
		http.Error(w, "Send a fault as application/json.", http.StatusUnsupportedMediaType)
		return
	}
	var wish struct {
		Kind     fault.Kind `json:"kind"`
		Resource string     `json:"resource"`
		Calls    int        `json:"calls"`
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, faultLimit))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&wish); err != nil {
		http.Error(w, `Send a fault as {"kind": "throttle", "resource": "", "calls": 3}: `+err.Error(), http.StatusBadRequest)
		return
	}
	if decoder.More() {
		http.Error(w, "Send one fault at a time.", http.StatusBadRequest)
		return
	}
	if wish.Kind == fault.StaleDescribe && !slices.ContainsFunc(s.faults.Faults(), func(f fault.Fault) bool { return f.Kind == fault.StaleDescribe }) {
		s.before.forget() // what it kept the last time is of changes long past
	}
	set, err := s.faults.Set(wish.Kind, wish.Resource, wish.Calls)
	if err != nil {
		http.Error(w, lora.Message(err), http.StatusBadRequest)
		return
	}
	answerJSON(w, http.StatusCreated, set)
}

// call is a request as the faults see it.
type call struct {
	service   string
	operation string   // of the control plane, "" elsewhere
	kind, own string   // what the operation is about, and that one's name: InferenceComponent, pirate
	resources []string // what it names: for S3 the bucket, and bucket/key
}

// operationLimit bounds what is read of a control plane call to see what it names; the control plane refuses longer ones itself.
const operationLimit = 4 << 20

// callOf reads what a request names, and leaves its body as it was.
func callOf(r *http.Request, service string) call {
	c := call{service: service}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case service == "s3":
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		c.resources = []string{bucket, bucket + "/" + key}
	case len(path) > 1 && path[0] == "endpoints":
		c.resources = []string{path[1], r.Header.Get("X-Amzn-Sagemaker-Inference-Component")}
	case service == "sagemaker":
		c.operation = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "SageMaker.")
		var names map[string]any
		if json.Unmarshal(beginning(r), &names) != nil {
			return c // the control plane says what is wrong with it
		}
		for member, name := range names {
			if name, ok := name.(string); ok && (strings.HasSuffix(member, "Name") || strings.HasSuffix(member, "NameEquals")) {
				c.resources = append(c.resources, name)
			}
		}
		for _, verb := range []string{"Create", "Update", "Delete", "Describe"} {
			if kind, ok := strings.CutPrefix(c.operation, verb); ok {
				c.kind = strings.TrimSuffix(strings.TrimSuffix(kind, "RuntimeConfig"), "WeightsAndCapacities")
				c.own, _ = names[c.kind+"Name"].(string)
			}
		}
	}
	return c
}

// beginning reads a body as far as operationLimit, and puts it back.
func beginning(r *http.Request) []byte {
	whole := r.Body
	text, err := io.ReadAll(io.LimitReader(whole, operationLimit))
	r.Body = rest{io.MultiReader(bytes.NewReader(text), failing{err}, whole), whole}
	return text
}

// rest is a body whose beginning was read and put back.
type rest struct {
	io.Reader
	io.Closer
}

// failing gives the error that reading the beginning met, in its place; without one it is empty.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// amiss plays the faults that are set for a request, and reports whether one of them has answered it. What it gives back
// stands for w and r from then on.
func (s *Server) amiss(w http.ResponseWriter, r *http.Request, service string) (http.ResponseWriter, *http.Request, bool) {
	if len(s.faults.Faults()) == 0 && !s.paged.Load() {
		return w, r, false
	}
	c := callOf(r, service)
	take := func(kind fault.Kind) bool { return s.faults.Take(kind, c.resources...) }
	switch {
	case take(fault.Expired):
		refuseExpired(w, r, service)
		return w, r, true
	case service == "s3" && take(fault.Throttle):
		refuse(w, r, service, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
		return w, r, true
	case service == "s3":
		return s.amissS3(w, r, take)
	case c.operation == "":
		return w, r, false
	case take(fault.Throttle):
		refuse(w, r, service, http.StatusBadRequest, "Throttling", "Rate exceeded")
		return w, r, true
	case strings.HasPrefix(c.operation, "Create") && take(fault.Quota):
		refuseQuota(w, strings.TrimPrefix(c.operation, "Create"))
		return w, r, true
	case strings.HasPrefix(c.operation, "List") && s.emptyPage(w, r, c):
		return w, r, true
	}
	return w, r, s.stale(w, r, c)
}

// refuseExpired answers as the services do when a session has ended: S3 with ExpiredToken, the others with
// ExpiredTokenException.
func refuseExpired(w http.ResponseWriter, r *http.Request, service string) {
	if service == "s3" {
		refuse(w, r, service, http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
		return
	}
	refuse(w, r, service, http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
}

// refuseQuota has the form of AWS's text (facts on SageMaker, §1.8); the limits are of no account.
func refuseQuota(w http.ResponseWriter, kind string) {
	const code = "ResourceLimitExceeded" // without "Exception", as botocore's model has it
	w.Header().Set("X-Amzn-Requestid", requestID())
	w.Header().Set("X-Amzn-Errortype", code)
	answerJSON(w, http.StatusBadRequest, map[string]string{"__type": code, "message": "The account-level service limit '" + kind + " count' is 0, with current utilization of 0 and a request delta of 1. " +
		"Please use AWS Service Quotas to request an increase for this quota."})
}

// emptyToken begins the token of an empty page; what follows is the token that the client had sent.
const emptyToken = "empty-page:"

// emptyPage answers a list with nothing but a token, and takes that token for the one that came before it.
func (s *Server) emptyPage(w http.ResponseWriter, r *http.Request, c call) bool {
	var input map[string]any
	if json.Unmarshal(beginning(r), &input) != nil {
		return false // the control plane says what is wrong with it
	}
	token, _ := input["NextToken"].(string)
	if before, ours := strings.CutPrefix(token, emptyToken); ours {
		if delete(input, "NextToken"); before != "" {
			input["NextToken"] = before
		}
		if text, err := json.Marshal(input); err == nil {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		}
		return false
	}
	if !s.faults.Take(fault.EmptyPage, c.resources...) {
		return false
	}
	s.paged.Store(true)
	w.Header().Set("X-Amzn-Requestid", requestID())
	answerJSON(w, http.StatusOK, map[string]any{strings.TrimPrefix(c.operation, "List"): []any{}, "NextToken": emptyToken + token})
	return true
}

// snapshots are the answers of Describe before the last change, by kind and name.
type snapshots struct {
	mu sync.Mutex
	of map[string]*answer
}

// forget drops them all.
func (s *snapshots) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = nil
}

// stale keeps what Describe says ahead of each change while the fault is set, and answers with it afterwards. A resource that
// did not change since the fault was set is described as it is.
func (s *Server) stale(w http.ResponseWriter, r *http.Request, c call) bool {
	if c.own == "" || !s.faults.Has(fault.StaleDescribe, c.resources...) {
		return false
	}
	if !strings.HasPrefix(c.operation, "Describe") {
		s.snap(r.Context(), c)
		return false
	}
	s.before.mu.Lock()
	old := s.before.of[c.kind+" "+c.own]
	s.before.mu.Unlock()
	if old == nil || !s.faults.Take(fault.StaleDescribe, c.resources...) {
		return false
	}
	maps.Copy(w.Header(), old.header)
	w.WriteHeader(old.status)
	_, _ = w.Write(old.body.Bytes()) // the client has gone when this fails
	return true
}

func (s *Server) snap(ctx context.Context, c call) {
	text, err := json.Marshal(map[string]string{c.kind + "Name": c.own})
	if err != nil {
		return // a map of strings
	}
	old, err := client{s}.ask(ctx, http.MethodPost, "/", "sagemaker", "Describe"+c.kind, text)
	if err != nil {
		return // the change itself will meet the same
	}
	s.before.mu.Lock()
	defer s.before.mu.Unlock()
	if s.before.of == nil || len(s.before.of) > 1000 {
		s.before.of = map[string]*answer{}
	}
	s.before.of[c.kind+" "+c.own] = old
}
