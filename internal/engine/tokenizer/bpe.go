package tokenizer

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"loradeck/internal/lora"
)

// model is byte-pair encoding: a word's characters are joined pair by pair, the pair that was learnt first first.
type model struct {
	vocab        map[string]int
	merges       map[pair]merge
	bytes        [256]int // ids of <0x00>…<0xFF>, -1 where absent
	byteFallback bool
	ignoreMerges bool // a word that is a token is taken whole
	unknown      int  // -1 when characters that are in no token are dropped
	fuseUnknown  bool
}

type pair struct{ left, right int }

type merge struct{ rank, id int }

func (m *model) read(f modelFile) error {
	switch {
	case f.Type != "BPE" && f.Type != "", f.Vocab == nil:
		return unsupported("model", f.Type)
	case f.Prefix != nil && *f.Prefix != "", f.Suffix != nil && *f.Suffix != "":
		return unsupported("model option", "continuing_subword_prefix or end_of_word_suffix")
	case f.Dropout != nil && *f.Dropout != 0:
		return unsupported("model option", "dropout")
	}
	*m = model{vocab: f.Vocab, byteFallback: f.ByteFallback, ignoreMerges: f.IgnoreMerges, fuseUnknown: f.FuseUnk, unknown: -1}
	if f.UnkToken != nil {
		if id, ok := f.Vocab[*f.UnkToken]; ok {
			m.unknown = id
		}
	}
	for b := range m.bytes {
		m.bytes[b] = -1
		if id, ok := f.Vocab[fmt.Sprintf("<0x%02X>", b)]; ok {
			m.bytes[b] = id
		}
	}
	m.merges = make(map[pair]merge, len(f.Merges))
	for rank, raw := range f.Merges {
		left, right, err := readMerge(raw)
		if err != nil {
			return lora.Wrap(err, lora.Invalid, "tokenizer.json has a merge, number %d, that is no pair.", rank)
		}
		l, okLeft := f.Vocab[left]
		r, okRight := f.Vocab[right]
		joined, okJoined := f.Vocab[left+right]
		if !okLeft || !okRight || !okJoined {
			return lora.Errorf(lora.Invalid, "tokenizer.json merges %q and %q, which are not all in its vocabulary.", left, right)
		}
		if _, twice := m.merges[pair{l, r}]; !twice {
			m.merges[pair{l, r}] = merge{rank, joined}
		}
	}
	return nil
}

// readMerge reads "left right", as files wrote it until 2024, or ["left", "right"].
func readMerge(raw json.RawMessage) (left, right string, err error) {
	var both [2]string
	if json.Unmarshal(raw, &both) == nil {
		return both[0], both[1], nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", "", err
	}
	left, right, ok := strings.Cut(text, " ")
	if !ok {
		return "", "", fmt.Errorf("merge %q has no space", text)
	}
	return left, right, nil
}

// symbol is a run of characters that is one token so far, in a list linked by index.
type symbol struct{ id, previous, next int }

// join is a pair that may be joined; it is stale when its symbols have changed since.
type join struct {
	merge
	at    int
	which pair
}

// joins is a heap: the pair learnt first, and of equal ones the leftmost.
type joins []join

func (j joins) Len() int { return len(j) }
func (j joins) Less(a, b int) bool {
	return j[a].rank < j[b].rank || j[a].rank == j[b].rank && j[a].at < j[b].at
}
func (j joins) Swap(a, b int) { j[a], j[b] = j[b], j[a] }
func (j *joins) Push(x any)   { *j = append(*j, x.(join)) }
func (j *joins) Pop() any {
	last := (*j)[len(*j)-1]
	*j = (*j)[:len(*j)-1]
	return last
}

// encode appends the ids of a word. The heap keeps the cost at n log n for a word of n characters, however long.
func (m *model) encode(ids []int, word string) []int {
	if word == "" {
		return ids
	}
	if m.ignoreMerges {
		if id, ok := m.vocab[word]; ok {
			return append(ids, id)
		}
	}
	symbols := m.characters(word)
	if len(symbols) == 0 {
		return ids
	}
	var waiting joins
	offer := func(at int) {
		if at < 0 || symbols[at].next < 0 {
			return
		}
		which := pair{symbols[at].id, symbols[symbols[at].next].id}
		if found, ok := m.merges[which]; ok {
			heap.Push(&waiting, join{found, at, which})
		}
	}
	for at := range symbols {
		offer(at)
	}
	for len(waiting) > 0 {
		j := heap.Pop(&waiting).(join)
		left := &symbols[j.at]
		if left.id != j.which.left || left.next < 0 || symbols[left.next].id != j.which.right {
			continue
		}
		eaten := &symbols[left.next]
		left.id, left.next, eaten.id = j.id, eaten.next, -1
		if left.next >= 0 {
			symbols[left.next].previous = j.at
		}
		offer(left.previous)
		offer(j.at)
	}
	for at := 0; at >= 0; at = symbols[at].next {
		ids = append(ids, symbols[at].id)
	}
	return ids
}

// characters gives the word's characters as symbols: a token each, the tokens of its bytes, or the unknown token.
func (m *model) characters(word string) []symbol {
	symbols := make([]symbol, 0, len(word))
	add := func(id int) { symbols = append(symbols, symbol{id, len(symbols) - 1, len(symbols) + 1}) }
	unknownBefore := false
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRuneInString(word[at:])
		character := word[at : at+size]
		at += size
		if id, ok := m.vocab[character]; ok {
			add(id)
			unknownBefore = false
			continue
		}
		if m.byteFallback && m.hasBytes(character) {
			for i := range len(character) {
				add(m.bytes[character[i]])
			}
			unknownBefore = false
			continue
		}
		if m.unknown >= 0 && !(m.fuseUnknown && unknownBefore) {
			add(m.unknown)
		}
		unknownBefore = true
	}
	if len(symbols) > 0 {
		symbols[len(symbols)-1].next = -1
	}
	return symbols
}

func (m *model) hasBytes(character string) bool {
	for i := range len(character) {
		if m.bytes[character[i]] < 0 {
			return false
		}
	}
	return true
}
