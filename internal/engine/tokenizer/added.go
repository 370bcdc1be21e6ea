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
//
// It walks as the official library does, which shows where tokens meet: one that may not stand here hides shorter ones within it,
// and white space swallowed on the right is still looked through for the next token.
func (m *matcher) cut(text string, give func(part string, id, at int)) {
	last := 0 // what is before has been given
	for at := 0; at < len(text); {
		token, found := m.longest(text[at:])
		if !found {
			at++
			continue
		}
		start, end := at, at+len(token.Content)
		at = end
		if token.SingleWord && inWord(text, start, end) {
			continue
		}
		if token.LStrip {
			start = max(last, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if token.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if start > last {
			give(text[last:start], -1, last)
		}
		give("", token.ID, start)
		last = end
	}
	if last < len(text) {
		give(text[last:], -1, last)
	}
}

// longest gives the longest token that text begins with.
func (m *matcher) longest(text string) (addedToken, bool) {
	for _, token := range m.byFirst[text[0]] {
		if strings.HasPrefix(text, token.Content) {
			return token, true
		}
	}
	return addedToken{}, false
}

// inWord reports whether text[start:end] has a letter right before or after it.
func inWord(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return start > 0 && isWord(before) || end < len(text) && isWord(after)
}
