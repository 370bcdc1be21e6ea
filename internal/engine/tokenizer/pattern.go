package tokenizer

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"loradeck/internal/lora"
)

// gpt2 is the split pattern that ByteLevel uses when the file gives none.
const gpt2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// pattern runs a split pattern on Go's linear-time regexp. Three things of real patterns differ from the engine the files are written
// for: \s must be Unicode's white space, \p{L} and \p{N} those of a later Unicode (other classes are Go's), and there is no look-ahead.
// The only look-ahead that real tokenizers use is that of `\s+(?!\S)|\s+`, so it is taken out and done by hand: white space that is
// followed by something keeps its last character for the next match.
type pattern struct {
	re    *regexp.Regexp
	space int // capture group of that alternative, -1 when the pattern has none
}

const (
	lookAhead    = `\s+(?!\S)|\s+`
	unicodeSpace = `\t-\r\x{85}\p{Z}`
)

// What Go takes for something else than the official library does, or does not have: letters behind a backslash but for those of
// widen and of single characters, anchors, empty classes, possessive repetition, a range without its beginning, groups that look around
// or set options; in a class another one and what two share.
var (
	foreign        = regexp.MustCompile(`^(?:\\[0-9A-RT-Za-eg-moquwyz]|\^|\$|\[\^?\]|[+*?]\+|\{,|\(\?(?:[^:iP]|i[^:]))`)
	foreignInClass = regexp.MustCompile(`^(?:\\[0-9A-Za-eg-moquwyz]|\[|&&)`)
)

func compile(source string) (*pattern, error) {
	refuse := func(why string) error {
		return lora.Errorf(lora.Invalid, "tokenizer.json splits by the pattern %q, which this engine does not support: %s.", source, why)
	}
	text := source
	if before, after, found := strings.Cut(text, lookAhead); found {
		text = before + `(?P<space>\s+)` + after
	}
	translated, construct := widen(text)
	if construct != "" {
		return nil, refuse(construct)
	}
	if !affordable(translated) {
		return nil, refuse("it is larger than any real one")
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, refuse(err.Error())
	}
	if re.MatchString("") {
		return nil, refuse("it matches where nothing stands")
	}
	return &pattern{re: re, space: re.SubexpIndex("space")}, nil
}

// widen makes \s, \S, \p{L} and \p{N} mean what they mean to the official library. Of a pattern that has something foreign it gives that.
func widen(text string) (translated, construct string) {
	var out strings.Builder
	inside := false // a class
	class := func(members string) {
		if !inside {
			members = "[" + members + "]"
		}
		out.WriteString(members)
	}
	for size := 0; text != ""; text = text[size:] {
		refused := foreign
		if inside {
			refused = foreignInClass
		}
		if construct = refused.FindString(text); construct != "" {
			return "", construct
		}
		switch {
		case strings.HasPrefix(text, `\s`):
			size = 2
			class(unicodeSpace)
		case strings.HasPrefix(text, `\S`):
			size = 2
			out.WriteString("[^" + unicodeSpace + "]")
		case strings.HasPrefix(text, `\p{L}`):
			size = 5
			class(`\p{L}` + members(letters16))
		case strings.HasPrefix(text, `\p{N}`):
			size = 5
			class(`\p{N}` + members(numbers16))
		case text[0] == '\\' && len(text) > 1, !inside && strings.HasPrefix(text, "[^"):
			size = 2
			inside = inside || text[0] == '['
			out.WriteString(text[:2])
		default:
			size = 1
			inside = text[0] == '[' || inside && text[0] != ']'
			out.WriteByte(text[0])
		}
	}
	return out.String(), ""
}

// next gives the first match at or after from, where the last one ended.
func (p *pattern) next(text string, from int) (start, end int, found bool) {
	match := p.re.FindStringSubmatchIndex(text[from:])
	if match == nil {
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
