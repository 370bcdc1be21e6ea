package sagemaker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// apiError is an error as AWS writes it.
type apiError struct {
	kind    string // its type: ValidationException and so on
	message string
	status  int // 0 means 400
}

// Error gives type and message.
func (e *apiError) Error() string { return e.kind + ": " + e.message }

func invalid(format string, args ...any) error {
	return &apiError{kind: "ValidationException", message: fmt.Sprintf(format, args...)}
}

// operations are all that the control plane knows.
var operations = map[string]func(p *Platform, ctx context.Context, sent document) (any, error){
	"CreateEndpointConfig":       op((*Platform).createEndpointConfig),
	"DescribeEndpointConfig":     op((*Platform).describeEndpointConfig),
	"ListEndpointConfigs":        op((*Platform).listEndpointConfigs),
	"DeleteEndpointConfig":       op((*Platform).deleteEndpointConfig),
	"CreateEndpoint":             op((*Platform).createEndpoint),
	"DescribeEndpoint":           op((*Platform).describeEndpoint),
	"ListEndpoints":              op((*Platform).listEndpoints),
	"DeleteEndpoint":             op((*Platform).deleteEndpoint),
	"CreateModel":                op((*Platform).createModel),
	"DescribeModel":              op((*Platform).describeModel),
	"ListModels":                 op((*Platform).listModels),
	"DeleteModel":                op((*Platform).deleteModel),
	"CreateInferenceComponent":   op((*Platform).createComponent),
	"DescribeInferenceComponent": op((*Platform).describeComponent),
	"ListInferenceComponents":    op((*Platform).listComponents),
	"DeleteInferenceComponent":   op((*Platform).deleteComponent),
	"UpdateInferenceComponent":   op((*Platform).updateComponent),

	"UpdateInferenceComponentRuntimeConfig": op((*Platform).updateRuntimeConfig),
	"UpdateEndpoint":                        op((*Platform).updateEndpoint),
	"UpdateEndpointWeightsAndCapacities":    op((*Platform).updateWeights),
	"AddTags":                               op((*Platform).addTags),
	"ListTags":                              op((*Platform).listTags),
	"DeleteTags":                            op((*Platform).deleteTags),
}

// op makes an operation of a method that takes what it reads of its input. A method that keeps the whole request takes it too,
// as a sent.
func op[In any](do func(p *Platform, ctx context.Context, in In) (any, error)) func(*Platform, context.Context, document) (any, error) {
	return func(p *Platform, ctx context.Context, given document) (any, error) {
		var in In
		text, err := json.Marshal(given)
		if err == nil {
			err = json.Unmarshal(text, &in)
		}
		if err != nil {
			return nil, fmt.Errorf("read input: %w", err) // the service model says what it may hold
		}
		if whole, ok := any(&in).(interface{ keep(document) }); ok {
			whole.keep(given)
		}
		return do(p, ctx, in)
	}
}

// sent is a whole request, for an input to embed.
type sent struct{ whole document }

func (s *sent) keep(given document) { s.whole = given }

// kept gives the request without its tags, which have a table of their own.
func (s *sent) kept() document {
	kept := maps.Clone(s.whole)
	delete(kept, "Tags")
	return kept
}

const contentType = "application/x-amz-json-1.1"

// jsonTypes are the content types of requests that are read. One without any is read too.
var jsonTypes = []string{"", contentType, "application/x-amz-json-1.0", "application/json"}

const maxRequest = 4 << 20 // bytes of a control plane request; models carry at most 32 KB of environment

func (p *Platform) operate(w http.ResponseWriter, r *http.Request) {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); r.Method != http.MethodPost || !slices.Contains(jsonTypes, strings.TrimSpace(kind)) {
		// AWS's services of this protocol answer so before they read anything; DynamoDB is known to.
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "<UnknownOperationException/>\n")
		return
	}
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	do, known := operations[name]
	if service != "SageMaker" || !known {
		p.answerError(w, r, &apiError{kind: "UnknownOperationException", message: "The operation " + name + " is not one this service knows."})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		p.answerError(w, r, &apiError{kind: "RequestEntityTooLargeException", message: fmt.Sprintf("Request must be smaller than %d bytes for the %s operation", maxRequest, name), status: http.StatusRequestEntityTooLarge})
		return
	case err != nil:
		p.answerError(w, r, unreadable("The request body could not be read."))
		return
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	shapes := p.service.Operations[name]
	given, err := shapes.Input.read(body)
	if err != nil {
		p.answerError(w, r, err)
		return
	}
	out, err := do(p, r.Context(), given)
	switch {
	case err != nil:
		p.answerError(w, r, err)
	case shapes.Output.shape == nil:
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(http.StatusOK) // AWS has no body for an operation without an output
	default:
		answerJSON(w, http.StatusOK, out)
	}
}

func (p *Platform) answerError(w http.ResponseWriter, r *http.Request, err error) {
	var known *apiError
	if !errors.As(err, &known) {
		p.config.Log.ErrorContext(r.Context(), "control plane failed", "target", r.Header.Get("X-Amz-Target"), "err", err)
		known = &apiError{kind: "InternalFailure", message: "The request processing has failed because of an unknown error, exception or failure.", status: 500}
	}
	status := known.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	w.Header().Set("X-Amzn-Errortype", known.kind)
	answerJSON(w, status, map[string]string{"__type": known.kind, "message": known.message})
}

func answerJSON(w http.ResponseWriter, status int, out any) {
	text, err := json.Marshal(out)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(text)
}

type empty struct{}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// moment is a time as JSON 1.1 has it: seconds since 1970 with a fraction. The tables keep milliseconds.
type moment int64

// MarshalJSON writes seconds.
func (m moment) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%d.%03d", int64(m)/1000, int64(m)%1000), nil
}

// UnmarshalJSON reads seconds.
func (m *moment) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	*m = moment(math.Round(seconds*1e6)) / 1000 // milliseconds that a float64 holds as …999 stay themselves
	return nil
}

func (p *Platform) now() moment { return moment(p.config.Now().Truncate(time.Millisecond).UnixMilli()) }
