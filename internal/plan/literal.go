package plan

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// How long lines may get before they are broken where that can be done, in bytes. The texts stand in a narrow column: what a
// note says should be read without scrolling, and of a call at least how it is built.
const (
	noteWidth = 46
	callWidth = 56
)

// literal writes values. JSON and Python have the same braces, brackets and commas for what a call holds and differ in how
// they quote a string, so that is what a literal is.
type literal func(string) string

// write gives v as it stands after column characters of a line that is indented by indent.
func (quote literal) write(v Value, indent string, column int) string {
	if flat := quote.flat(v); column+len(flat) <= callWidth {
		return flat
	}
	deeper := indent + "  "
	var lines []string
	switch v := v.(type) {
	case Members:
		for _, m := range v {
			name := quote(m.Name) + ": "
			lines = append(lines, deeper+name+quote.write(m.Value, deeper, len(deeper)+len(name)))
		}
		return "{\n" + strings.Join(lines, ",\n") + "\n" + indent + "}"
	case List:
		for _, item := range v {
			lines = append(lines, deeper+quote.write(item, deeper, len(deeper)))
		}
		return "[\n" + strings.Join(lines, ",\n") + "\n" + indent + "]"
	default:
		return quote.flat(v)
	}
}

// flat gives v on one line.
func (quote literal) flat(v Value) string {
	var parts []string
	switch v := v.(type) {
	case Members:
		for _, m := range v {
			parts = append(parts, quote(m.Name)+": "+quote.flat(m.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case List:
		for _, item := range v {
			parts = append(parts, quote.flat(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Text:
		return quote(string(v))
	default:
		return quote("")
	}
}

// JSON gives the members as AWS's JSON protocols have them.
func (m Members) JSON() string { return literal(quoteJSON).write(m, "", 0) }

// quotePython gives a Python string literal. Go's escapes mean the same in Python as long as the text is valid UTF-8: of
// other bytes Go writes the byte and Python reads a character.
func quotePython(s string) string { return strconv.Quote(valid(s)) }

// valid puts U+FFFD for what is no UTF-8, which neither JSON nor Python can hold.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// quoteJSON gives a JSON string. What does not print is escaped, as encoding/json does not do with all of it: nobody sees in
// a terminal what that would do.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range valid(s) {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoteShell gives one word of a POSIX shell. No word can hold a NUL, so that becomes U+FFFD.
func quoteShell(s string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_./:@%+,-", r))
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	s = strings.ReplaceAll(valid(s), "\x00", "\uFFFD")
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// comment gives the numbered note above a call, on as many lines as it needs. Nothing in it can end a line.
func comment(number int, note string) string {
	seen := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, note)
	line := fmt.Sprintf("# %d ", number)
	indent := "#" + strings.Repeat(" ", len(line)-1)
	var b strings.Builder
	for _, word := range strings.Fields(seen) {
		if len(line)+1+len(word) > noteWidth && len(line) > len(indent) {
			b.WriteString(line + "\n")
			line = indent
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// spell gives an operation's name as boto3 (by "_") and the AWS CLI (by "-") spell it.
func spell(operation, by string) string {
	var b strings.Builder
	for i, r := range operation {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteString(by)
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// pause is how many seconds to wait before the next look: as seldom as AWS asks for, and often on this machine.
func pause(near bool) int {
	if near {
		return 1
	}
	return 15
}
