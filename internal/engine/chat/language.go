package chat

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Bounds of one {{ }} or {% %}. They keep the parser's recursion shallow, and together with the measure taken of every
// variable they bound what one expression can build.
const (
	maxTokens  = 2000
	maxJoins   = 64 // "+" and "~"
	maxBracket = 64 // brackets within brackets
)

// admit refuses a template whose expressions could not be bounded while they are computed. Multiplying is one: text may be
// multiplied, and nothing stands between the operator and the memory it takes.
func admit(source string, settings *config.Config) error {
	stream := tokens.LexAll(source, settings)
	count, joins, depth, inside := 0, 0, 0, false
	before := tokens.EOF
	for ; !stream.End(); before = stream.Next().Type {
		kind := stream.Current().Type
		if inside {
			count++
		}
		switch kind {
		case tokens.VariableBegin, tokens.BlockBegin:
			count, joins, depth, inside = 0, 0, 0, true
		case tokens.VariableEnd, tokens.BlockEnd:
			inside = false
		case tokens.Addition, tokens.Tilde:
			joins++
		case tokens.LeftParenthesis, tokens.LeftBracket, tokens.LeftBrace:
			depth++
		case tokens.RightParenthesis, tokens.RightBracket, tokens.RightBrace:
			depth--
		case tokens.Modulo:
			if before == tokens.String {
				return errors.New(`it formats text with "%", which is not supported`)
			}
		case tokens.Power:
			return errors.New(`it computes with "**", which is not supported`)
		case tokens.Multiply:
			if before != tokens.LeftParenthesis && before != tokens.Comma { // there it is the *args of a macro
				return errors.New(`it multiplies with "*", which is not supported`)
			}
		}
		if count > maxTokens || joins > maxJoins || depth > maxBracket {
			return fmt.Errorf("an expression in line %d is longer or nested deeper than any real one", stream.Current().Line)
		}
	}
	return nil
}

// filters are those a chat template may use. Those that pad, repeat or draw by lot are not among them.
func (m *meter) filters() *exec.FilterSet {
	names := []string{
		"abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "indent", "int", "items", "join",
		"last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "safe", "select",
		"selectattr", "sort", "string", "sum", "title", "tojson", "trim", "upper",
	}
	all := make(map[string]exec.FilterFunction, len(names))
	for _, name := range names {
		filter, known := builtins.Filters.Get(name)
		switch {
		case name == "tojson":
			filter = m.tojson
		case name == "items":
			filter = m.members
		case name == "reverse":
			filter = reverse
		case !known:
			continue
		}
		all[name] = func(e *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
			m.measure(in)
			m.arguments(params)
			m.grow(filtered(name, in, params))
			if object, ok := m.object(in); ok && name != "tojson" {
				in = exec.AsValue(object) // the library's filters know no literals of objects
			}
			if in.IsString() && slices.Contains([]string{"first", "join", "last", "list", "map", "reject", "select", "sort"}, name) {
				in = exec.AsValue(strings.Split(in.String(), "")) // nor the characters of a text
			}
			out := filter(e, in, params)
			m.measure(out)
			if out != nil && !out.IsError() && out.IsList() {
				return exec.AsValue(listOf(out.Interface()))
			}
			return out
		}
	}
	return exec.NewFilterSet(all)
}

// reverse is the filter of that name; the library's sorts.
func reverse(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	if in.IsString() {
		characters := []rune(in.String())
		slices.Reverse(characters)
		return exec.AsValue(string(characters))
	}
	if !in.IsList() {
		return exec.AsValue(errors.New("reverse takes a list or a text"))
	}
	items := slices.Clone(listOf(in.Interface()).(list))
	slices.Reverse(items)
	return exec.AsValue(items)
}

// filtered is how many bytes a filter may make of its input at most, 0 when that is in proportion to the input.
func filtered(name string, in *exec.Value, params *exec.VarArgs) int {
	parameter := func(at int, name string) *exec.Value {
		if at < len(params.Args) {
			return params.Args[at]
		}
		return params.GetKeywordArgument(name, nil)
	}
	switch name {
	case "replace":
		return replaced(in.String(), parameter(0, "old").String(), parameter(1, "new").String())
	case "join":
		if in.IsIterable() {
			return in.Len() * len(parameter(0, "d").String())
		}
	case "indent":
		width := parameter(0, "width")
		if !width.IsInteger() {
			return lines(in) * len(width.String())
		}
		return lines(in) * min(max(width.Integer(), 0), maxValue*1024)
	}
	return 0
}

