package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"
)

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
