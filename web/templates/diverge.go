package templates

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostWords bounds the comparison of two answers: its cost grows with the product of their lengths, and it is done again
// for every frame.
const mostWords = 800

// Diverge reads text against reference: what is the same from the start, a flag that names the place where it first says
// something else, and the rest with the words marked that the reference does not say in that order. Growing says that either
// is still being written: then a beginning of the other does not differ from it yet.
func Diverge(reference, text string, growing bool) (same, flag string, rest []Segment) {
	at := differs(reference, text, growing)
	switch {
	case at < 0:
		return text, "", nil
	case at == len(text):
		return text, "ends here", nil
	}
	same = text[:at]
	flag = "word " + strconv.Itoa(len(strings.Fields(same))+1)
	refWords, words := cut(reference[min(at, len(reference)):]), cut(text[at:])
	if len(words) > mostWords || len(refWords) > mostWords {
		return same, flag, []Segment{{Text: text[at:]}}
	}
	return same, flag, marked(refWords, words)
}

// differs gives the byte offset of the first word in text that is not the reference's, len(text) when text ends where the
// reference goes on, and -1 when nothing differs.
func differs(reference, text string, growing bool) int {
	same := 0
	for same < len(reference) && same < len(text) {
		a, size := utf8.DecodeRuneInString(reference[same:])
		if b, _ := utf8.DecodeRuneInString(text[same:]); a != b {
			break
		}
		same += size
	}
	textEnds, referenceEnds := same == len(text), same == len(reference)
	switch {
	case textEnds && referenceEnds, growing && (textEnds || referenceEnds):
		return -1
	case textEnds:
		return same
	}
	if next, size := utf8.DecodeRuneInString(text[same:]); referenceEnds && unicode.IsSpace(next) {
		return same + size // whole words more than the reference
	}
	for same > 0 {
		before, size := utf8.DecodeLastRuneInString(text[:same])
		if unicode.IsSpace(before) || unicode.Is(unicode.Han, before) { // Han is written without spaces: a character is the word
			break
		}
		same -= size
	}
	return same
}

// marked joins words into segments, marking those outside the longest common subsequence with ref.
func marked(ref, words []string) []Segment {
	common := make([][]uint16, len(ref)+1) // length of the longest common subsequence of ref[i:] and words[j:]
	for i := range common {
		common[i] = make([]uint16, len(words)+1)
	}
	for i := len(ref) - 1; i >= 0; i-- {
		for j := len(words) - 1; j >= 0; j-- {
			if bare(ref[i]) == bare(words[j]) {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var segments []Segment
	add := func(text string, isMarked bool) {
		if n := len(segments); n > 0 && segments[n-1].Marked == isMarked {
			segments[n-1].Text += text
			return
		}
		// The space before a marked word is not part of what differs.
		word := strings.TrimLeftFunc(text, unicode.IsSpace)
		if space := text[:len(text)-len(word)]; isMarked && space != "" {
			if n := len(segments); n > 0 {
				segments[n-1].Text += space
			} else {
				segments = append(segments, Segment{Text: space})
			}
			text = word
		}
		segments = append(segments, Segment{Text: text, Marked: isMarked})
	}
	i, j := 0, 0
	for j < len(words) {
		switch {
		case i < len(ref) && bare(ref[i]) == bare(words[j]):
			add(words[j], false)
			i, j = i+1, j+1
		case i < len(ref) && common[i+1][j] >= common[i][j+1]:
			i++
		default:
			add(words[j], true)
			j++
		}
	}
	return segments
}

// cut splits text into words, each with the white space before it, so that joining them gives the text back.
func cut(text string) []string {
	var words []string
	start, inWord := 0, false
	for i, r := range text {
		space := unicode.IsSpace(r)
		if space && inWord {
			words = append(words, text[start:i])
			start = i
		}
		inWord = !space
	}
	if start < len(text) {
		words = append(words, text[start:])
	}
	return words
}

func bare(word string) string { return strings.TrimSpace(word) }
