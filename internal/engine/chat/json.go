package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

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

// jsonWriter writes values as Python's json.dumps does with ensure_ascii off.
type jsonWriter struct {
	meter  *meter
	indent int // spaces; negative writes all in one line
	out    strings.Builder
}

func (w *jsonWriter) write(value any, depth int) error {
	switch v := value.(type) {
	case nil:
		w.out.WriteString("null")
	case *exec.Value:
		if v == nil || v.IsNil() {
			w.out.WriteString("null")
			return nil
		}
		if v.IsError() {
			return v
		}
		return w.write(v.Interface(), depth)
	case string:
		w.text(v)
	case bool:
		w.out.WriteString(strconv.FormatBool(v))
	case int:
		w.out.WriteString(strconv.Itoa(v))
	case json.Number:
		w.out.WriteString(v.String())
	case float64:
		w.out.WriteString(pythonFloat(v))
	case map[string]any:
		keys := w.meter.ordered.keys(v)
		return w.members('{', '}', len(keys), depth, func(i int) error {
			w.text(keys[i])
			w.out.WriteString(": ")
			return w.write(v[keys[i]], depth+1)
		})
	case *exec.Dict:
		return w.members('{', '}', len(v.Pairs), depth, func(i int) error {
			w.text(v.Pairs[i].Key.String())
			w.out.WriteString(": ")
			return w.write(v.Pairs[i].Value, depth+1)
		})
	default:
		items := reflect.ValueOf(value)
		if kind := items.Kind(); kind != reflect.Slice && kind != reflect.Array {
			return fmt.Errorf("a %s cannot be written as JSON", items.Type())
		}
		return w.members('[', ']', items.Len(), depth, func(i int) error { return w.write(items.Index(i).Interface(), depth+1) })
	}
	return nil
}

// members writes what stands in brackets, each by its number.
func (w *jsonWriter) members(open, end byte, count, depth int, write func(int) error) error {
	w.out.WriteByte(open)
	for i := range count {
		switch {
		case w.indent >= 0:
			if i > 0 {
				w.out.WriteByte(',')
			}
			w.line(depth + 1)
		case i > 0:
			w.out.WriteString(", ")
		}
		if err := write(i); err != nil {
			return err
		}
		w.meter.grow(w.out.Len())
	}
	if count > 0 && w.indent >= 0 {
		w.line(depth)
	}
	w.out.WriteByte(end)
	return nil
}

func (w *jsonWriter) line(depth int) {
	w.out.WriteByte('\n')
	w.out.WriteString(strings.Repeat(" ", depth*w.indent))
}

func (w *jsonWriter) text(text string) {
	w.out.WriteByte('"')
	for _, r := range text {
		switch r {
		case '"', '\\':
			w.out.WriteByte('\\')
			w.out.WriteRune(r)
		case '\n':
			w.out.WriteString(`\n`)
		case '\r':
			w.out.WriteString(`\r`)
		case '\t':
			w.out.WriteString(`\t`)
		case '\b':
			w.out.WriteString(`\b`)
		case '\f':
			w.out.WriteString(`\f`)
		default:
			if r < 0x20 {
				fmt.Fprintf(&w.out, `\u%04x`, r)
			} else {
				w.out.WriteRune(r)
			}
		}
	}
	w.out.WriteByte('"')
}

// pythonFloat writes a number as Python's repr does: with an exponent below 1e-4 and from 1e16 on.
func pythonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.Replace(strconv.FormatFloat(f, 'f', -1, 64), "+", "", 1) + "inity"
	case f != 0 && (math.Abs(f) < 1e-4 || math.Abs(f) >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// tojson is transformers' filter of that name.
func (m *meter) tojson(_ *exec.Evaluator, in *exec.Value, params *exec.VarArgs) *exec.Value {
	w := jsonWriter{meter: m, indent: -1}
	for name, value := range params.KwArgs {
		switch {
		case name == "indent" && value.IsInteger() && value.Integer() >= 0 && value.Integer() <= 8:
			w.indent = value.Integer()
		case (name == "indent" || name == "separators") && value.IsNil(), (name == "ensure_ascii" || name == "sort_keys") && value.IsBool() && !value.Bool():
		default:
			return exec.AsValue(fmt.Errorf("tojson does not take %s=%s", name, value.String()))
		}
	}
	if len(params.Args) > 0 {
		return exec.AsValue(errors.New("tojson takes its options by name"))
	}
	if err := w.write(in, 0); err != nil {
		return exec.AsValue(err)
	}
	return exec.AsSafeValue(w.out.String())
}
