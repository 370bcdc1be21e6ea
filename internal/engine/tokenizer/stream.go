package tokenizer

import "strings"

// Stream turns ids into text as they come. It holds back what may still change: bytes that are not yet a whole character,
// and runs of <0xNN> tokens until they end, because one more byte can turn all of a run into U+FFFD.
// The text it has given is at every moment a beginning of Decode of all ids. It is used by one goroutine.
type Stream struct {
	tokenizer   *Tokenizer
	skipSpecial bool
	ids         []int // since the last point where the text was whole, and the run before it
	given       int   // how many of ids have had their text given
	open        bool  // the last of them is a <0xNN> token
}

// Stream begins a text.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	return &Stream{tokenizer: t, skipSpecial: skipSpecial}
}

// Next gives the text that the next id makes certain, which may be empty or that of several ids.
func (s *Stream) Next(id int) string {
	if !s.tokenizer.decodes(id, s.skipSpecial) {
		return ""
	}
	s.ids = append(s.ids, id)
	if _, s.open = byteToken(s.tokenizer.tokens[id]); s.open {
		return ""
	}
	text := s.fresh()
	if text == "" || strings.HasSuffix(text, replacement) {
		if len(s.ids)-s.given > maxHeld {
			return s.settle()
		}
		return ""
	}
	// Decoding depends on the neighbour (a leading space, bytes that join), so the last run given stays as context.
	s.ids = append(s.ids[:0], s.ids[s.given:]...)
	s.given = len(s.ids)
	return text
}

// maxHeld is how many ids may be held back because their text ends in bytes that are no character. One may begin in three.
const maxHeld = 32

// settle gives the text of all held ids but the last few, when bytes that are no text go on and on: the time a stream takes would
// grow with their square. It cuts where both sides decode as they do together; what follows changes only the side that comes last.
func (s *Stream) settle() string {
	whole := s.tokenizer.Decode(s.ids, s.skipSpecial)
	for at := len(s.ids) - 1; at > len(s.ids)-maxHeld/2; at-- {
		head, tail := s.tokenizer.Decode(s.ids[:at], s.skipSpecial), s.tokenizer.Decode(s.ids[at:], s.skipSpecial)
		if tail == "" || head+tail != whole {
			continue
		}
		text := head[len(s.tokenizer.Decode(s.ids[:s.given], s.skipSpecial)):]
		s.ids = append(s.ids[:0], s.ids[at-1:]...)
		s.given = 1
		return text
	}
	return ""
}

// Flush gives what was held back, with U+FFFD for bytes that became no character.
func (s *Stream) Flush() string {
	text := s.fresh()
	s.ids, s.given, s.open = nil, 0, false
	return text
}

// fresh is the text of the ids that have not been given.
func (s *Stream) fresh() string {
	before := s.tokenizer.Decode(s.ids[:s.given], s.skipSpecial)
	now := s.tokenizer.Decode(s.ids, s.skipSpecial)
	if len(now) <= len(before) {
		return ""
	}
	return now[len(before):]
}
