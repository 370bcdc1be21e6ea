package container

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// compare lists how got differs from what was recorded. Compared are the status, the headers a client acts on, and of the
// body: key sets and their order, error types and messages, names, finish and stop reasons, counts. Texts are left out: near
// ties in bfloat16 fall differently on other arithmetic. sampled leaves out what chance decides as well.
func compare(want, got reply, sampled bool) []string {
	var diffs []string
	note := func(format string, args ...any) { diffs = append(diffs, fmt.Sprintf(format, args...)) }
	if want.Status != got.Status {
		note("status %d, recorded %d; body %.200s", got.Status, want.Status, got.Body)
		return diffs
	}
	for _, key := range []string{"content-type", "allow", "location", "x-amzn-sagemaker-new-session-id", "x-amzn-sagemaker-closed-session-id"} {
		w, g := want.Headers[key], got.Headers[key]
		if key == "location" {
			w, g = withoutHost(w), withoutHost(g)
		}
		if w != g {
			note("header %s %q, recorded %q", key, g, w)
		}
	}
	switch {
	case strings.HasPrefix(want.Headers["content-type"], "text/event-stream"):
		diffs = append(diffs, compareEvents(want.Body, got.Body, sampled)...)
	case strings.HasPrefix(want.Headers["content-type"], "application/json") && want.Body != "":
		w, errWant := parseJSON(want.Body)
		g, errGot := parseJSON(got.Body)
		if errWant != nil || errGot != nil {
			note("body %.200q is no JSON (%v, %v)", got.Body, errWant, errGot)
			return diffs
		}
		diffs = append(diffs, compareValues("", w, g, sampled)...)
	case hidden(want.Body) != hidden(got.Body):
		note("body %.300q, recorded %.300q", got.Body, want.Body)
	}
	return diffs
}

func withoutHost(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return location
	}
	return u.Path + "?" + u.RawQuery
}

// leftovers are what the recorded servers let stand of a path that they hid.
var leftovers = regexp.MustCompile(`(?:/opt)?<path>(?:\.gz)?`)

// setUp is the part of a fingerprint that says how a server was set up.
var setUp = regexp.MustCompile(`(vllm-[\d.]+-)[0-9a-f]{8}`)

// unordered are Python's sets in messages: their order says nothing.
var unordered = regexp.MustCompile(`(?:expected target modules in |fields: )[\[{][^\]}]*[\]}]`)

// hidden is a text with what differs from server to server put in one way: hidden paths and the order of sets.
func hidden(text string) string {
	text = leftovers.ReplaceAllString(text, "<path>")
	text = setUp.ReplaceAllString(text, "$1")
	return unordered.ReplaceAllStringFunc(text, func(set string) string {
		names := strings.FieldsFunc(set, func(r rune) bool { return strings.ContainsRune("[]{}, ", r) })
		slices.Sort(names)
		return strings.Join(names, " ")
	})
}

var (
	// identifiers are compared by form.
	identifier = regexp.MustCompile(`^(cmpl|chatcmpl|modelperm)-(?:[0-9a-f]{32}|[0-9a-f]{16})$`)
	// free are the places whose values are not compared, only their kind.
	free = regexp.MustCompile(`(\.created|\.text|\.content|\.token|\.tokens\[\d+\]|\]\.logprob|\.token_logprobs\[\d+\]|\.text_offset\[\d+\]|\.bytes\[\d+\])$`)
	// chance are the places that sampling decides.
	chance = regexp.MustCompile(`(\.finish_reason|\.stop_reason|\.completion_tokens|\.total_tokens)$`)
	// tables hold token texts as keys.
	tables = regexp.MustCompile(`\.top_logprobs\[\d+\]$`)
)

func compareValues(at string, want, got any, sampled bool) []string {
	if typeName(want) != typeName(got) {
		return []string{fmt.Sprintf("%s is %s %.200s, recorded %s %.200s", at, typeName(got), compact(got), typeName(want), compact(want))}
	}
	switch w := want.(type) {
	case *object:
		return compareObjects(at, w, got.(*object), sampled)
	case []any:
		g := got.([]any)
		if free.MatchString(at+"[0]") && strings.HasSuffix(at, ".bytes") {
			return nil
		}
		if len(w) != len(g) {
			return []string{fmt.Sprintf("%s has %d entries, recorded %d", at, len(g), len(w))}
		}
		var diffs []string
		for i := range w {
			diffs = append(diffs, compareValues(fmt.Sprintf("%s[%d]", at, i), w[i], g[i], sampled)...)
		}
		return diffs
	case string:
		if len(w) == len(got.(string)) && identifier.MatchString(w) && identifier.MatchString(got.(string)) {
			return nil
		}
	}
	if near(at, want, got) || free.MatchString(at) || sampled && chance.MatchString(at) || hidden(string(compact(want))) == hidden(string(compact(got))) {
		return nil
	}
	return []string{fmt.Sprintf("%s is %s, recorded %s", at, compact(got), compact(want))}
}