func lines(v *exec.Value) int { return 1 + strings.Count(v.String(), "\n") }

// replaced is how many bytes replacing takes.
func replaced(text, old, new string) int {
	return len(text) + strings.Count(text, old)*len(new) // Count finds "" between all characters
}

// methods are those of Python's types that a chat template may use.
func (m *meter) methods() exec.Methods {
	return exec.Methods{
		Bool: exec.NewMethodSet[bool](nil), Int: exec.NewMethodSet[int](nil), Float: exec.NewMethodSet[float64](nil),
		Str:  textMethods(m),
		List: allowed(m, builtins.Methods.List, "copy"), // transformers' sandbox refuses what changes a list or an object
		Dict: m.objectMethods(),
	}
}

// objectMethods are the library's, with members in the order they were written.
func (m *meter) objectMethods() *exec.MethodSet[map[string]any] {
	all := methodsOf(m, builtins.Methods.Dict, []string{"copy", "get"})
	for name, give := range map[string]func(key string, value any) any{
		"keys":   func(key string, _ any) any { return key },
		"values": func(_ string, value any) any { return value },
		"items":  func(key string, value any) any { return list{key, value} },
	} {
		all[name] = func(self map[string]any, value *exec.Value, params *exec.VarArgs) (any, error) {
			m.arguments(params)
			if len(params.Args)+len(params.KwArgs) > 0 {
				return nil, fmt.Errorf("%s takes nothing", name)
			}
			if object, ok := m.object(value); ok {
				self = object // the library hands over a copy, whose order is not known
			}
			out := list{}
			for _, key := range m.ordered.keys(self) {
				out = append(out, give(key, self[key]))
			}
			return out, nil
		}
	}
	return exec.NewMethodSet(all)
}

// members is the filter named items.
func (m *meter) members(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	object, ok := m.object(in)
	if !ok {
		return exec.AsValue(errors.New("items takes an object"))
	}
	out := list{}
	for _, key := range m.ordered.keys(object) {
		out = append(out, list{key, object[key]})
	}
	return exec.AsValue(out)
}

// object gives an object that a value is, a literal of one in the order of its members.
func (m *meter) object(value *exec.Value) (map[string]any, bool) {
	literal, ok := value.Interface().(*exec.Dict)
	if !ok {
		object, ok := value.Interface().(map[string]any)
		return object, ok
	}
	m.loop(len(literal.Pairs)) // for they stay in memory
	object, order := make(map[string]any, len(literal.Pairs)), []string{}
	for _, pair := range literal.Pairs {
		key := pair.Key.String()
		if _, twice := object[key]; !twice {
			order = append(order, key)
		}
		object[key] = pair.Value.Interface()
	}
	m.ordered.keep(object, order)
	m.literals = append(m.literals, object)
	return object, true
}

