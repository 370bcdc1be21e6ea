package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/safetensors"
)

// file puts the length before a header and data bytes behind it.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func read(b []byte) (*safetensors.Header, error) {
	return safetensors.ReadHeader(bytes.NewReader(b), int64(len(b)))
}

func TestHeaderListsTensorsInFileOrder(t *testing.T) {
	t.Parallel()
	h, err := read(file(`{"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"none":{"dtype":"I64","shape":[0,5],"data_offsets":[12,12]}}  `, 12))
	if err != nil {
		t.Fatal(err)
	}
	want := []safetensors.Tensor{
		{Name: "a", DType: "BF16", Shape: []int{2}, Begin: 0, End: 4},
		{Name: "b", DType: "F32", Shape: []int{2, 1}, Begin: 4, End: 12},
		{Name: "none", DType: "I64", Shape: []int{0, 5}, Begin: 12, End: 12},
	}
	if diff := cmp.Diff(want, h.Tensors); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if h.Metadata["format"] != "pt" {
		t.Errorf("got metadata %v", h.Metadata)
	}
}

func TestMalformedHeadersAreRefused(t *testing.T) {
	t.Parallel()
	f4 := func(rest string) string { return `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}` + rest }
	tests := map[string][]byte{
		"empty file":               nil,
		"seven bytes":              make([]byte, 7),
		"huge length":              append(bytes.Repeat([]byte{0xff}, 8), "{}"...),
		"length past the end":      append([]byte{9, 0, 0, 0, 0, 0, 0, 0}, "{}"...),
		"length over the cap":      binary.LittleEndian.AppendUint64(nil, safetensors.MaxHeader+1),
		"no header":                file(``, 0),
		"leading space":            file(` {}`, 0),
		"array":                    file(`[]`, 0),
		"not JSON":                 file(`{"a"`, 0),
		"two objects":              file(`{}{}`, 0),
		"not UTF-8":                file("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4),
		"duplicate name":           file(`{`+f4(`,`)+f4(`}`), 4),
		"duplicate escaped name":   file(`{`+f4(`,"\u0061":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`), 4),
		"duplicate field":          file(`{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"duplicate metadata":       file(`{"__metadata__":{"a":"1","a":"2"}}`, 0),
		"metadata not text":        file(`{"__metadata__":{"a":1}}`, 0),
		"metadata not an object":   file(`{"__metadata__":7}`, 0),
		"tensor is null":           file(`{"a":null}`, 0),
		"unknown type":             file(`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, 4),
		"field in capitals":        file(`{"a":{"DTYPE":"F32","shape":[1],"data_offsets":[0,4]}}`, 4),
		"no shape":                 file(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, 4),
		"null shape":               file(`{"a":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`, 4),
		"negative shape":           file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, 4),
		"fractional shape":         file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, 4),
		"overflowing shape":        file(`{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,4]}}`, 4),
		"wrapping shape":           file(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
		"span too short":           file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4),
		"span past the end":        file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 4),
		"span backwards":           file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, 4),
		"one offset":               file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`, 4),
		"three offsets":            file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, 4),
		"hole":                     file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8),
		"overlap":                  file(`{`+f4(`,"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}`), 6),
		"the same span twice":      file(`{`+f4(`,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`), 4),
		"bytes that belong to one": file(`{`+f4(`}`), 5),
	}
	for name, b := range tests {
		if _, err := read(b); !errors.Is(err, safetensors.ErrFormat) {
			t.Errorf("%s: got %v, want a complaint about the format", name, err)
		}
	}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	values := []float32{0, 1, -2.5, 0.333251953125, 65504, -0}
	tensors := []safetensors.Values{
		{Name: "z", DType: safetensors.F32, Shape: []int{2, 3}, Data: values},
		{Name: "half", DType: safetensors.F16, Shape: []int{6}, Data: values},
		{Name: "brain", DType: safetensors.BF16, Shape: []int{1, 2}, Data: []float32{-2.5, 3}},
		{Name: "scalar", DType: safetensors.F32, Data: []float32{7}},
	}
	var one, two bytes.Buffer
	for _, w := range []*bytes.Buffer{&one, &two} {
		if err := safetensors.Write(w, tensors, map[string]string{"format": "pt", "a": "b"}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same tensors gave different bytes")
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, one.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Header.Size%8 != 0 {
		t.Errorf("the values begin at byte %d, not aligned", f.Header.Size)
	}
	for _, v := range tensors {
		got, err := f.Float32s(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v.Data, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.Name, diff)
		}
	}
	if bits, err := f.BF16s("brain"); err != nil || bits[1] != 0x4040 {
		t.Errorf("got %x, %v", bits, err)
	}
	if _, err := f.BF16s("z"); err == nil {
		t.Error("float32 was given as bfloat16")
	}
	if _, err := f.Float32s("missing"); err == nil {
		t.Error("a missing tensor was found")
	}
}

func TestWriteRefusesWhatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	good := safetensors.Values{Name: "a", DType: safetensors.F32, Shape: []int{1}, Data: []float32{1}}
	for name, tensors := range map[string][]safetensors.Values{
		"a repeated name": {good, good},
		"a wrong shape":   {{Name: "a", DType: safetensors.F32, Shape: []int{2}, Data: []float32{1}}},
		"an integer type": {{Name: "a", DType: "I64", Shape: []int{1}, Data: []float32{1}}},
		"metadata's name": {{Name: "__metadata__", DType: safetensors.F32, Shape: []int{1}, Data: []float32{1}}},
	} {
		if err := safetensors.Write(&bytes.Buffer{}, tensors, nil); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

func TestHalvesSurviveTheRoundTrip(t *testing.T) {
	t.Parallel()
	for i := range 1 << 16 {
		bits := uint16(i)
		if f := safetensors.FromF16(bits); f == f {
			if got := safetensors.ToF16(f); got != bits {
				t.Fatalf("half %04x became %v and then %04x", bits, f, got)
			}
		}
		if f := safetensors.FromBF16(bits); f == f {
			if got := safetensors.ToBF16(f); got != bits {
				t.Fatalf("bfloat16 %04x became %v and then %04x", bits, f, got)
			}
		}
	}
	for f, want := range map[float32]uint16{1e9: 0x7c00, 65520: 0x7c00, 65519: 0x7bff, 1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, 1e-9: 0} {
		if got := safetensors.ToF16(f); got != want {
			t.Errorf("%v became the half %04x, want %04x", f, got, want)
		}
	}
	nan := float32(math.NaN())
	if f := safetensors.FromF16(safetensors.ToF16(nan)); f == f {
		t.Error("NaN was lost as a half")
	}
	if f := safetensors.FromBF16(safetensors.ToBF16(nan)); f == f {
		t.Error("NaN was lost as a bfloat16")
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 4))
	f.Add(file(`{"__metadata__":{"format":"pt"}}`, 0))
	f.Add(file(`{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"a":{}}`, 12))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := read(b)
		if err != nil {
			return
		}
		// What was accepted fills the file exactly, in order, with sizes that fit the shapes.
		end, names := int64(0), map[string]bool{}
		for _, tensor := range h.Tensors {
			if tensor.Begin != end || tensor.End < tensor.Begin || names[tensor.Name] {
				t.Fatalf("accepted %+v", h.Tensors)
			}
			end, names[tensor.Name] = tensor.End, true
		}
		if h.Size+end != int64(len(b)) {
			t.Fatalf("accepted %d+%d bytes of %d", h.Size, end, len(b))
		}
	})
}