// scoredAt are the places of a scored prompt that are compared by their size.
var scoredAt = regexp.MustCompile(`prompt_logprobs\[\d+\]\.\d+\.(rank|logprob)$`)

// near reports whether a number of a scored prompt is as good as the recorded one: the recorded server rounded logits to
// bfloat16, so that its logprobs are a little off and far ranks count ties that are none here.
func near(at string, want, got any) bool {
	place := scoredAt.FindStringSubmatch(at)
	if place == nil {
		return false
	}
	if place[1] == "rank" {
		w, g := want.(int64), got.(int64)
		return max(w-g, g-w) <= w/10
	}
	return math.Abs(want.(float64)-got.(float64)) <= 0.05+0.02*math.Abs(want.(float64))
}

func compareObjects(at string, want, got *object, sampled bool) []string {
	if tables.MatchString(at) && !want.has("token") {
		if len(want.keys) != len(got.keys) {
			return []string{fmt.Sprintf("%s has %d tokens, recorded %d", at, len(got.keys), len(want.keys))}
		}
		return nil
	}
	if !slices.Equal(want.keys, got.keys) {
		return []string{fmt.Sprintf("%s has keys %v, recorded %v", at, got.keys, want.keys)}
	}
	var diffs []string
	for _, key := range want.keys {
		diffs = append(diffs, compareValues(at+"."+key, want.values[key], got.values[key], sampled)...)
	}
	return diffs
}

// stream is what a client makes of an event stream, however its tokens were cut into events.
type stream struct {
	shapes  []string // the kinds of event, in order, repeats dropped
	texts   map[string]string
	finish  map[string]string
	models  []string
	usage   string
	trailer string
}

// readEvents takes an event stream apart. The kind of an event is its keys at every level and the kind of every value.
func readEvents(body string) (stream, error) {
	out := stream{texts: map[string]string{}, finish: map[string]string{}}
	for _, event := range strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok {
			return out, fmt.Errorf("%q is no event", event)
		}
		if out.trailer = data; data == "[DONE]" {
			continue
		}
		value, err := parseJSON(data)
		if err != nil {
			return out, err
		}
		out.add(value.(*object))
	}
	return out, nil
}

func (s *stream) add(event *object) {
	if shape := shapeOf(event); !slices.Contains(s.shapes, shape) {
		s.shapes = append(s.shapes, shape)
	}
	if model, _ := event.get("model").(string); !slices.Contains(s.models, model) {
		s.models = append(s.models, model)
	}
	choices, _ := event.get("choices").([]any)
	if len(choices) == 0 {
		s.usage = string(compact(event.get("usage")))
		return
	}
	choice := choices[0].(*object)
	index := string(compact(choice.get("index")))
	if text, ok := choice.get("text").(string); ok {
		s.texts[index] += text
	} else if delta, ok := choice.get("delta").(*object); ok {
		text, _ := delta.get("content").(string)
		s.texts[index] += text
	}
	if reason, ok := choice.get("finish_reason").(string); ok {
		s.finish[index] = reason
	}
}

func shapeOf(value any) string {
	switch v := value.(type) {
	case *object:
		var parts []string
		for _, key := range v.keys {
			if key == "top_logprobs" {
				parts = append(parts, key) // its entries vary with the tokens
				continue
			}
			parts = append(parts, key+":"+shapeOf(v.values[key]))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + shapeOf(v[0]) + "]"
	}
	return typeName(value)
}

func compareEvents(want, got string, sampled bool) []string {
	w, err := readEvents(want)
	if err != nil {
		return []string{err.Error()}
	}
	g, err := readEvents(got)
	if err != nil {
		return []string{err.Error()}
	}
	var diffs []string
	check := func(what string, want, got any) {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			diffs = append(diffs, fmt.Sprintf("%s: %v, recorded %v", what, got, want))
		}
	}
	check("models", w.models, g.models)
	check("trailer", w.trailer, g.trailer)
	check("number of choices", len(w.texts), len(g.texts))
	if !sampled {
		check("finish reasons", w.finish, g.finish)
		check("usage", w.usage, g.usage)
		check("kinds of event", strings.Join(common(w.shapes, g.shapes), "\n"), strings.Join(g.shapes, "\n"))
	}
	return diffs
}

// common is want without the events that carry text and do not end it, where got has none of them: a fast engine may join a
// short answer in its last event.
func common(want, got []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(shape string) bool {
		middle := strings.Contains(shape, "finish_reason:NoneType") && !strings.Contains(shape, "role:")
		return middle && !slices.Contains(got, shape)
	})
}
