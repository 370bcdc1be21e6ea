// Package safetensors reads and writes Hugging Face's tensor file format: eight bytes with the header's length, a JSON
// header, then the values. It expects hostile files and refuses what the reference reader refuses (unknown types, holes,
// overlaps, spans that do not fit their shape, bytes that belong to no tensor) and duplicate keys besides, where two readers
// could see two different files.
//
// It knows nothing of models or adapters, and imports the standard library only.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"unicode/utf8"
)

// MaxHeader is the longest header accepted, in bytes: the cap of the reference implementation.
const MaxHeader = 100 << 20

// prefixSize is the length field before the header.
const prefixSize = 8

// ErrFormat is what every complaint about a file's content wraps; a failure to read the file does not.
var ErrFormat = errors.New("not a sound safetensors file")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Tensor is one entry of the header. Begin and End are byte offsets within the data that follows the header.
type Tensor struct {
	Name, DType string
	Shape       []int
	Begin, End  int64
}

// Header is a file's table of contents.
type Header struct {
	Tensors  []Tensor          // in file order
	Metadata map[string]string // the "__metadata__" entry, nil when there is none
	Size     int64             // bytes before the data: length field and header
}

// ReadHeader reads and checks the header of a file of fileSize bytes, and nothing behind it. A complaint about the content
// wraps ErrFormat and says which tensor it is about.
func ReadHeader(r io.Reader, fileSize int64) (*Header, error) {
	var prefix [prefixSize]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, malformed("the file is shorter than eight bytes")
		}
		return nil, fmt.Errorf("read the header's length: %w", err)
	}
	length := binary.LittleEndian.Uint64(prefix[:])
	switch {
	case length > MaxHeader:
		return nil, malformed("the header claims %d bytes, more than %d", length, MaxHeader)
	case int64(length) > fileSize-prefixSize:
		return nil, malformed("the header claims %d bytes, the file has %d", length, fileSize)
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, malformed("the file ends within its header")
		}
		return nil, fmt.Errorf("read the header: %w", err)
	}
	h, err := parseHeader(text, fileSize-prefixSize-int64(length))
	if err != nil {
		return nil, err
	}
	h.Size = prefixSize + int64(length)
	return h, nil
}

// parseHeader checks the JSON of a header that is followed by dataSize bytes.
func parseHeader(text []byte, dataSize int64) (*Header, error) {
	if len(text) == 0 || text[0] != '{' {
		return nil, malformed("the header does not begin with '{'")
	}
	if !utf8.Valid(text) {
		return nil, malformed("the header is not UTF-8")
	}
	h := &Header{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	err := eachMember(decoder, func(name string) error {
		if name == "__metadata__" {
			return readMetadata(decoder, h)
		}
		t, err := readTensor(decoder, name, dataSize)
		if err != nil {
			return err
		}
		h.Tensors = append(h.Tensors, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if rest := bytes.Trim(text[decoder.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, malformed("something follows the header's object")
	}
	return h, checkSpans(h.Tensors, dataSize)
}

// eachMember calls visit for each key of the object that comes next; visit consumes the value. Duplicate keys end it.
func eachMember(decoder *json.Decoder, visit func(key string) error) error {
	token, err := decoder.Token()
	if err != nil {
		return malformed("the header is not JSON: %v", err)
	}
	if token != json.Delim('{') {
		return malformed("the header has %v where an object belongs", token)
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return malformed("the header is not JSON: %v", err)
		}
		key, ok := token.(string)
		if !ok {
			return malformed("the header is not JSON: a key is not text")
		}
		if seen[key] {
			return malformed("the key %q is there twice", key)
		}
		seen[key] = true
		if err := visit(key); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return malformed("the header is not JSON: %v", err)
	}
	return nil
}

func readMetadata(decoder *json.Decoder, h *Header) error {
	h.Metadata = map[string]string{}
	return eachMember(decoder, func(key string) error {
		token, err := decoder.Token()
		if err != nil {
			return malformed("the header is not JSON: %v", err)
		}
		value, ok := token.(string)
		if !ok {
			return malformed("the metadata %q is not text", key)
		}
		h.Metadata[key] = value
		return nil
	})
}

// readTensor reads one entry. Keys it does not know are passed over, as the reference reader does.
func readTensor(decoder *json.Decoder, name string, dataSize int64) (Tensor, error) {
	var shape, offsets []uint64
	var hasType, hasShape bool
	t := Tensor{Name: name}
	err := eachMember(decoder, func(key string) error {
		var target any
		switch key {
		case "dtype":
			target, hasType = &t.DType, true
		case "shape":
			target, hasShape = &shape, true
		case "data_offsets":
			target = &offsets
		default:
			target = new(json.RawMessage)
		}
		if err := decoder.Decode(target); err != nil {
			return malformed("tensor %q, %s: %v", name, key, err)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	size, known := dtypeSize(t.DType)
	switch {
	case !hasType || !known:
		return t, malformed("tensor %q has the unknown type %q", name, t.DType)
	case !hasShape || shape == nil:
		return t, malformed("tensor %q has no shape", name)
	case len(offsets) != 2 || offsets[0] > offsets[1] || offsets[1] > uint64(dataSize):
		return t, malformed("tensor %q has the offsets %v; the file holds %d bytes of data", name, offsets, dataSize)
	}
	bytesNeeded := uint64(size)
	t.Shape = make([]int, len(shape))
	for i, d := range shape {
		if d > math.MaxInt32 || d > 0 && bytesNeeded > math.MaxInt64/d {
			return t, malformed("tensor %q has the impossible shape %v", name, shape)
		}
		bytesNeeded *= d
		t.Shape[i] = int(d)
	}
	t.Begin, t.End = int64(offsets[0]), int64(offsets[1])
	if bytesNeeded != uint64(t.End-t.Begin) {
		return t, malformed("tensor %q of shape %v needs %d bytes and has %d", name, shape, bytesNeeded, t.End-t.Begin)
	}
	return t, nil
}

// checkSpans sorts the tensors into file order and makes sure they fill the data with no hole and no overlap.
func checkSpans(tensors []Tensor, dataSize int64) error {
	sort.SliceStable(tensors, func(i, j int) bool {
		a, b := tensors[i], tensors[j]
		if a.Begin != b.Begin {
			return a.Begin < b.Begin
		}
		return a.End < b.End
	})
	var end int64
	for _, t := range tensors {
		if t.Begin != end {
			return malformed("tensor %q begins at byte %d where %d was due: a hole or an overlap", t.Name, t.Begin, end)
		}
		end = t.End
	}
	if end != dataSize {
		return malformed("the tensors take %d bytes, the file holds %d", end, dataSize)
	}
	return nil
}
