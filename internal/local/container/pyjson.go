package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The container's answers quote what Python's json module and pydantic made of a request, so requests are read here the way
// Python reads them: objects keep their order, integers and floats stay apart, NaN is a number.

// object is a JSON object in the order of its keys; of a key given twice the last value counts, in the first place.
type object struct {
	keys   []string
	values map[string]any
}

func (o *object) set(key string, value any) {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, seen := o.values[key]; !seen {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

// get gives the value of key; nil when it is absent or null.
func (o *object) get(key string) any { return o.values[key] }

func (o *object) has(key string) bool {
	_, ok := o.values[key]
	return ok
}

// MarshalJSON writes the object in its own order, without spaces.
func (o *object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(compact(key))
		out.WriteByte(':')
		out.Write(compact(o.values[key]))
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// hugeInt is an integer beyond 64 bits, kept as written.
type hugeInt string

// MarshalJSON writes the digits.
func (h hugeInt) MarshalJSON() ([]byte, error) { return []byte(h), nil }

// compact is JSON without spaces and without HTML escapes. It is for values that came out of parse; a float that JSON
// cannot hold becomes null.
func compact(value any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return []byte("null")
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// jsonError is a fault with Python's words; at counts characters, not bytes.
type jsonError struct {
	what         string
	at           int
	line, column int
}

func (e *jsonError) Error() string {
	return fmt.Sprintf("%s: line %d column %d (char %d)", e.what, e.line, e.column, e.at)
}

// maxDepth is where Python's recursion limit would end the request.
const maxDepth = 900

type parser struct {
	text []rune
	pos  int
}

// parseJSON reads text as Python's json.loads reads a str. The value is nil, bool, int64, hugeInt, float64, string,
// []any or *object.
func parseJSON(text string) (any, error) {
	p := &parser{text: []rune(text)}
	if strings.HasPrefix(text, "\ufeff") {
		return nil, p.fault("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0)
	}
	p.space()
	value, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos != len(p.text) {
		return nil, p.fault("Extra data", p.pos)
	}
	return value, nil
}

// parseBody reads the bytes of a request: as parseJSON, but a byte order mark is passed over, as Python does for bytes.
func parseBody(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, fmt.Errorf("the body is not UTF-8")
	}
	return parseJSON(strings.TrimPrefix(string(body), "\ufeff"))
}

func (p *parser) fault(what string, at int) error {
	line, column := 1, at+1
	for i := 0; i < at && i < len(p.text); i++ {
		if p.text[i] == '\n' {
			line, column = line+1, at-i
		}
	}
	return &jsonError{what: what, at: at, line: line, column: column}
}

func (p *parser) space() {
	for p.pos < len(p.text) && strings.ContainsRune(" \t\n\r", p.text[p.pos]) {
		p.pos++
	}
}

func (p *parser) peek() rune {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return -1
}

func (p *parser) word(word string, value any) (any, bool) {
	if end := p.pos + len(word); end <= len(p.text) && string(p.text[p.pos:end]) == word {
		p.pos = end
		return value, true
	}
	return nil, false
}

func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the JSON is nested too deeply")
	}
	start := p.pos
	var value any
	ok := false
	switch c := p.peek(); {
	case c == '"':
		return p.str()
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == 'n':
		value, ok = p.word("null", nil)
	case c == 't':
		value, ok = p.word("true", true)
	case c == 'f':
		value, ok = p.word("false", false)
	case c == 'N':
		value, ok = p.word("NaN", math.NaN())
	case c == 'I':
		value, ok = p.word("Infinity", math.Inf(1))
	default:
		if value, ok = p.word("-Infinity", math.Inf(-1)); !ok {
			value, ok = p.number()
		}
	}
	if !ok {
		return nil, p.fault("Expecting value", start)
	}
	return value, nil
}

func (p *parser) digits() bool {
	start := p.pos
	for p.peek() >= '0' && p.peek() <= '9' {
		p.pos++
	}
	return p.pos > start
}

func (p *parser) number() (any, bool) {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if !p.digits() {
		return nil, false
	}
	whole := p.pos
	if p.peek() == '.' {
		p.pos++
		if !p.digits() {
			p.pos = whole
		}
	}
	if mark := p.pos; p.peek() == 'e' || p.peek() == 'E' {
		p.pos++
		if p.peek() == '+' || p.peek() == '-' {
			p.pos++
		}
		if !p.digits() {
			p.pos = mark
		}
	}
	text := string(p.text[start:p.pos])
	if p.pos == whole {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return hugeInt(text), true
		}
		return n, true
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range gives ±Inf, as in Python
	return f, true
}

func (p *parser) array(depth int) (any, error) {
	p.pos++
	out := []any{}
	p.space()
	if p.peek() == ']' {
		p.pos++
		return out, nil
	}
	for {
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case ']':
			p.pos++
			return out, nil
		default:
			return nil, p.fault("Expecting ',' delimiter", p.pos)
		}
	}
}

func (p *parser) object(depth int) (any, error) {
	p.pos++
	out := &object{}
	p.space()
	if p.peek() == '}' {
		p.pos++
		return out, nil
	}
	for {
		if p.peek() != '"' {
			return nil, p.fault("Expecting property name enclosed in double quotes", p.pos)
		}
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		p.space()
		if p.peek() != ':' {
			return nil, p.fault("Expecting ':' delimiter", p.pos)
		}
		p.pos++
		p.space()
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out.set(key.(string), value)
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case '}':
			p.pos++
			return out, nil
		default:
			return nil, p.fault("Expecting ',' delimiter", p.pos)
		}
	}
}

var escapes = map[rune]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) str() (any, error) {
	begin := p.pos
	p.pos++
	var out strings.Builder
	for {
		c := p.peek()
		switch {
		case c == -1:
			return nil, p.fault("Unterminated string starting at", begin)
		case c == '"':
			p.pos++
			return out.String(), nil
		case c < 0x20:
			return nil, p.fault("Invalid control character at", p.pos)
		case c != '\\':
			out.WriteRune(c)
			p.pos++
			continue
		}
		p.pos++
		escape := p.peek()
		if escape == -1 {
			return nil, p.fault("Unterminated string starting at", begin)
		}
		if plain, ok := escapes[escape]; ok {
			out.WriteRune(plain)
			p.pos++
			continue
		}
		if escape != 'u' {
			return nil, p.fault(`Invalid \escape`, p.pos-1)
		}
		r, err := p.unicode()
		if err != nil {
			return nil, err
		}
		out.WriteRune(r)
	}
}

// unicode reads "uXXXX" at the position, joined with a following low surrogate where it is a high one.
func (p *parser) unicode() (rune, error) {
	first, ok := p.hex()
	if !ok {
		return 0, p.fault(`Invalid \uXXXX escape`, p.pos)
	}
	if first < 0xd800 || first > 0xdbff || p.pos+1 >= len(p.text) || p.text[p.pos] != '\\' || p.text[p.pos+1] != 'u' {
		return first, nil
	}
	mark := p.pos
	p.pos++
	if second, ok := p.hex(); ok && second >= 0xdc00 && second <= 0xdfff {
		return (first-0xd800)<<10 + (second - 0xdc00) + 0x10000, nil
	}
	p.pos = mark
	return first, nil
}

func (p *parser) hex() (rune, bool) {
	if p.pos+5 > len(p.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.text[p.pos+1:p.pos+5]), 16, 32)
	if err != nil {
		return 0, false
	}
	p.pos += 5
	return rune(n), true
}
