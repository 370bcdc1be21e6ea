package tokenizer

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxMarks is how many marks may follow each other before the library breaks them up with a U+034F (Unicode's stream-safe form,
// at 30 in decomposed form), which the official one does not. A mark decomposes into four at most.
const maxMarks = 7

// composed gives text in a form, NFC or NFKC.
func composed(text string, form norm.Form) string {
	decomposition := norm.NFD
	if form == norm.NFKC {
		decomposition = norm.NFKD
	}
	marks := 0
	for _, r := range text {
		switch {
		case r < 0x300:
			marks = 0
			continue
		case class(r) == 0:
			marks = 0
		default:
			marks++
		}
		if marks > maxMarks || unicode.Is(since10, r) {
			return recompose(decompose(text, decomposition))
		}
	}
	return form.String(text)
}

// decompose decomposes a text of any number of marks: character by character, and then in canonical order.
func decompose(text string, form norm.Form) []character {
	all := make([]character, 0, len(text))
	for _, r := range text {
		if unicode.Is(since10, r) {
			all = append(all, character{r, 0})
			continue
		}
		for _, r := range form.String(string(r)) {
			all = append(all, character{r, class(r)})
		}
	}
	for from := 0; from < len(all); from++ {
		to := from
		for to < len(all) && all[to].class > 0 {
			to++
		}
		slices.SortStableFunc(all[from:to], func(a, b character) int { return int(a.class) - int(b.class) })
		from = to
	}
	return all
}

// character is a character with its class.
type character struct {
	r     rune
	class uint8
}

// class is a character's canonical combining class: 0 unless it stands on another.
func class(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }

// joined gives the one character that two are the same as.
func joined(a, b rune) (rune, bool) {
	both := []rune(norm.NFC.String(string([]rune{a, b})))
	return both[0], len(both) == 1 && !unicode.Is(since10, both[0])
}

// recompose joins, as Unicode's canonical composition does, each character with the last one before it that marks stand on.
func recompose(all []character) string {
	out := all[:0]
	base := -1 // in out
	for _, c := range all {
		if base >= 0 {
			last := out[len(out)-1]
			reached := len(out)-1 == base || last.class > 0 && last.class < c.class // nothing of its class stands between them
			if r, ok := joined(out[base].r, c.r); reached && ok {
				out[base].r = r
				continue
			}
		}
		if c.class == 0 {
			base = len(out)
		}
		out = append(out, c)
	}
	var text strings.Builder
	for _, c := range out {
		text.WriteRune(c.r)
	}
	return text.String()
}
