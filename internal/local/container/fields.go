package container

import (
	"math"
	"strconv"
	"strings"
)

// kind is a field type of vLLM's request schemas, read as leniently as pydantic reads it: "5", 5.0 and true are integers.
type kind int

const (
	anything kind = iota
	text
	integer
	decimal
	boolean
	texts       // one text or a list of them
	textList    // a list of texts
	integerList // a list of integers
	decimals    // an object of numbers
)

// schema lists a request's fields. Every field may be absent.
type schema map[string]struct {
	kind     kind
	required bool // null is refused
}

// read checks and normalises the fields of body: texts become []string, integers int64. Fields it does not know, and nulls,
// are left out, as vLLM lets them be. The name of the first unfit field comes back otherwise.
func (s schema) read(body *object) (values, string) {
	out := values{}
	for _, key := range body.keys {
		field, known := s[key]
		if !known {
			continue
		}
		value := body.values[key]
		if value == nil {
			if field.required {
				return nil, key
			}
			continue
		}
		fit, ok := field.kind.read(value)
		if !ok {
			return nil, key
		}
		out[key] = fit
	}
	return out, ""
}

func (k kind) read(value any) (any, bool) {
	switch k {
	case text:
		s, ok := value.(string)
		return s, ok
	case integer:
		return asInteger(value)
	case decimal:
		return asDecimal(value)
	case boolean:
		return asBoolean(value)
	case texts:
		if s, ok := value.(string); ok {
			return []string{s}, true
		}
		return asTexts(value)
	case textList:
		return asTexts(value)
	case integerList:
		return asIntegers(value)
	case decimals:
		return asDecimals(value)
	}
	return value, true
}

func asInteger(value any) (int64, bool) {
	switch v := value.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v), true
		}
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
			return n, true
		}
		if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<62 {
			return int64(f), true
		}
	}
	return 0, false
}

func asDecimal(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, true
	case hugeInt:
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil
	}
	n, ok := asInteger(value)
	return float64(n), ok
}

func asBoolean(value any) (bool, bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case int64:
		return v == 1, v == 0 || v == 1
	case float64:
		return v == 1, v == 0 || v == 1
	case string:
		switch strings.ToLower(v) {
		case "1", "true", "t", "yes", "y", "on":
			return true, true
		case "0", "false", "f", "no", "n", "off":
			return false, true
		}
	}
	return false, false
}

func asTexts(value any) ([]string, bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for i, item := range list {
		if out[i], ok = item.(string); !ok {
			return nil, false
		}
	}
	return out, true
}

func asIntegers(value any) ([]int, bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	out := make([]int, len(list))
	for i, item := range list {
		n, ok := asInteger(item)
		if !ok {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}

func asDecimals(value any) (map[string]float64, bool) {
	fields, ok := value.(*object)
	if !ok {
		return nil, false
	}
	out := map[string]float64{}
	for _, key := range fields.keys {
		if out[key], ok = asDecimal(fields.values[key]); !ok {
			return nil, false
		}
	}
	return out, true
}

// values are fields that passed their schema.
type values map[string]any

func (v values) has(key string) bool { _, ok := v[key]; return ok }

func (v values) text(key string) string { s, _ := v[key].(string); return s }

func (v values) flag(key string) bool { b, _ := v[key].(bool); return b }

func (v values) number(key string, otherwise float64) float64 {
	if f, ok := v[key].(float64); ok {
		return f
	}
	return otherwise
}

func (v values) integer(key string, otherwise int64) int64 {
	if n, ok := v[key].(int64); ok {
		return n
	}
	return otherwise
}

func (v values) texts(key string) []string { s, _ := v[key].([]string); return s }

func (v values) decimals(key string) map[string]float64 {
	n, _ := v[key].(map[string]float64)
	return n
}

func (v values) integers(key string) []int { n, _ := v[key].([]int); return n }
