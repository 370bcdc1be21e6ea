package sagemaker_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestEveryLimitIsToldInItsPlace breaks every limit of the service model that some input can break, one at a time, at its depth:
// what is required, lengths, values, patterns and enums of members, of what is in lists, and of keys and values of maps.
func TestEveryLimitIsToldInItsPlace(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	m := h.witness.model
	broken := 0
	for name, operation := range m.Operations {
		tell := func(body any, value, at, constraint string) {
			broken++
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(encode(t, body))))
			r.Header.Set("X-Amz-Target", "SageMaker."+name)
			seen := httptest.NewRecorder()
			h.platform.ServeHTTP(seen, r)
			for _, wrong := range h.witness.judge(name, seen) {
				t.Errorf("%s answered %s: %s", name, seen.Body, wrong)
			}
			want := string(encode(t, "Value "+value+" at '"+at+"' failed to satisfy constraint: "+constraint))
			if !strings.Contains(seen.Body.String(), want[1:len(want)-1]) || seen.Code != http.StatusBadRequest || !strings.Contains(seen.Body.String(), "ValidationException") {
				t.Errorf("%s %s answered %s, want %s", name, encode(t, body), seen.Body, want)
			}
		}
		m.breakMembers(operation.Input.Shape, "", func(inner map[string]any) any { return inner }, tell)
	}
	t.Logf("%d limits broken", broken)
	if broken < 600 {
		t.Errorf("only %d limits were broken", broken)
	}
}

type teller func(body any, value, at, constraint string)

// breakMembers breaks what can be broken in a structure, which around puts in its place in a whole request.
func (m *model) breakMembers(shape, at string, around func(map[string]any) any, tell teller) {
	s := m.Shapes[shape]
	for member, of := range s.Members {
		where := strings.TrimPrefix(at+"."+strings.ToLower(member[:1])+member[1:], ".")
		with := func(value any) any {
			whole := m.least(shape).(map[string]any)
			if delete(whole, member); value != nil {
				whole[member] = value
			}
			return around(whole)
		}
		if slices.Contains(s.Required, member) {
			tell(with(nil), "null", where, "Member must not be null")
		}
		m.breakValue(of.Shape, where, with, tell)
	}
}

func (m *model) breakValue(shape, at string, around func(any) any, tell teller) {
	for text, value := range m.breaking(shape) {
		tell(around(value), "'"+java(value)+"'", at, text)
	}
	s := m.Shapes[shape]
	switch s.Type {
	case "structure":
		m.breakMembers(shape, at, func(inner map[string]any) any { return around(inner) }, tell)
	case "list":
		if m.Shapes[s.Member.Shape].Type == "structure" {
			m.breakMembers(s.Member.Shape, at+".1.member", func(inner map[string]any) any { return around([]any{inner}) }, tell)
			return
		}
		for _, value := range m.breaking(s.Member.Shape) {
			tell(around([]any{value}), "'["+java(value)+"]'", at, "Member must satisfy constraint: "+m.constraints(s.Member.Shape))
		}
	case "map":
		for _, key := range m.breaking(s.Key.Shape) {
			tell(around(map[string]any{key.(string): m.least(s.Value.Shape)}), fmt.Sprintf("'{%s=%s}'", key, java(m.least(s.Value.Shape))), at, "Map keys must satisfy constraint: "+m.constraints(s.Key.Shape))
		}
		for _, value := range m.breaking(s.Value.Shape) {
			tell(around(map[string]any{"A": value}), "'{A="+java(value)+"}'", at, "Map value must satisfy constraint: "+m.constraints(s.Value.Shape))
		}
	}
}

