package sagemaker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// limit is one constraint of a shape in AWS's words.
type limit struct {
	text  string
	holds func(value any) bool
}

const missing = "Member must not be null"

// limitsOf gives a shape's limits in the order in which AWS tells them.
func limitsOf(s *shape) (limits []limit) {
	size := "value"
	if s.Type == "string" || s.Type == "list" || s.Type == "map" {
		size = "length"
	}
	if most := s.Max; most != nil {
		limits = append(limits, limit{fmt.Sprintf("Member must have %s less than or equal to %v", size, *most), func(value any) bool { return sizeOf(value) <= *most }})
	}
	if least := s.Min; least != nil {
		limits = append(limits, limit{fmt.Sprintf("Member must have %s greater than or equal to %v", size, *least), func(value any) bool { return sizeOf(value) >= *least }})
	}
	if s.form != nil {
		limits = append(limits, limit{"Member must satisfy regular expression pattern: " + s.Pattern, func(value any) bool { return s.form.MatchString(value.(string)) }})
	}
	if s.Enum != nil {
		limits = append(limits, limit{"Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]", func(value any) bool { return slices.Contains(s.Enum, value.(string)) }})
	}
	return limits
}

// sizeOf gives what Min and Max bound: a length in characters, members or pairs, or a number itself.
func sizeOf(value any) float64 {
	switch value := value.(type) {
	case string:
		return float64(utf8.RuneCountInString(value))
	case []any:
		return float64(len(value))
	case map[string]any:
		return float64(len(value))
	case int64:
		return float64(value)
	case float64:
		return value
	}
	return 0
}

// allows reports whether a value keeps within the shape's own limits.
func (s *shape) allows(value any) bool {
	return !slices.ContainsFunc(s.limits, func(l limit) bool { return !l.holds(value) })
}

// all gives the shape's limits as they are told of what is in a list or map of plain values.
func (s *shape) all() string {
	texts := make([]string, len(s.limits))
	for i, l := range s.limits {
		texts[i] = l.text
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// violations are what is missing or breaks a limit, in AWS's words.
type violations struct {
	count int
	told  []string // at most maxTold
}

// maxTold is how many violations are written out: a short request must not make a long answer.
const maxTold = 50

// add tells what is wrong with a value, which may be nil.
func (v *violations) add(value any, at, text string) {
	told := "null"
	if value != nil {
		told = "'" + shown(value) + "'"
	}
	v.tell("Value " + told + " at '" + at + "' failed to satisfy constraint: " + text)
}

func (v *violations) tell(text string) {
	if v.count++; v.count <= maxTold {
		v.told = append(v.told, text)
	}
}

func (v *violations) err() error {
	switch v.count {
	case 0:
		return nil
	case 1:
		return invalid("1 validation error detected: %s", v.told[0])
	}
	return invalid("%d validation errors detected: %s", v.count, strings.Join(v.told, "; "))
}

// check adds what a value breaks. What is in a list or map of plain values is told of the whole, structures by their members.
func (s *shape) check(wrong *violations, at string, value any) {
	for _, l := range s.limits {
		if !l.holds(value) {
			wrong.add(value, at, l.text)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		if s.Type == "structure" {
			s.checkMembers(wrong, at, value)
		} else {
			s.checkPairs(wrong, at, value)
		}
	case []any:
		s.checkItems(wrong, at, value)
	}
}

func (s *shape) checkMembers(wrong *violations, at string, value map[string]any) {
	for _, m := range s.Members {
		where := strings.ToLower(m.name[:1]) + m.name[1:]
		if at != "" {
			where = at + "." + where
		}
		inner, there := value[m.name]
		switch {
		case there:
			m.check(wrong, where, inner)
		case slices.Contains(s.Required, m.name):
			wrong.add(nil, where, missing)
		}
	}
}

func (s *shape) checkPairs(wrong *violations, at string, value map[string]any) {
	keys, values := true, true
	for key, inner := range value {
		keys, values = keys && s.Key.allows(key), values && s.Value.allows(inner)
	}
	if !keys {
		wrong.add(value, at, "Map keys must satisfy constraint: "+s.Key.all())
	}
	if !values {
		wrong.add(value, at, "Map value must satisfy constraint: "+s.Value.all())
	}
}

func (s *shape) checkItems(wrong *violations, at string, value []any) {
	for i, item := range value {
		where := fmt.Sprintf("%s.%d.member", at, i+1)
		switch {
		case item == nil:
			wrong.add(nil, where, missing)
		case s.Member.Type == "structure":
			s.Member.check(wrong, where, item)
		case !s.Member.allows(item):
			wrong.add(value, at, "Member must satisfy constraint: "+s.Member.all())
			return
		}
	}
}

// shown writes a value as Java does, which AWS repeats it in.
func shown(value any) string {
	switch value := value.(type) {
	case float64:
		text := strconv.FormatFloat(value, 'f', -1, 64)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	case []any:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = shown(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(value)) {
			pairs = append(pairs, key+"="+shown(value[key]))
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}
