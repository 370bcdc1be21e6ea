package tokenizer

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"loradeck/internal/lora"
)

// gpt2 is the split pattern that ByteLevel uses when the file gives none.
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// pattern runs a split pattern on Go's linear-time regexp. Two things differ from the engine the files are written for: \s
// must be Unicode's white space, and there is no look-ahead. The only look-ahead that real tokenizers use is that of
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
	translated, ok := widenSpace(text)
	if !ok {
		return nil, refuse(`\S inside a class`)
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, refuse(err.Error())
	}
	return &pattern{re: re, space: re.SubexpIndex("space")}, nil
}

// widenSpace makes \s and \S mean Unicode's white space.
func widenSpace(text string) (string, bool) {
	var out strings.Builder
	inClass := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			if c == '[' {
				inClass = true
			} else if c == ']' {
				inClass = false
			}
			out.WriteByte(c)
			continue
		}
		i++
		switch {
		case text[i] == 's' && inClass:
			out.WriteString(unicodeSpace)
		case text[i] == 's':
			out.WriteString("[" + unicodeSpace + "]")
		case text[i] == 'S' && inClass:
			return "", false
		case text[i] == 'S':
			out.WriteString("[^" + unicodeSpace + "]")
		default:
			out.WriteByte(c)
			out.WriteByte(text[i])
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
