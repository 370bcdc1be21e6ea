package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// ordered keeps the order in which the members of objects were written, which Go's maps lose, by the address of the map. A
// rendering keeps all its maps alive, so no address is used twice.
type ordered map[uintptr][]string

// value reads a JSON value: whole numbers as int, as Python does, where they fit.
func (o ordered) value(text json.RawMessage) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	value, err := o.read(decoder, 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more follows the value")
	}
	return value, nil
}

func (o ordered) read(decoder *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it nests values more than %d deep", maxDepth)
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		return number(token)
	case json.Delim:
		if token == '[' {
			items := list{}
			for decoder.More() {
				item, err := o.read(decoder, depth+1)
				if err != nil {
					return nil, err
				}
				items = append(items, item)
			}
			_, err := decoder.Token()
			return items, err
		}
		object, order := map[string]any{}, []string{}
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			value, err := o.read(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			key, _ := name.(string) // the decoder takes no other
			if _, twice := object[key]; !twice {
				order = append(order, key)
			}
			object[key] = value
		}
		o.keep(object, order)
		_, err := decoder.Token()
		return object, err
	}
	return token, nil
}

func number(text json.Number) (any, error) {
	if whole, err := strconv.Atoi(text.String()); err == nil {
		return whole, nil
	}
	if strings.ContainsAny(text.String(), ".eE") {
		return text.Float64()
	}
	return text, nil // as it is written: Python has whole numbers of any size
}

func (o ordered) keep(object map[string]any, order []string) {
	o[reflect.ValueOf(object).Pointer()] = order
}

// keys gives an object's keys as Python would: in the order they were written, and behind them those added since.
func (o ordered) keys(object map[string]any) []string {
	var keys []string
	for _, key := range o[reflect.ValueOf(object).Pointer()] {
		if _, ok := object[key]; ok {
			keys = append(keys, key)
		}
	}
	known := len(keys)
	if known == len(object) {
		return keys
	}
	for key := range object {
		if !slices.Contains(keys[:known], key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys[known:])
	return keys
}

// objectMethods are the library's, with members in the order they were written.
func (m *meter) objectMethods() *exec.MethodSet[map[string]any] {
	all := methodsOf(m, builtins.Methods.Dict, []string{"copy", "get"})
	for name, give := range map[string]func(key string, value any) any{
		"keys":   func(key string, _ any) any { return key },
		"values": func(_ string, value any) any { return value },
		"items":  item,
	} {
		all[name] = func(_ map[string]any, value *exec.Value, params *exec.VarArgs) (any, error) {
			m.arguments(params)
			if len(params.Args)+len(params.KwArgs) > 0 {
				return nil, fmt.Errorf("%s takes nothing", name)
			}
			return m.members(value, give) // of the value itself: the library hands over a copy, whose order is not known
		}
	}
	return exec.NewMethodSet(all)
}

// itemsOf is the filter named items.
func (m *meter) itemsOf(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
	all, err := m.members(in, item)
	if err != nil {
		return exec.AsValue(err)
	}
	return exec.AsValue(all)
}

func item(key string, value any) any { return list{key, value} }

// members gives something of every member of an object.
func (m *meter) members(value *exec.Value, give func(key string, value any) any) (list, error) {
	object, ok := m.object(value)
	if !ok {
		return nil, fmt.Errorf("%q is no object", value.String())
	}
	out := list{}
	for _, key := range m.ordered.keys(object) {
		out = append(out, give(key, object[key]))
	}
	return out, nil
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