// breaking gives a value for each limit of a shape that breaks it, by the limit's text.
func (m *model) breaking(shape string) map[string]any {
	s := m.Shapes[shape]
	found := map[string]any{}
	switch s.Type {
	case "string":
		if s.Max != nil {
			found[fmt.Sprintf("Member must have length less than or equal to %v", *s.Max)] = strings.Repeat("a", int(*s.Max)+1)
		}
		if s.Min != nil && *s.Min > 0 {
			found[fmt.Sprintf("Member must have length greater than or equal to %v", *s.Min)] = strings.Repeat("a", int(*s.Min)-1)
		}
		if len(s.Enum) > 0 {
			found["Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]"] = "none of them"
		}
		if form, err := regexp.Compile("^(?:" + s.Pattern + ")$"); s.Pattern != "" && err == nil && !form.MatchString("$ ; \n") {
			found["Member must satisfy regular expression pattern: "+s.Pattern] = "$ ; \n"
		}
	case "integer":
		if s.Max != nil {
			found[fmt.Sprintf("Member must have value less than or equal to %v", *s.Max)] = int(*s.Max) + 1
		}
		if s.Min != nil {
			found[fmt.Sprintf("Member must have value greater than or equal to %v", *s.Min)] = int(*s.Min) - 1
		}
	case "float":
		if s.Min != nil {
			found[fmt.Sprintf("Member must have value greater than or equal to %v", *s.Min)] = *s.Min - 0.125
		}
	case "list":
		one := m.least(s.Member.Shape)
		if s.Max != nil {
			found[fmt.Sprintf("Member must have length less than or equal to %v", *s.Max)] = slices.Repeat([]any{one}, int(*s.Max)+1)
		}
		if s.Min != nil && *s.Min > 0 {
			found[fmt.Sprintf("Member must have length greater than or equal to %v", *s.Min)] = []any{}
		}
	case "map":
		if s.Max != nil {
			many := map[string]any{}
			for i := range int(*s.Max) + 1 {
				many["A"+strconv.Itoa(i)] = m.least(s.Value.Shape)
			}
			found[fmt.Sprintf("Member must have length less than or equal to %v", *s.Max)] = many
		}
	}
	return found
}

// constraints are all limits of a shape as they are told of what is in a list or a map.
func (m *model) constraints(shape string) string {
	s := m.Shapes[shape]
	var texts []string
	if s.Max != nil {
		texts = append(texts, fmt.Sprintf("Member must have length less than or equal to %v", *s.Max))
	}
	if s.Min != nil {
		texts = append(texts, fmt.Sprintf("Member must have length greater than or equal to %v", *s.Min))
	}
	if s.Pattern != "" {
		texts = append(texts, "Member must satisfy regular expression pattern: "+s.Pattern)
	}
	if len(s.Enum) > 0 {
		texts = append(texts, "Member must satisfy enum value set: ["+strings.Join(s.Enum, ", ")+"]")
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// least is the least value that keeps within a shape's limits.
func (m *model) least(shape string) any {
	s := m.Shapes[shape]
	switch s.Type {
	case "structure":
		made := map[string]any{}
		for _, member := range s.Required {
			made[member] = m.least(s.Members[member].Shape)
		}
		return made
	case "list":
		return []any{m.least(s.Member.Shape)}
	case "map":
		return map[string]any{}
	case "boolean":
		return false
	case "integer":
		if s.Min != nil {
			return int(*s.Min)
		}
		return 1
	case "float", "timestamp":
		return 1
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	for _, text := range texts {
		form, err := regexp.Compile("^(?:" + s.Pattern + ")$")
		if size := float64(utf8.RuneCountInString(text)); (err != nil || form.MatchString(text)) && (s.Min == nil || size >= *s.Min) && (s.Max == nil || size <= *s.Max) {
			return text
		}
	}
	panic("no text for " + shape)
}

// java writes a value as Java's toString does.
func java(value any) string {
	switch value := value.(type) {
	case float64:
		if text := strconv.FormatFloat(value, 'f', -1, 64); strings.Contains(text, ".") {
			return text
		}
		return fmt.Sprintf("%.1f", value)
	case []any:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = java(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			pairs = append(pairs, key+"="+java(value[key]))
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}
	return fmt.Sprint(value)
}
