// Package bpe learns a byte-level BPE vocabulary and writes it as a Hugging Face tokenizer.json.
package bpe

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// han are the characters that stand alone. Chinese writes no spaces: joined, a name would be another token in every sentence, and
// a model that learnt it in one would not know it in the next.
const han = "[一-鿿]"

// chunks are the pieces within which bytes are joined: a Chinese character, or GPT-2's split, as far as learning needs it.
var chunks = regexp.MustCompile(han + `|'s|'t|'re|'ve|'m|'ll|'d| ?[^\P{L}一-鿿]+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+`)

// word is a chunk as tokens so far, and how often it stands in the texts.
type word struct {
	tokens []string
	count  int
}

// Learn gives a tokenizer.json with size tokens: 256 bytes, joins learnt from the texts, and the special tokens last. The
// same texts give the same bytes.
func Learn(texts []string, size int, special []string) ([]byte, error) {
	counts := map[string]int{}
	for _, text := range texts {
		for _, chunk := range chunks.FindAllString(text, -1) {
			counts[chunk]++
		}
	}
	words := make([]word, 0, len(counts))
	for _, chunk := range slices.Sorted(maps.Keys(counts)) {
		w := word{count: counts[chunk]}
		for i := range len(chunk) {
			w.tokens = append(w.tokens, string(letter(chunk[i])))
		}
		words = append(words, w)
	}
	vocab := map[string]int{}
	for b := range 256 {
		vocab[string(letter(byte(b)))] = b
	}
	var merges [][2]string
	for len(vocab) < size-len(special) {
		pair, found := commonest(words)
		if !found {
			return nil, fmt.Errorf("learn tokenizer: the texts give only %d tokens, not %d", len(vocab), size)
		}
		merges = append(merges, pair)
		if joined := pair[0] + pair[1]; vocab[joined] == 0 {
			vocab[joined] = len(vocab)
		}
		for i := range words {
			words[i].join(pair)
		}
	}
	return encode(vocab, merges, special)
}

// commonest gives the pair of neighbours that stands most often; of equal ones the first in the alphabet.
func commonest(words []word) (pair [2]string, found bool) {
	counts := map[[2]string]int{}
	for _, w := range words {
		for i := 1; i < len(w.tokens); i++ {
			counts[[2]string{w.tokens[i-1], w.tokens[i]}] += w.count
		}
	}
	if len(counts) == 0 {
		return pair, false
	}
	return slices.MinFunc(slices.Collect(maps.Keys(counts)), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}), true
}

func (w *word) join(pair [2]string) {
	kept := w.tokens[:0]
	for i := 0; i < len(w.tokens); i++ {
		if i+1 < len(w.tokens) && w.tokens[i] == pair[0] && w.tokens[i+1] == pair[1] {
			kept = append(kept, pair[0]+pair[1])
			i++
			continue
		}
		kept = append(kept, w.tokens[i])
	}
	w.tokens = kept
}

// letter is the printable character of a byte in GPT-2's byte-level alphabet.
func letter(b byte) rune {
	next := rune(0x100)
	for c := range 256 {
		printable := c >= '!' && c <= '~' || c >= 0xA1 && c <= 0xAC || c >= 0xAE
		if byte(c) == b {
			if printable {
				return rune(c)
			}
			return next
		}
		if !printable {
			next++
		}
	}
	panic("unreachable")
}

func encode(vocab map[string]int, merges [][2]string, special []string) ([]byte, error) {
	type object = map[string]any
	added := []object{}
	for _, token := range special {
		id := len(vocab)
		vocab[token] = id
		added = append(added, object{"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
	}
	bytes := object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	split := object{"type": "Split", "pattern": object{"Regex": han}, "behavior": "Isolated", "invert": false}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added, "normalizer": nil,
		"pre_tokenizer": object{"type": "Sequence", "pretokenizers": []object{split, bytes}}, "post_processor": bytes, "decoder": bytes,
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil, "fuse_unk": false,
			"byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges,
		},
	})
	return []byte(text.String()), err
}
