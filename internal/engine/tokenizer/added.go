package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// matcher finds added tokens in a text, of those that begin alike the longest.
type matcher struct {
	next map[edge]int32       // the tree of their bytes; 0 is its root
	ends map[int32]addedToken // by the node where one ends
}

// edge leads from a node of the tree by a byte.
type edge struct {
	from int32
	by   byte
}

func newMatcher(tokens []addedToken) *matcher {
	m := &matcher{map[edge]int32{}, map[int32]addedToken{}}
	for _, token := range tokens {
		node := int32(0)
		for i := range len(token.Content) {
			step := edge{node, token.Content[i]}
			if m.next[step] == 0 {
				m.next[step] = int32(len(m.next) + 1)
			}
			node = m.next[step]
		}
		if _, twice := m.ends[node]; !twice && node != 0 {
			m.ends[node] = token
		}
	}
	return m
}

// cut goes through text and gives, in order, the runs between added tokens (id -1) and the tokens, with the offset of each.
//
// It walks as the official library does, which shows where tokens meet: one that may not stand here hides shorter ones within it,
// and white space swallowed on the right is still looked through for the next token.
func (m *matcher) cut(text string, give func(part string, id, at int)) {
	last := 0   // what is before has been given
	spaces := 0 // up to here white space has been swallowed on the right of a token
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
			start = last + len(strings.TrimRightFunc(text[last:max(last, start)], unicode.IsSpace))
		}
		if token.RStrip {
			spaces = max(spaces, end)
			spaces = len(text) - len(strings.TrimLeftFunc(text[spaces:], unicode.IsSpace))
			end = spaces
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
func (m *matcher) longest(text string) (token addedToken, found bool) {
	node := int32(0)
	for i := range len(text) {
		if node = m.next[edge{node, text[i]}]; node == 0 {
			break
		}
		if end, ok := m.ends[node]; ok {
			token, found = end, true
		}
	}
	return token, found
}

// inWord reports whether text[start:end] has a letter right before or after it.
func inWord(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return start > 0 && isWord(before) || end < len(text) && isWord(after)
}
