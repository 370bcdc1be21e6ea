package templates

import (
	"strconv"
	"strings"
	"unicode"
)

// mostWords bounds the comparison of two answers: its cost grows with the product of their lengths, and it is done again
// for every frame.
const mostWords = 800

// Against cuts text where it first differs from reference, given as a byte offset or -1 for nowhere: what is the same, a
// flag that names the place, and the rest with the words marked that the reference does not say in that order.
func Against(reference, text string, at int) (same, flag string, rest []Segment) {
	switch {
	case at < 0 || at > len(text):
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
