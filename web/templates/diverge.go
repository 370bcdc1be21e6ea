package templates

import (
	"strconv"
	"strings"
	"unicode"
)

// mostWords bounds the comparison of two answers: its cost grows with the product of their lengths, and it is done again
// for every frame.
const mostWords = 800

// Diverge reads text against ref word by word: what is the same from the start, a flag naming the first word that differs,
// and the rest with the words marked that the reference does not say in that order.
//
// While either is still being written its last word may be cut short, so it is not judged; and text that has only run ahead
// of an unfinished reference does not differ from it yet.
func Diverge(ref string, refDone bool, text string, textDone bool) (same, flag string, rest []Segment) {
	refWords, words := cut(ref), cut(text)
	if !refDone && len(refWords) > 0 {
		refWords = refWords[:len(refWords)-1]
	}
	judged := len(words)
	if !textDone && judged > 0 {
		judged--
	}
	first := 0
	for first < len(refWords) && first < judged && bare(refWords[first]) == bare(words[first]) {
		first++
	}
	ended := textDone && first == judged && first < len(refWords) && refDone // it stopped where the reference goes on
	switch {
	case ended:
		return text, "ends here", nil
	case first == judged, first == len(refWords) && !refDone:
		return text, "", nil
	}
	flag = "word " + strconv.Itoa(first+1)
	same = strings.Join(words[:first], "")
	if len(words)-first > mostWords || len(refWords)-first > mostWords {
		return same, flag, []Segment{{Text: strings.Join(words[first:], "")}}
	}
	return same, flag, marked(refWords[first:], words[first:])
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
	add := func(word string, isMarked bool) {
		if n := len(segments); n > 0 && segments[n-1].Marked == isMarked {
			segments[n-1].Text += word
			return
		}
		segments = append(segments, Segment{Text: word, Marked: isMarked})
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
