package sagemaker_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// The witness reads the service model by itself: with the reader of the control plane a mistake there would not be seen.
//
//go:embed shapes.json
var modelText []byte

type model struct {
	Operations map[string]struct {
		Input, Output *struct{ Shape string }
		Errors        []struct{ Shape string }
	}
	Shapes map[string]struct {
		Type               string
		Members            map[string]struct{ Shape string }
		Required, Enum     []string
		Member, Key, Value struct{ Shape string }
		Min, Max           *float64
		Pattern            string
	}
}

func readModel(t testing.TB) *model {
	t.Helper()
	var m model
	if err := json.Unmarshal(modelText, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// undeclared are errors that the service model does not have and the service answers (facts §1.2).
var undeclared = []string{"ValidationException", "SerializationException", "UnknownOperationException", "RequestEntityTooLargeException"}

// witness holds every answer of a control plane to AWS's model.
type witness struct {
	t     testing.TB
	model *model

	mu       sync.Mutex
	answers  int
	answered map[string]bool // operations that answered 200
}

func newWitness(t testing.TB) *witness {
	v := &witness{t: t, model: readModel(t), answered: map[string]bool{}}
	t.Cleanup(func() { t.Logf("%d answers walked", v.answers) })
	return v
}

func (v *witness) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, isControl := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if !isControl {
			next.ServeHTTP(w, r)
			return
		}
		seen := httptest.NewRecorder()
		next.ServeHTTP(seen, r)
		for _, wrong := range v.judge(operation, seen) {
			v.t.Errorf("%s answered %d %s: %s", operation, seen.Code, seen.Body, wrong)
		}
		for name, values := range seen.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(seen.Code)
		w.Write(seen.Body.Bytes())
	})
}

// judge gives what is wrong with an answer.
func (v *witness) judge(operation string, seen *httptest.ResponseRecorder) (wrong []string) {
	v.mu.Lock()
	v.answers++
	v.answered[operation] = v.answered[operation] || seen.Code == http.StatusOK
	v.mu.Unlock()
	if seen.Code == http.StatusNotFound && seen.Body.String() == "<UnknownOperationException/>\n" && seen.Header().Get("x-amzn-RequestId") != "" {
		return nil // another method or content type
	}
	if seen.Header().Get("x-amzn-RequestId") == "" || seen.Header().Get("Content-Type") != "application/x-amz-json-1.1" {
		wrong = append(wrong, fmt.Sprint("headers ", seen.Header()))
	}
	known := v.model.Operations[operation]
	if seen.Code == http.StatusOK && known.Output == nil {
		if seen.Body.Len() > 0 {
			wrong = append(wrong, "the operation has no output")
		}
		return wrong
	}
	decoder := json.NewDecoder(bytes.NewReader(seen.Body.Bytes()))
	decoder.UseNumber()
	var answer map[string]any
	if err := decoder.Decode(&answer); err != nil {
		return append(wrong, err.Error())
	}
	if seen.Code == http.StatusOK {
		return append(wrong, v.walk(known.Output.Shape, "", answer)...)
	}
	kind, _ := answer["__type"].(string)
	message, _ := answer["message"].(string)
	declared := slices.ContainsFunc(known.Errors, func(e struct{ Shape string }) bool { return e.Shape == kind })
	if len(answer) != 2 || message == "" || !declared && !slices.Contains(undeclared, kind) || seen.Code/100 != 4 || seen.Header().Get("x-amzn-ErrorType") != kind {
		wrong = append(wrong, "no error of this operation")
	}
	return wrong
}

