package engine

// sequence is what one request has computed so far: the keys and values of every position, in every layer, each
// [position][kvHeads*headDim]. It belongs to the scheduler's goroutine.
type sequence struct {
	adapter      *adapter // nil is the base
	keys, values [][]float32
	length       int      // positions
	rounder      *rounder // nil rounds nothing
	broken       bool     // its inputs are no numbers
}

func newSequence(layers int, a *adapter) *sequence {
	return &sequence{adapter: a, keys: make([][]float32, layers), values: make([][]float32, layers)}
}

// put stores keys and values of a layer from value at on, which is where those it has end, or before.
func (s *sequence) put(layer, at int, keys, values []float32) {
	s.keys[layer] = append(s.keys[layer][:at], keys...)
	s.values[layer] = append(s.values[layer][:at], values...)
}

// row is one position to compute: a token at the end of a sequence.
type row struct {
	sequence *sequence
	token    int
	wanted   bool // its logits are wanted
}

// scratch holds one pass's buffers, kept from pass to pass.
type scratch struct {
	x, h, attended    []float32 // the residual stream, its norm, what attention gives
	query, key, value []float32
	gate, up          []float32
	low               []float32 // activations between A and B of an adapter
	logits            []float32
	cosines, sines    []float32 // of each row's position
	positions         []int
	groups            []group
	result            [][]float32
}

func resize[T any](buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n+n/4)
	}
	*buffer = (*buffer)[:n]
	return *buffer
}
