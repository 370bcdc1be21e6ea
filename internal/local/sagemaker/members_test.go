package sagemaker_test

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

//go:embed testdata/members.txt
var membersText string

// members is AWS's model of the answers: operation → path of a member → its type and whether it is required.
func members() map[string]map[string]member {
	all := map[string]map[string]member{}
	var of string
	for line := range strings.Lines(membersText) {
		line = strings.TrimRight(line, "\n")
		path, kind, isMember := strings.Cut(strings.TrimPrefix(line, "\t"), " ")
		switch {
		case strings.HasPrefix(line, "#"):
		case !isMember:
			of = line
			all[of] = map[string]member{}
		default:
			all[of][strings.TrimSuffix(path, "!")] = member{kind, strings.HasSuffix(path, "!")}
		}
	}
	return all
}

type member struct {
	kind     string
	required bool
}

// witness holds every answer of a control plane to AWS's model.
type witness struct {
	t     *testing.T
	model map[string]map[string]member

	mu       sync.Mutex
	answered map[string]bool // operations that answered 200
}

func newWitness(t *testing.T) *witness {
	return &witness{t: t, model: members(), answered: map[string]bool{}}
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
		v.judge(operation, seen)
		for name, values := range seen.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(seen.Code)
		w.Write(seen.Body.Bytes())
	})
}

func (v *witness) judge(operation string, seen *httptest.ResponseRecorder) {
	if seen.Header().Get("x-amzn-RequestId") == "" || seen.Header().Get("Content-Type") != "application/x-amz-json-1.1" {
		v.t.Errorf("%s answered with headers %v", operation, seen.Header())
	}
	decoder := json.NewDecoder(bytes.NewReader(seen.Body.Bytes()))
	decoder.UseNumber()
	var answer map[string]any
	if err := decoder.Decode(&answer); err != nil {
		v.t.Errorf("%s answered %q: %v", operation, seen.Body, err)
		return
	}
	if seen.Code != http.StatusOK {
		if len(answer) != 2 || answer["__type"] == "" || answer["message"] == "" || seen.Code == http.StatusInternalServerError {
			v.t.Errorf("%s failed with %d %s", operation, seen.Code, seen.Body)
		}
		return
	}
	v.mu.Lock()
	v.answered[operation] = true
	v.mu.Unlock()
	v.structure(operation, "", answer)
}

// structure checks a structure's members, each against its type.
func (v *witness) structure(operation, at string, answer map[string]any) {
	for name, value := range answer {
		path := strings.TrimPrefix(at+"."+name, ".")
		m, known := v.model[operation][path]
		if !known {
			v.t.Errorf("%s answers %s, which AWS does not have", operation, path)
			continue
		}
		v.value(operation, path, m.kind, value)
	}
	for path, m := range v.model[operation] {
		parent, name := "", path
		if i := strings.LastIndex(path, "."); i >= 0 {
			parent, name = path[:i], path[i+1:]
		}
		if _, there := answer[name]; m.required && parent == at && !there {
			v.t.Errorf("%s leaves out %s, which AWS always gives", operation, path)
		}
	}
}

func (v *witness) value(operation, path, kind string, value any) {
	var ok bool
	switch kind {
	case "structure":
		var inner map[string]any
		if inner, ok = value.(map[string]any); ok {
			v.structure(operation, path, inner)
		}
	case "list":
		var items []any
		items, ok = value.([]any)
		for _, item := range items {
			if inner, isStructure := item.(map[string]any); isStructure {
				v.structure(operation, path, inner)
			}
		}
	case "string":
		var text string
		text, ok = value.(string)
		ok = ok && (text != "" || strings.HasSuffix(path, "Tags.Value")) // an absent string is left out
	case "map":
		_, ok = value.(map[string]any)
	case "boolean":
		_, ok = value.(bool)
	default: // integer, float, timestamp
		_, ok = value.(json.Number)
	}
	if !ok {
		v.t.Errorf("%s answers %s as %#v, AWS as %s", operation, path, value, kind)
	}
}

// unanswered gives the operations that never answered 200.
func (v *witness) unanswered() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var missing []string
	for operation := range v.model {
		if !v.answered[operation] {
			missing = append(missing, operation)
		}
	}
	slices.Sort(missing)
	return missing
}
