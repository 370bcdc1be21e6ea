package chat

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// textMethods are those of str: the library's, and ours where its differ from Python's.
func textMethods(m *meter) *exec.MethodSet[string] {
	names := []string{
		"capitalize", "endswith", "find", "isalnum", "isalpha", "isascii", "isdigit", "islower", "isnumeric", "isspace", "isupper",
		"lower", "partition", "removeprefix", "removesuffix", "rfind", "rpartition", "splitlines", "startswith", "title", "upper",
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
			if len(params.Args) > 1 || len(params.KwArgs) > 0 {
				return nil, fmt.Errorf("%s takes at most a text", name)
			}
			away := isPythonSpace
			if of := params.First(); of.IsString() {
				away = func(r rune) bool { return strings.ContainsRune(of.String(), r) }
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
