package safetensors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// File is an opened file whose tensors are read on demand into fresh memory. It is not mapped: cutting a mapped file short
// kills the process that reads it. Its methods may be called from several goroutines.
type File struct {
	Header *Header

	file   *os.File
	byName map[string]Tensor
}

// OpenFile opens the file and checks its header. Close it when done.
func OpenFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	opened, err := open(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return opened, nil
}

func open(f *os.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, malformed("it is not a regular file")
	}
	header, err := ReadHeader(bufio.NewReader(f), info.Size())
	if err != nil {
		return nil, err
	}
	byName := make(map[string]Tensor, len(header.Tensors))
	for _, t := range header.Tensors {
		byName[t.Name] = t
	}
	return &File{Header: header, file: f, byName: byName}, nil
}

// Close closes the file; slices read from it stay valid.
func (f *File) Close() error { return f.file.Close() }

// Tensor finds an entry by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	t, ok := f.byName[name]
	return t, ok
}

// section finds one tensor's bytes.
func (f *File) section(name string) (Tensor, io.Reader, error) {
	t, ok := f.byName[name]
	if !ok {
		return t, nil, fmt.Errorf("tensor %q is not in the file", name)
	}
	return t, io.NewSectionReader(f.file, f.Header.Size+t.Begin, t.End-t.Begin), nil
}

// Float32s gives a tensor of type F32, F16 or BF16 as float32; other types are refused.
func (f *File) Float32s(name string) ([]float32, error) {
	t, r, err := f.section(name)
	if err != nil {
		return nil, err
	}
	var values []float32
	switch t.DType {
	case F32:
		values = make([]float32, (t.End-t.Begin)/4)
		err = inBlocks(r, 4, len(values), func(from, to int, b []byte) {
			for i := range values[from:to] {
				values[from+i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			}
		})
	case F16, BF16:
		widen := FromF16
		if t.DType == BF16 {
			widen = FromBF16
		}
		values = make([]float32, (t.End-t.Begin)/2)
		err = inBlocks(r, 2, len(values), func(from, to int, b []byte) {
			for i := range values[from:to] {
				values[from+i] = widen(binary.LittleEndian.Uint16(b[2*i:]))
			}
		})
	default:
		return nil, fmt.Errorf("tensor %q is of type %s, which cannot be read as float32", name, t.DType)
	}
	if err != nil {
		return nil, fmt.Errorf("read tensor %q: %w", name, err)
	}
	return values, nil
}

// BF16s gives the bits of a tensor of type BF16; other types are refused.
func (f *File) BF16s(name string) ([]uint16, error) {
	t, r, err := f.section(name)
	if err != nil {
		return nil, err
	}
	if t.DType != BF16 {
		return nil, fmt.Errorf("tensor %q is of type %s, not %s", name, t.DType, BF16)
	}
	values := make([]uint16, (t.End-t.Begin)/2)
	err = inBlocks(r, 2, len(values), func(from, to int, b []byte) {
		for i := range values[from:to] {
			values[from+i] = binary.LittleEndian.Uint16(b[2*i:])
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read tensor %q: %w", name, err)
	}
	return values, nil
}

// inBlocks reads n values of size bytes each, in blocks that stay in the cache, and hands out the bytes of the values from
// to to.
func inBlocks(r io.Reader, size, n int, give func(from, to int, b []byte)) error {
	const perBlock = 16 << 10
	block := make([]byte, min(n, perBlock)*size)
	for from := 0; from < n; from += perBlock {
		to := min(from+perBlock, n)
		if _, err := io.ReadFull(r, block[:(to-from)*size]); err != nil {
			return err
		}
		give(from, to, block)
	}
	return nil
}

// Name is the path the file was opened by.
func (f *File) Name() string { return f.file.Name() }
