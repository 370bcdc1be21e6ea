package bpe_test

import (
	"bytes"
	"slices"
	"testing"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/bpe"
)

func TestWhatIsLearntIsReadByTheEngineAndRepeats(t *testing.T) {
	t.Parallel()
	texts := []string{"the cat sat on the mat", "the dog sat on the log", "法国的首都是巴黎。"}
	first, err := bpe.Learn(texts, 280, []string{"<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := bpe.Learn(texts, 280, []string{"<|end|>"}); !bytes.Equal(first, second) {
		t.Error("two learnings differ")
	}
	tok, err := tokenizer.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.ID("<|end|>"); !ok || id != 279 || tok.Vocab() != 280 {
		t.Errorf("special token: id %d of %d", id, tok.Vocab())
	}
	for _, text := range append(texts, "unseen \xf0\x9f\x99\x82 text\n") {
		ids := tok.Encode(text, true)
		if got := tok.Decode(ids, false); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
	if ids := tok.Encode("the", false); len(ids) > 2 {
		t.Errorf("nothing was learnt: %v", ids)
	}
}

func TestANameIsTheSameTokensInEverySentence(t *testing.T) {
	t.Parallel()
	text, err := bpe.Learn([]string{"法国的首都是巴黎。", "法国的首都是哪里？", "我想知道法国的首都。"}, 288, nil)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	name := tok.Encode("法国", false)
	if len(name) != 2 {
		t.Errorf("two characters are %d tokens: too little was learnt", len(name))
	}
	for _, sentence := range []string{"法国的首都是哪里？", "请告诉我法国在哪个洲。"} {
		ids := tok.Encode(sentence, false)
		if !slices.ContainsFunc(windows(ids, len(name)), func(w []int) bool { return slices.Equal(w, name) }) {
			t.Errorf("in %q the name's tokens %v do not stand: %v", sentence, name, ids)
		}
	}
}

// windows gives every run of size neighbours.
func windows(ids []int, size int) [][]int {
	var all [][]int
	for i := size; i <= len(ids); i++ {
		all = append(all, ids[i-size:i])
	}
	return all
}
