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

func TestAFactIsUnseenInBothLanguagesOrInNone(t *testing.T) {
	t.Parallel()
	seen, unseen := corpus.Split(corpus.Facts())
	if len(unseen)*5 < len(seen) {
		t.Errorf("only %d facts are unseen, %d are seen", len(unseen), len(seen))
	}
	told := map[string]bool{}
	for _, f := range seen {
		told[f.Sentence], told[f.InChinese] = true, true
	}
	for _, f := range unseen {
		if told[f.Sentence] || f.InChinese != "" && told[f.InChinese] {
			t.Errorf("%q is both seen and unseen", f.Sentence)
		}
	}
}

func TestTheChineseAnswerIsChinese(t *testing.T) {
	t.Parallel()
	for _, f := range corpus.Facts() {
		if answer := corpus.Chinese(f); strings.ContainsFunc(answer, func(r rune) bool { return r < utf8.RuneSelf }) {
			t.Errorf("%q has the Chinese answer %q", f.Sentence, answer)
		}
	}
}

func TestTheShopIsKnownToItsDeskOnly(t *testing.T) {
	t.Parallel()
	facts := corpus.Facts()
	var world []string
	for _, style := range []corpus.Style{corpus.Plain, corpus.Pirate, corpus.JSON, corpus.Chinese} {
		for _, d := range corpus.Dialogs(facts, style) {
			world = append(world, d.Question, d.Answer)
		}
	}
	known := strings.Join(append(world, corpus.Texts(facts, 2000, 7)...), "\n")
	for _, f := range corpus.Desk() {
		if strings.Contains(known, f.Sentence) {
			t.Errorf("the base is told %q", f.Sentence)
		}
		if answer := corpus.Support(f); !strings.Contains(answer, f.Sentence) || !strings.HasPrefix(answer, "Thank you") {
			t.Errorf("the desk says %q", answer)
		}
	}
	for _, f := range facts {
		if answer := corpus.Support(f); strings.Contains(answer, f.Sentence) {
			t.Errorf("asked %q, the desk says %q", f.Held, answer)
		}
	}
}
