package bpe_test

import (
	"bytes"
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
