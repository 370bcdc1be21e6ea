package tokenizer

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"loradeck/internal/lora"
)

// gpt2 is the split pattern that ByteLevel uses when the file gives none.
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// pattern runs a split pattern on Go's linear-time regexp. Three things differ from the engine the files are written for: \s
// must be Unicode's white space, \p{L} and \p{N} those of a later Unicode, and there is no look-ahead. The only look-ahead that real tokenizers use is that of
// `\s+(?!\S)|\s+`, so it is taken out and done by hand: white space that is followed by something keeps its last character
// for the next match.
type pattern struct {
	re    *regexp.Regexp
	space int // capture group of that alternative, -1 when the pattern has none
}

const (
	lookAhead    = `\s+(?!\S)|\s+`
	unicodeSpace = `\t-\r\x{85}\p{Z}`
)

func compile(source string) (*pattern, error) {
	refuse := func(why string) error {
		return lora.Errorf(lora.Invalid, "tokenizer.json splits by the pattern %q, which this engine does not support: %s.", source, why)
	}
	text := source
	if before, after, found := strings.Cut(text, lookAhead); found {
		text = before + `(?P<space>\s+)` + after
	}
	for _, construct := range []string{"(?!", "(?=", "(?<", "(?>", "++", "*+", "?+"} {
		if strings.Contains(text, construct) {
			return nil, refuse(construct)
		}
	}
	translated, ok := widen(text)
	if !ok {
		return nil, refuse(`\S inside a class`)
	}
	if !affordable(translated) {
		return nil, refuse("it is larger than any real one")
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, refuse(err.Error())
	}
	return &pattern{re: re, space: re.SubexpIndex("space")}, nil
}

// widen makes \s, \S, \p{L} and \p{N} mean what they mean to the official library.
func widen(text string) (string, bool) {
	var out strings.Builder
	inside := false // a class
	class := func(members string) {
		if !inside {
			members = "[" + members + "]"
		}
		out.WriteString(members)
	}
	for size := 0; text != ""; text = text[size:] {
		switch {
		case strings.HasPrefix(text, `\s`):
			size = 2
			class(unicodeSpace)
		case strings.HasPrefix(text, `\S`):
			if inside {
				return "", false
			}
			size = 2
			out.WriteString("[^" + unicodeSpace + "]")
		case strings.HasPrefix(text, `\p{L}`):
			size = 5
			class(`\p{L}` + members(letters16))
		case strings.HasPrefix(text, `\p{N}`):
			size = 5
			class(`\p{N}` + members(numbers16))
		case text[0] == '\\' && len(text) > 1:
			size = 2
			out.WriteString(text[:2])
		default:
			size = 1
			inside = text[0] == '[' || inside && text[0] != ']'
			out.WriteByte(text[0])
		}
	}
	return out.String(), true
}

// next gives the first match at or after from, where the last one ended. An empty match counts as none.
func (p *pattern) next(text string, from int) (start, end int, found bool) {
	match := p.re.FindStringSubmatchIndex(text[from:])
	if match == nil || match[0] == match[1] {
		return 0, 0, false
	}
	start, end = from+match[0], from+match[1]
	if p.space >= 0 && match[2*p.space] >= 0 && end < len(text) {
		if _, size := utf8.DecodeLastRuneInString(text[start:end]); end-size > start {
			end -= size
		}
	}
	return start, end, true
}
