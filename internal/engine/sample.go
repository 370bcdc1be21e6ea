package engine

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"loradeck/internal/engine/kernel"
)

// coldest is the temperature below which the likeliest token is taken, as vLLM does (its _SAMPLING_EPS).
const coldest = 1e-5

// sampler chooses tokens; it holds buffers and belongs to one goroutine.
type sampler struct {
	work       []float32
	candidates []candidate
}

type candidate struct {
	id     int
	weight float64
}

// choose picks the next token: temperature first, then what is likely enough beside the likeliest, then the k likeliest, then
// the smallest set that holds the share p of what is left; that is vLLM's order. Logits of negative infinity are never chosen.
func (s *sampler) choose(logits []float32, r *Request, random *rand.Rand) int {
	best := likeliest(logits)
	if r.Temperature < coldest || logits[best] != logits[best] {
		return best
	}
	weights := append(s.work[:0], logits...)
	s.work = weights
	kernel.ExpSum(weights, logits[best], float32(1/r.Temperature))
	s.candidates = s.candidates[:0]
	total := 0.0
	for id, w := range weights {
		if w > 1e-12 && float64(w) >= r.MinP { // in the largest vocabulary the others weigh less than 0.00002 together, and few are sorted
			s.candidates = append(s.candidates, candidate{id, float64(w)})
			total += float64(w)
		}
	}
	if len(s.candidates) == 0 { // an infinite logit: nothing to weigh
		return best
	}
	limited := r.TopK > 0 && r.TopK < len(s.candidates)
	nucleus := r.TopP > 0 && r.TopP < 1
	if limited || nucleus {
		slices.SortFunc(s.candidates, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
		})
	}
	kept := s.candidates
	if limited {
		kept = likeliestOnes(kept, r.TopK)
		total = sum(kept)
	}
	if nucleus {
		kept = share(kept, r.TopP*total)
		total = sum(kept)
	}
	return draw(kept, random.Float64()*total)
}

// likeliestOnes keeps the first k of sorted candidates and those that are as likely as the last of them, as vLLM does.
func likeliestOnes(candidates []candidate, k int) []candidate {
	for k < len(candidates) && candidates[k].weight == candidates[k-1].weight {
		k++
	}
	return candidates[:k]
}

// share keeps the first candidates until their weights reach enough.
func share(candidates []candidate, enough float64) []candidate {
	reached := 0.0
	for i, c := range candidates {
		if reached += c.weight; reached >= enough {
			return candidates[:i+1]
		}
	}
	return candidates
}

func sum(candidates []candidate) (total float64) {
	for _, c := range candidates {
		total += c.weight
	}
	return total
}

func draw(candidates []candidate, at float64) int {
	for _, c := range candidates {
		if at -= c.weight; at < 0 {
			return c.id
		}
	}
	return candidates[len(candidates)-1].id
}

// likeliest gives the index of the largest logit, the first of equals. A NaN counts as largest, as in torch: what is broken
// shows at once.
func likeliest(logits []float32) int {
	best := 0
	for i, v := range logits {
		if above(v, logits[best]) {
			best = i
		}
	}
	return best
}

func above(a, b float32) bool {
	return a > b || a != a && b == b
}

// likeliestOf gives the indexes of the n largest logits, largest first, the first of equals first.
func likeliestOf(logits []float32, n int) []int {
	top := make([]int, 0, n+1)
	for i, v := range logits {
		if len(top) == n && (n == 0 || !above(v, logits[top[n-1]])) {
			continue
		}
		at := len(top)
		for at > 0 && above(v, logits[top[at-1]]) {
			at--
		}
		top = slices.Insert(top, at, i)
		if len(top) > n {
			top = top[:n]
		}
	}
	return top
}

// rank counts the logits that are at least as large as that of id, its own among them.
func rank(logits []float32, id int) (n int) {
	for _, v := range logits {
		if v >= logits[id] {
			n++
		}
	}
	return n
}

// logSumExp gives what to subtract from a logit to have its log probability. work is a buffer.
func logSumExp(logits []float32, work *[]float32) float64 {
	const block = 1024 // short float32 sums, so that a large vocabulary does not cost digits
	top := logits[likeliest(logits)]
	total := 0.0
	copied := append((*work)[:0], logits...)
	*work = copied
	for len(copied) > 0 {
		n := min(block, len(copied))
		total += float64(kernel.ExpSum(copied[:n], top, 1))
		copied = copied[n:]
	}
	return float64(top) + math.Log(total)
}
