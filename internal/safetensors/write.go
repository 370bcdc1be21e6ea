package safetensors

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Values is a tensor to be written: float32 values that are stored as DType, one of F32, F16 and BF16.
type Values struct {
	Name, DType string
	Shape       []int
	Data        []float32
}

// Write writes a file with the tensors in the order given and the metadata, which may be nil. The same input gives the same
// bytes. It refuses names that repeat, shapes that do not fit the data, and other types.
func Write(w io.Writer, tensors []Values, metadata map[string]string) error {
	header, err := encodeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var prefix [prefixSize]byte
	binary.LittleEndian.PutUint64(prefix[:], uint64(len(header)))
	_, err = out.Write(append(prefix[:], header...))
	for _, t := range tensors {
		err = errors.Join(err, writeValues(out, t))
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("write safetensors: %w", err)
	}
	return nil
}

func encodeHeader(tensors []Values, metadata map[string]string) ([]byte, error) {
	header := []byte{'{'}
	member := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if len(header) > 1 {
			header = append(header, ',')
		}
		header = append(append(append(header, k...), ':'), v...)
		return nil
	}
	if metadata != nil {
		if err := member("__metadata__", metadata); err != nil {
			return nil, err
		}
	}
	seen, offset := map[string]bool{"__metadata__": true}, 0
	for _, t := range tensors {
		count := 1
		for _, d := range t.Shape {
			count *= d
		}
		size, known := dtypeSize(t.DType)
		switch {
		case seen[t.Name]:
			return nil, fmt.Errorf("write safetensors: the name %q is taken", t.Name)
		case !known || t.DType != F32 && t.DType != F16 && t.DType != BF16:
			return nil, fmt.Errorf("write safetensors: tensor %q: float32 values cannot be stored as %q", t.Name, t.DType)
		case count != len(t.Data):
			return nil, fmt.Errorf("write safetensors: tensor %q: shape %v does not hold %d values", t.Name, t.Shape, len(t.Data))
		}
		seen[t.Name] = true
		shape := append([]int{}, t.Shape...) // a scalar's shape is [], not null
		entry := struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType, shape, [2]int{offset, offset + count*size}}
		if err := member(t.Name, entry); err != nil {
			return nil, err
		}
		offset += count * size
	}
	header = append(header, '}')
	for len(header)%8 != 0 { // so that the values are aligned
		header = append(header, ' ')
	}
	return header, nil
}

func writeValues(w io.Writer, t Values) error {
	block := make([]byte, 0, 4<<10)
	for i, f := range t.Data {
		switch t.DType {
		case F32:
			block = binary.LittleEndian.AppendUint32(block, math.Float32bits(f))
		case F16:
			block = binary.LittleEndian.AppendUint16(block, ToF16(f))
		default:
			block = binary.LittleEndian.AppendUint16(block, ToBF16(f))
		}
		if len(block) == cap(block) || i == len(t.Data)-1 {
			if _, err := w.Write(block); err != nil {
				return err
			}
			block = block[:0]
		}
	}
	return nil
}
