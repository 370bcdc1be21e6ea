package chat

import (
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// Bounds of one rendering. Real templates render in microseconds, write little more than the messages and call two or three
// macros inside each other.
const (
	maxTime   = 2 * time.Second
	maxItems  = 200_000  // that loops and range() go over, all together
	maxOutput = 4 << 20  // bytes written, text captured on the way counted again, beside 4 times the messages
	maxValue  = 64 << 10 // bytes of one value, beside 4 times the messages
	maxDepth  = 64       // of values within values
	maxCalls  = 24       // of macros within macros
)

// meter counts what one rendering has used. Going too far is a panic with an overrun: only so does it end the template
// language's own loops and recursions, from within the functions that the template calls.
type meter struct {
	until  time.Time
	items  int // left
	output int // left
	value  int // the most one value may be
	calls  int // open now
	nested int // statements open while parsing

	ordered  ordered          // the members of the objects that the rendering was given
	literals []map[string]any // and of those it made, kept so that no address in ordered is used twice
}

// overrun says which bound a template passed.
type overrun string

func newMeter(messageBytes int) *meter {
	return &meter{until: time.Now().Add(maxTime), items: maxItems, output: maxOutput + 4*messageBytes, value: maxValue + 4*messageBytes, ordered: ordered{}}
}

// tick ends a rendering whose time is over.
func (m *meter) tick() {
	if time.Now().After(m.until) {
		panic(overrun(fmt.Sprintf("it does not end within %s", maxTime)))
	}
}

// loop takes from the items that loops may go over.
func (m *meter) loop(items int) {
	if m.items -= items; items < 0 || m.items < 0 {
		panic(overrun(fmt.Sprintf("its loops run over more than %d items", maxItems)))
	}
}

// grow refuses a result of so many bytes before it is made.
func (m *meter) grow(bytes int) {
	if bytes < 0 || bytes > m.value {
		panic(overrun(fmt.Sprintf("it makes a value of more than %d KiB", m.value>>10)))
	}
}

// call opens a macro, and the function it gives closes it.
func (m *meter) call() func() {
	m.tick()
	if m.calls++; m.calls > maxCalls {
		panic(overrun(fmt.Sprintf("its macros call each other more than %d deep", maxCalls)))
	}
	return func() { m.calls-- }
}

// arguments measures what a function is given.
func (m *meter) arguments(params *exec.VarArgs) {
	m.tick()
	for _, v := range params.Args {
		m.measure(v)
	}
	for _, v := range params.KwArgs {
		m.measure(v)
	}
}

// measure refuses a value that would be too large written out. A value that holds itself is endlessly deep.
func (m *meter) measure(v any) {
	left := m.value
	m.walk(reflect.ValueOf(v), &left, 0)
}

func (m *meter) walk(v reflect.Value, left *int, depth int) {
	if depth > maxDepth {
		panic(overrun(fmt.Sprintf("it nests values more than %d deep", maxDepth)))
	}
	if *left--; *left < 0 {
		m.grow(m.value + 1)
	}
	if v.IsValid() && v.CanInterface() {
		switch known := v.Interface().(type) {
		case *exec.Value:
			if known != nil {
				m.walk(known.Val, left, depth+1)
			}
			return
		case *exec.Dict:
			for _, pair := range known.Pairs {
				m.walk(reflect.ValueOf(pair.Key), left, depth+1)
				m.walk(reflect.ValueOf(pair.Value), left, depth+1)
			}
			return
		case *exec.Pair:
			m.walk(reflect.ValueOf(known.Key), left, depth+1)
			m.walk(reflect.ValueOf(known.Value), left, depth+1)
			return
		case reflect.Value:
			m.walk(known, left, depth+1)
			return
		}
	}
	switch v.Kind() {
	case reflect.Interface:
		m.walk(v.Elem(), left, depth+1)
	case reflect.String:
		*left -= v.Len()
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			m.walk(v.Index(i), left, depth+1)
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			m.walk(key, left, depth+1)
			m.walk(value, left, depth+1)
		}
	}
	if *left < 0 {
		m.grow(m.value + 1)
	}
}

// metered counts what is written to out.
type metered struct {
	out   io.Writer
	meter *meter
}

// Write fails once the rendering has written too much or taken too long.
func (w metered) Write(p []byte) (int, error) {
	w.meter.tick()
	if w.meter.output -= len(p); w.meter.output < 0 {
		return 0, fmt.Errorf("it writes more than %d MiB", maxOutput>>20)
	}
	return w.out.Write(p)
}
