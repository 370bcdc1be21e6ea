package container

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"loradeck/internal/safetensors"
)

// largestHeader is the safetensors library's own limit.
const largestHeader = 100_000_000

// weights are an adapter's tensors on disk.
type weights struct {
	file    *os.File
	header  *safetensors.Header
	tensors map[string]safetensors.Tensor
}

// Close lets go of the file.
func (w *weights) Close() error { return w.file.Close() }

// names are the tensors in the order in which the safetensors library lists them.
func (w *weights) names() []string {
	out := make([]string, 0, len(w.tensors))
	for name := range w.tensors {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// openWeights finds the weights file as vLLM does: adapter_model.safetensors, else .bin, else .pt. The latter two are
// pickles; their module names are judged by the config, as vLLM does, and then they are refused.
func (c *Container) openWeights(dir string, config peftConfig) (*weights, *refusal) {
	path := filepath.Join(dir, "adapter_model.safetensors")
	if isFile(path) {
		return openSafetensors(path)
	}
	if !isFile(filepath.Join(dir, "adapter_model.bin")) && !isFile(filepath.Join(dir, "adapter_model.pt")) {
		return nil, loadFailure("%s doesn't contain tensors", dir)
	}
	if refused := c.judgeTargets(dir, config.targets); refused != nil {
		return nil, refused
	}
	return nil, loadFailure("%s Save the adapter as adapter_model.safetensors.", notHere("adapter weights as .bin or .pt, which are pickles"))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// alternatives finds the group of names at the end of a target_modules pattern, "…(q_proj|v_proj)$".
var alternatives = regexp.MustCompile(`\((.*?)\)\$?$`)

func (c *Container) judgeTargets(dir string, targets any) *refusal {
	list, isList := targets.([]any)
	if !isList {
		list = []any{targets}
	}
	expected := c.base.expected()
	var unexpected []string
	for _, target := range list {
		name, _ := target.(string)
		if !slices.Contains(expected, name[strings.LastIndex(name, ".")+1:]) {
			unexpected = append(unexpected, name)
		}
	}
	if pattern, isText := targets.(string); isText && len(unexpected) > 0 {
		if m := alternatives.FindStringSubmatch(pattern); m != nil {
			unexpected = slices.DeleteFunc(strings.Split(m[1], "|"), func(name string) bool { return slices.Contains(expected, name) })
			if len(unexpected) > 0 {
				unexpected = []string{pattern}
			}
		}
	}
	if len(unexpected) > 0 {
		return unexpectedModules(dir, expected, unexpected)
	}
	return nil
}

func unexpectedModules(dir string, expected, got []string) *refusal {
	return loadFailure("While loading %s, expected target modules in %s but received %s. Please verify that the loaded LoRA module is correct", dir, reprList(expected), reprList(got))
}

// openSafetensors opens the file with the library's words where its head is wrong.
func openSafetensors(path string) (*weights, *refusal) {
	file, err := os.Open(path)
	if err != nil {
		return nil, loadFailure("%s", osError(err, path))
	}
	header, words := readHeader(file)
	if words != "" {
		file.Close()
		return nil, loadFailure("Error while deserializing header: %s", words)
	}
	out := &weights{file: file, header: header, tensors: map[string]safetensors.Tensor{}}
	for _, t := range header.Tensors {
		out.tensors[t.Name] = t
	}
	return out, nil
}

// readHeader tells the library's errors apart by what is on disk, so that they keep its words whatever our own reader says.
func readHeader(file *os.File) (*safetensors.Header, string) {
	info, err := file.Stat()
	if err != nil {
		return nil, err.Error()
	}
	var prefix [8]byte
	if _, err := file.ReadAt(prefix[:], 0); err != nil {
		return nil, "header too small"
	}
	size := binary.LittleEndian.Uint64(prefix[:])
	switch {
	case size > largestHeader:
		return nil, "header too large"
	case int64(size)+8 > info.Size():
		return nil, "invalid header length"
	}
	header, err := safetensors.ReadHeader(file, info.Size())
	if err != nil {
		return nil, headerFault(file, int64(size), info.Size(), err)
	}
	return header, ""
}

// headerFault finds the library's words for a header that our reader refused with err.
func headerFault(file *os.File, size, fileSize int64, err error) string {
	raw := make([]byte, size)
	if _, err := file.ReadAt(raw, 8); err != nil {
		return err.Error()
	}
	if !utf8.Valid(raw) {
		return "invalid UTF-8 in header"
	}
	value, fault := parseJSON(string(raw))
	if fault != nil {
		return "invalid JSON in header: " + fault.Error()
	}
	if covered, ok := dataSize(value); ok && covered+8+size != fileSize {
		return "incomplete metadata, file not fully covered"
	}
	return "invalid shape, data type, or offset for tensor (" + err.Error() + ")"
}

// dataSize is where the last tensor of a header ends; false when the header is not even that far in order.
func dataSize(value any) (int64, bool) {
	entries, isObject := value.(*object)
	if !isObject {
		return 0, false
	}
	var end int64
	for _, key := range entries.keys {
		if key == "__metadata__" {
			continue
		}
		entry, isObject := entries.values[key].(*object)
		if !isObject {
			return 0, false
		}
		offsets, ok := asIntegers(entry.get("data_offsets"))
		if !ok || len(offsets) != 2 {
			return 0, false
		}
		end = max(end, int64(offsets[1]))
	}
	return end, true
}

// matrix reads a two-dimensional tensor and brings it to the adapter dtype of the server, which is the base's own.
func (w *weights) matrix(name, dtype string) (Matrix, *refusal) {
	t := w.tensors[name]
	if len(t.Shape) < 2 {
		return Matrix{}, loadFailure("tuple index out of range")
	}
	if len(t.Shape) > 2 {
		return Matrix{}, loadFailure("%s", notHere(fmt.Sprintf("adapter tensors of %d dimensions", len(t.Shape))))
	}
	raw := make([]byte, t.End-t.Begin)
	if _, err := w.file.ReadAt(raw, w.header.Size+t.Begin); err != nil {
		return Matrix{}, loadFailure("%s", osError(err, w.file.Name()))
	}
	data, ok := numbersOf(t.DType, raw)
	if !ok || len(data) != t.Shape[0]*t.Shape[1] {
		return Matrix{}, loadFailure("%s", notHere("adapter tensors of type "+t.DType))
	}
	if dtype == "bfloat16" && t.DType != "BF16" {
		for i, f := range data {
			data[i] = bfloat16(f)
		}
	}
	return Matrix{Rows: t.Shape[0], Cols: t.Shape[1], Data: data}, nil
}

// bfloat16 rounds to the nearest bfloat16, ties to even.
func bfloat16(f float32) float32 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 { // NaN stays NaN
		return f
	}
	bits += 0x7fff + bits>>16&1
	return math.Float32frombits(bits &^ 0xffff)
}

// numbersOf reads the element types that vLLM casts from; 8-bit integers and floats are taken at face value, as recorded.
func numbersOf(dtype string, raw []byte) ([]float32, bool) {
	le := binary.LittleEndian
	read := func(width int, one func([]byte) float32) ([]float32, bool) {
		out := make([]float32, len(raw)/width)
		for i := range out {
			out[i] = one(raw[i*width:])
		}
		return out, len(raw)%width == 0
	}
	switch dtype {
	case "F64":
		return read(8, func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) })
	case "F32":
		return read(4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) })
	case "BF16":
		return read(2, func(b []byte) float32 { return math.Float32frombits(uint32(le.Uint16(b)) << 16) })
	case "F16":
		return read(2, func(b []byte) float32 { return small(uint32(le.Uint16(b)), 5, 10, true) })
	case "F8_E5M2":
		return read(1, func(b []byte) float32 { return small(uint32(b[0]), 5, 2, true) })
	case "F8_E4M3":
		return read(1, func(b []byte) float32 { return small(uint32(b[0]), 4, 3, false) })
	case "I8":
		return read(1, func(b []byte) float32 { return float32(int8(b[0])) })
	case "U8", "BOOL":
		return read(1, func(b []byte) float32 { return float32(b[0]) })
	case "I16":
		return read(2, func(b []byte) float32 { return float32(int16(le.Uint16(b))) })
	case "I32":
		return read(4, func(b []byte) float32 { return float32(int32(le.Uint32(b))) })
	case "I64":
		return read(8, func(b []byte) float32 { return float32(int64(le.Uint64(b))) })
	}
	return nil, false
}

// small reads a float of a sign, exponent bits and fraction bits. Without infinities (E4M3) only all ones is NaN.
func small(bits uint32, exponent, fraction int, infinities bool) float32 {
	sign := float32(1)
	if bits>>(exponent+fraction)&1 == 1 {
		sign = -1
	}
	bias := 1<<(exponent-1) - 1
	e := int(bits >> fraction & (1<<exponent - 1))
	f := bits & (1<<fraction - 1)
	top := 1<<exponent - 1
	switch {
	case e == 0:
		return sign * float32(math.Ldexp(float64(f), 1-bias-fraction))
	case e == top && infinities && f == 0:
		return sign * float32(math.Inf(1))
	case e == top && (infinities || f == 1<<fraction-1):
		return float32(math.NaN())
	}
	return sign * float32(math.Ldexp(float64(f|1<<fraction), e-bias-fraction))
}
