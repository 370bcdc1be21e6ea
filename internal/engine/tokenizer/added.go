package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcher finds added tokens in a text, of those that begin alike the longest.
type matcher struct {
	byFirst [256][]addedToken
}

func newMatcher(tokens []addedToken) *matcher {
	m := &matcher{}
	for _, token := range tokens {
		if token.Content != "" {
			m.byFirst[token.Content[0]] = append(m.byFirst[token.Content[0]], token)
		}
	}
	for _, list := range m.byFirst {
		slices.SortStableFunc(list, func(a, b addedToken) int { return len(b.Content) - len(a.Content) })
	}
	return m
}

// cut goes through text and gives, in order, the runs between added tokens (id -1) and the tokens, with the offset of each.
func (m *matcher) cut(text string, give func(part string, id, at int)) {
	last := 0
	for at := 0; at < len(text); {
		token, start, end, found := m.match(text, last, at)
		if !found {
			at++
			continue
		}
		if start > last {
			give(text[last:start], -1, last)
		}
		give("", token.ID, start)
		last, at = end, end
	}
	if last < len(text) {
		give(text[last:], -1, last)
	}
}

// match gives the token that begins at the offset at, with the white space it swallows. What ended before last is taken.
func (m *matcher) match(text string, last, at int) (token addedToken, start, end int, found bool) {
	for _, token := range m.byFirst[text[at]] {
		if !strings.HasPrefix(text[at:], token.Content) {
			continue
		}
		start, end := at, at+len(token.Content)
		if token.SingleWord && inWord(text, start, end) {
			continue
		}
		if token.LStrip {
			start = max(last, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if token.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		return token, start, end, true
	}
	return addedToken{}, 0, 0, false
}

// inWord reports whether text[start:end] has a letter right before or after it.
func inWord(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return start > 0 && isWord(before) || end < len(text) && isWord(after)
}

func isWord(r rune) bool {
	return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}