func textMethods(m *meter) *exec.MethodSet[string] {
	names := []string{
		"capitalize", "endswith", "find", "isalnum", "isalpha", "isascii", "isdigit", "islower", "isnumeric", "isspace", "isupper",
		"lower", "partition", "removeprefix", "removesuffix", "rfind", "rpartition", "splitlines",
		"startswith", "title", "upper",
	}
	all := methodsOf(m, builtins.Methods.Str, names)
	join, _ := builtins.Methods.Str.Get("join")
	all["join"] = func(self string, value *exec.Value, params *exec.VarArgs) (any, error) {
		m.arguments(params)
		if list := params.First(); list.IsIterable() {
			m.grow(list.Len() * len(self))
		}
		return join(self, value, params)
	}
	// The library's own wants a count and replaces nothing without one.
	all["replace"] = func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		m.arguments(params)
		if len(params.Args) < 2 || len(params.Args) > 3 || len(params.KwArgs) > 0 {
			return nil, errors.New("replace takes the old text, the new text and at most a count")
		}
		count := -1
		if len(params.Args) == 3 {
			count = params.Args[2].Integer()
		}
		old, new := params.Args[0].String(), params.Args[1].String()
		m.grow(replaced(self, old, new))
		return strings.Replace(self, old, new, count), nil
	}
	// It counts a text once at most.
	all["count"] = func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		m.arguments(params)
		if len(params.Args) != 1 || len(params.KwArgs) > 0 {
			return nil, errors.New("count takes a text")
		}
		return strings.Count(self, params.Args[0].String()), nil
	}
	// It does not split by white space.
	all["split"] = func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
		m.arguments(params)
		parts, err := split(self, params)
		m.measure(parts)
		return parts, err
	}
	// Nor does it know all that Python takes for white space.
	for name, trim := range map[string]struct{ left, right bool }{"strip": {true, true}, "lstrip": {true, false}, "rstrip": {false, true}} {
		all[name] = func(self string, _ *exec.Value, params *exec.VarArgs) (any, error) {
			m.arguments(params)
			away := isPythonSpace
			switch {
			case len(params.Args) > 1, len(params.KwArgs) > 0, len(params.Args) == 1 && !params.Args[0].IsString() && !params.Args[0].IsNil():
				return nil, fmt.Errorf("%s takes at most a text", name)
			case len(params.Args) == 1 && params.Args[0].IsString():
				away = func(r rune) bool { return strings.ContainsRune(params.Args[0].String(), r) }
			}
			if trim.left {
				self = strings.TrimLeftFunc(self, away)
			}
			if trim.right {
				self = strings.TrimRightFunc(self, away)
			}
			return self, nil
		}
	}
	return exec.NewMethodSet(all)
}

// split is str.split: by a text, at most so many times, or by any white space.
func split(text string, params *exec.VarArgs) (list, error) {
	if len(params.Args) > 2 || len(params.KwArgs) > 0 || len(params.Args) == 2 && !params.Args[1].IsInteger() {
		return nil, errors.New("split takes at most a text and a count")
	}
	most := -1
	if len(params.Args) == 2 && params.Args[1].Integer() >= 0 {
		most = params.Args[1].Integer() + 1
	}
	var parts []string
	switch {
	case len(params.Args) > 0 && params.Args[0].String() != "":
		parts = strings.SplitN(text, params.Args[0].String(), most)
	case len(params.Args) > 0 && !params.Args[0].IsNil():
		return nil, errors.New("split takes no empty text")
	case most >= 0:
		return nil, errors.New("split by white space takes no count")
	default:
		parts = strings.FieldsFunc(text, isPythonSpace)
	}
	out := make(list, len(parts))
	for i, part := range parts {
		out[i] = part
	}
	return out, nil
}

// isPythonSpace is str.isspace of one character.
func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func allowed[Self any](m *meter, from *exec.MethodSet[Self], names ...string) *exec.MethodSet[Self] {
	return exec.NewMethodSet(methodsOf(m, from, names))
}

// methodsOf gives the named methods with what they take and leave measured.
func methodsOf[Self any](m *meter, from *exec.MethodSet[Self], names []string) map[string]exec.Method[Self] {
	all := make(map[string]exec.Method[Self], len(names))
	for _, name := range names {
		method, known := from.Get(name)
		if !known {
			continue
		}
		all[name] = func(self Self, value *exec.Value, params *exec.VarArgs) (any, error) {
			m.measure(value)
			m.arguments(params)
			result, err := method(self, value, params)
			m.measure(value)
			m.measure(result)
			return listOf(result), err
		}
	}
	return all
}

// list is a list whose indexes may be negative down to its first item. The library's own lists stop one short of it, so the
// last of one message would be none.
type list []any

// GetItem gives the item at an index, counted from the end when negative.
func (l list) GetItem(key any) (*exec.Value, bool) {
	at, ok := key.(int)
	if at < 0 {
		at += len(l)
	}
	if !ok || at < 0 || at >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.ToValue(l[at]), true
}

// listOf gives lists as list and everything else as it is.
func listOf(v any) any {
	items := reflect.ValueOf(v)
	if kind := items.Kind(); kind != reflect.Slice && kind != reflect.Array {
		return v
	}
	out := make(list, items.Len())
	for i := range out {
		out[i] = items.Index(i).Interface()
	}
	return out
}
