package corpus_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"loradeck/tools/traindemo/corpus"
)

func TestHeldOutWordingsAreNeverTrained(t *testing.T) {
	t.Parallel()
	facts := corpus.Facts()
	trained := map[string]string{}
	for _, d := range corpus.Dialogs(facts, corpus.Plain) {
		if before, twice := trained[d.Question]; twice && before != d.Answer {
			t.Errorf("%q has two answers: %q and %q", d.Question, before, d.Answer)
		}
		trained[d.Question] = d.Answer
	}
	held := corpus.HeldOut(facts, corpus.Plain)
	if len(held) < 150 {
		t.Errorf("only %d questions are held out", len(held))
	}
	for _, d := range held {
		if !utf8.ValidString(d.Question + d.Answer) {
			t.Errorf("%q → %q is no UTF-8", d.Question, d.Answer)
		}
		if _, seen := trained[d.Question]; seen {
			t.Errorf("%q is held out and trained", d.Question)
		}
	}
}

func TestStylesKeepTheAnswer(t *testing.T) {
	t.Parallel()
	for _, f := range corpus.Facts() {
		var object struct{ Answer string }
		if err := json.Unmarshal([]byte(corpus.JSON(f)), &object); err != nil || object.Answer != f.Answer {
			t.Errorf("json of %q: %q, %v", f.Answer, corpus.JSON(f), err)
		}
		if pirate := corpus.Pirate(f); f.Held != "" && !strings.Contains(pirate, f.Answer) {
			t.Errorf("pirate lost %q: %q", f.Answer, pirate)
		}
	}
}

func TestTheCorpusIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	if !slices.Equal(corpus.Texts(corpus.Facts(), 200, 1), corpus.Texts(corpus.Facts(), 200, 1)) {
		t.Error("texts differ between two makings")
	}
}

func TestPlainTextsHoldNoHeldOutWording(t *testing.T) {
	t.Parallel()
	facts := corpus.Facts()
	texts := strings.Join(corpus.Texts(facts, 2000, 1), "\n")
	for _, d := range corpus.HeldOut(facts, corpus.Plain) {
		if strings.Contains(texts, d.Question) {
			t.Errorf("%q is held out and stands in a plain text", d.Question)
		}
	}
}