// walk holds a value to a shape, at every depth.
func (v *witness) walk(name, at string, value any) (wrong []string) {
	s := v.model.Shapes[name]
	fail := func(format string, args ...any) { wrong = append(wrong, at+" "+fmt.Sprintf(format, args...)) }
	size := 0.0
	switch value := value.(type) {
	case map[string]any:
		size = float64(len(value))
		for key, inner := range value {
			member, isMember := s.Members[key]
			switch {
			case s.Type == "map":
				wrong = append(wrong, v.walk(s.Key.Shape, at+" key "+key, key)...)
				wrong = append(wrong, v.walk(s.Value.Shape, at+"."+key, inner)...)
			case isMember:
				wrong = append(wrong, v.walk(member.Shape, at+"."+key, inner)...)
			default:
				fail("has %s, which AWS does not have", key)
			}
		}
		for _, key := range s.Required {
			if _, there := value[key]; !there {
				fail("leaves out %s, which AWS always gives", key)
			}
		}
	case []any:
		size = float64(len(value))
		for i, inner := range value {
			wrong = append(wrong, v.walk(s.Member.Shape, fmt.Sprintf("%s[%d]", at, i), inner)...)
		}
	case string:
		size = float64(utf8.RuneCountInString(value))
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
			fail("is %q, none of %v", value, s.Enum)
		}
		// Three patterns look ahead or behind; TestTranslatedPatternsSayTheSame has them.
		if form, err := regexp.Compile("^(?:" + s.Pattern + ")$"); s.Pattern != "" && err == nil && !form.MatchString(value) {
			fail("is %q and does not match %s", value, s.Pattern)
		}
	case json.Number:
		size, _ = value.Float64()
		if _, err := value.Int64(); s.Type == "integer" && err != nil {
			fail("is %v, no integer", value)
		}
	}
	if s.Min != nil && size < *s.Min || s.Max != nil && size > *s.Max {
		fail("has size %v, beyond %v to %v", size, s.Min, s.Max)
	}
	kinds := map[string]string{
		"structure": "map[string]interface {}", "map": "map[string]interface {}", "list": "[]interface {}", "string": "string", "boolean": "bool",
		"integer": "json.Number", "float": "json.Number", "timestamp": "json.Number",
	}
	if kind := fmt.Sprintf("%T", value); kind != kinds[s.Type] {
		fail("is %s, on AWS a %s", kind, s.Type)
	}
	return wrong
}

// unanswered gives the operations that never answered 200, but for updates, which have tests of their own.
func (v *witness) unanswered() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var missing []string
	for operation := range v.model.Operations {
		if !v.answered[operation] && !strings.HasPrefix(operation, "Update") {
			missing = append(missing, operation)
		}
	}
	slices.Sort(missing)
	return missing
}

// TestTheWitnessSeesWhatIsWrong holds the walk itself: one that lets everything pass would hold nothing.
func TestTheWitnessSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	v := newWitness(t)
	const whole = `"ModelName":"m","ModelArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","CreationTime":1.5`
	for body, want := range map[string]string{
		`{` + whole + `}`:                                                                       "",
		`{` + whole + `,"Novelty":1}`:                                                           "which AWS does not have",
		`{"ModelName":"m"}`:                                                                     "leaves out ModelArn",
		`{` + whole + `,"Tags":[]}`:                                                             "which AWS does not have",
		`{` + whole + `,"Containers":null}`:                                                     "is <nil>, on AWS a list",
		`{` + whole + `,"PrimaryContainer":{"Mode":"Both"}}`:                                    "none of [SingleModel MultiModel]",
		`{` + whole + `,"PrimaryContainer":{"Image":"a b"}}`:                                    "does not match",
		`{` + whole + `,"VpcConfig":{"Subnets":[],"SecurityGroupIds":["sg-1"]}}`:                "has size 0",
		`{` + whole + `,"PrimaryContainer":{"Environment":{"a-b":"x"}}}`:                        "does not match",
		`{` + strings.Replace(whole, "1.5", `"now"`, 1) + `}`:                                   "is string, on AWS a timestamp",
		`{` + whole + `,"Containers":[{"ModelDataSource":{"S3DataSource":{"S3Uri":"s3://"}}}]}`: "Containers[0].ModelDataSource.S3DataSource",
	} {
		seen := httptest.NewRecorder()
		seen.Header().Set("x-amzn-RequestId", "1")
		seen.Header().Set("Content-Type", "application/x-amz-json-1.1")
		seen.WriteString(body)
		if got := strings.Join(v.judge("DescribeModel", seen), "; "); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
