package chat

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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
			filter = m.itemsOf
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
