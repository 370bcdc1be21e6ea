package sagemaker

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"regexp"
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
var operations = map[string]func(p *Platform, ctx context.Context, body []byte) (any, error){
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
	"AddTags":                    op((*Platform).addTags),
	"ListTags":                   op((*Platform).listTags),
	"DeleteTags":                 op((*Platform).deleteTags),
}

// op makes an operation of a method that takes its decoded input.
func op[In any](do func(p *Platform, ctx context.Context, in In) (any, error)) func(*Platform, context.Context, []byte) (any, error) {
	return func(p *Platform, ctx context.Context, body []byte) (any, error) {
		var in In
		body, err := trimmed(body, reflect.TypeFor[In]())
		if err == nil {
			err = json.Unmarshal(body, &in)
		}
		if err != nil {
			var kind *json.UnmarshalTypeError
			if errors.As(err, &kind) {
				return nil, &apiError{kind: "SerializationException", message: fmt.Sprintf("%s can not be converted to the type of %s", kind.Value, kind.Field)}
			}
			return nil, &apiError{kind: "SerializationException", message: "The request body is not valid JSON."}
		}
		return do(p, ctx, in)
	}
}

// trimmed drops the members that AWS passes over: those that are null, which to AWS are absent, so that a shape that is kept
// does not answer them later; and those that the input does not have. Names count to the letter: encoding/json would also take
// "endpointName" for EndpointName, and what works here would then miss its endpoint on AWS.
func trimmed(body []byte, input reflect.Type) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	trim(value, input)
	return json.Marshal(value)
}

func trim(value any, as reflect.Type) {
	for as.Kind() == reflect.Pointer {
		as = as.Elem()
	}
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			member, known := as, true // of the wrong kind altogether: left for decoding to refuse
			switch as.Kind() {
			case reflect.Struct:
				var field reflect.StructField
				if field, known = as.FieldByName(name); known {
					member, known = field.Type, field.IsExported()
				}
			case reflect.Map:
				member = as.Elem()
			}
			if inner == nil || !known {
				delete(value, name)
				continue
			}
			trim(inner, member)
		}
	case []any:
		if as.Kind() == reflect.Slice {
			for _, inner := range value {
				trim(inner, as.Elem())
			}
		}
	}
}

const maxRequest = 4 << 20 // bytes of a control plane request; models carry at most 32 KB of environment

func (p *Platform) operate(w http.ResponseWriter, r *http.Request) {
	service, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	do, known := operations[name]
	if service != "SageMaker" || !known || r.Method != http.MethodPost {
		p.answerError(w, r, &apiError{kind: "UnknownOperationException", message: "The operation " + name + " is not one this service knows."})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		p.answerError(w, r, &apiError{kind: "SerializationException", message: "The request body could not be read."})
		return
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	out, err := do(p, r.Context(), body)
	if err != nil {
		p.answerError(w, r, err)
		return
	}
	answerJSON(w, http.StatusOK, out)
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
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
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

// Patterns of names (facts §1.3).
var (
	plainName    = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`)
	endpointName = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`)
	containsName = regexp.MustCompile(`^[a-zA-Z0-9-]+$`)
)

// checks collects what is wrong with an input, to be told all at once as AWS does.
type checks struct{ wrong []string }

func (c *checks) fail(value, member, constraint string) {
	c.wrong = append(c.wrong, fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s", value, member, constraint))
}

// name checks a required name.
func (c *checks) name(value, member string, form *regexp.Regexp) {
	switch {
	case value == "":
		c.fail("null", member, "Member must not be null")
	case len(value) > 63:
		c.fail("'"+value+"'", member, "Member must have length less than or equal to 63")
	case !form.MatchString(value):
		c.fail("'"+value+"'", member, "Member must satisfy regular expression pattern: "+strings.Trim(form.String(), "^$"))
	}
}

// present checks that a required member is there.
func (c *checks) present(there bool, member string) {
	if !there {
		c.fail("null", member, "Member must not be null")
	}
}

func (c *checks) between(value *int, low, high int, member string) {
	switch {
	case value == nil:
	case *value < low:
		c.fail(fmt.Sprintf("'%d'", *value), member, fmt.Sprintf("Member must have value greater than or equal to %d", low))
	case *value > high:
		c.fail(fmt.Sprintf("'%d'", *value), member, fmt.Sprintf("Member must have value less than or equal to %d", high))
	}
}

func (c *checks) atLeast(value *float64, low float64, member string) {
	if value != nil && *value < low {
		c.fail(fmt.Sprintf("'%v'", *value), member, fmt.Sprintf("Member must have value greater than or equal to %v", low))
	}
}

// role checks a role that may be left out.
func (c *checks) role(arn, member string) {
	switch {
	case arn == "":
	case len(arn) < 20 || len(arn) > 2048:
		c.fail("'"+arn+"'", member, "Member must have length between 20 and 2048")
	case !roleForm.MatchString(arn):
		c.fail("'"+arn+"'", member, "Member must satisfy regular expression pattern: "+strings.Trim(roleForm.String(), "^$"))
	}
}

func (c *checks) oneOf(value, member string, allowed ...string) {
	if value == "" {
		return
	}
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	c.fail("'"+value+"'", member, "Member must satisfy enum value set: ["+strings.Join(allowed, ", ")+"]")
}

func (c *checks) err() error {
	if len(c.wrong) == 0 {
		return nil
	}
	noun := "error"
	if len(c.wrong) > 1 {
		noun = "errors"
	}
	return invalid("%d validation %s detected: %s", len(c.wrong), noun, strings.Join(c.wrong, "; "))
}
