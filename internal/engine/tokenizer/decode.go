package tokenizer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const replacement = "\uFFFD"

func decodersOf(s *step) ([]func([]string) []string, error) {
	if s == nil {
		return nil, nil
	}
	one := func(decode func([]string) []string) ([]func([]string) []string, error) {
		return []func([]string) []string{decode}, nil
	}
	switch s.Type {
	case "Sequence":
		var all []func([]string) []string
		for i := range s.Decoders {
			more, err := decodersOf(&s.Decoders[i])
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	case "ByteLevel":
		return one(decodeByteLevel)
	case "ByteFallback":
		return one(decodeByteFallback)
	case "Fuse":
		return one(func(parts []string) []string { return []string{strings.Join(parts, "")} })
	case "Strip":
		return one(mapped(func(_ int, part string) string { return strip(part, s.Content, s.Start, s.Stop) }))
	case "Replace":
		if s.Pattern.String != "" {
			return one(mapped(func(_ int, part string) string { return strings.ReplaceAll(part, s.Pattern.String, s.Content) }))
		}
	case "Metaspace":
		mark := s.Replacement
		if mark == "" {
			mark = metaspace
		}
		stripFirst := s.PrependScheme != "never" && unless(s.AddPrefixSpace, true)
		return one(mapped(func(i int, part string) string {
			part = strings.ReplaceAll(part, mark, " ")
			if i == 0 && stripFirst {
				part = strings.TrimPrefix(part, " ")
			}
			return part
		}))
	}
	return nil, unsupported("decoder", s.Type)
}

func mapped(decode func(i int, part string) string) func([]string) []string {
	return func(parts []string) []string {
		for i := range parts {
			parts[i] = decode(i, parts[i])
		}
		return parts
	}
}

func strip(part, content string, start, stop int) string {
	if content == "" {
		return part
	}
	for ; start > 0 && strings.HasPrefix(part, content); start-- {
		part = part[len(content):]
	}
	for ; stop > 0 && strings.HasSuffix(part, content); stop-- {
		part = part[:len(part)-len(content)]
	}
	return part
}

func decodeByteLevel(parts []string) []string {
	var all []byte
	for _, part := range parts {
		all = append(all, fromByteCharacters(part)...)
	}
	return []string{lossy(all)}
}

// decodeByteFallback joins runs of <0xNN> into characters. A run that is no UTF-8 gives one U+FFFD a byte, as the official
// library does.
func decodeByteFallback(parts []string) []string {
	var out []string
	var run []byte
	flush := func() {
		switch {
		case len(run) == 0:
		case utf8.Valid(run):
			out = append(out, string(run))
		default:
			out = append(out, strings.Repeat(replacement, len(run)))
		}
		run = run[:0]
	}
	for _, part := range parts {
		if b, ok := byteToken(part); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, part)
	}
	flush()
	return out
}

// byteToken reads "<0xNN>".
func byteToken(part string) (byte, bool) {
	if len(part) != 6 || part[:3] != "<0x" || part[5] != '>' {
		return 0, false
	}
	value, err := strconv.ParseUint(part[3:5], 16, 8)
	return byte(value), err == nil
}

// lossy gives bytes as text with one U+FFFD for each longest beginning of a character that does not go on, as Rust's
// String::from_utf8_lossy has it; Go's own conversion would give one a byte.
func lossy(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r != utf8.RuneError || size > 1 {
			out.Write(b[:size])
			b = b[size:]
			continue
		}
		out.WriteString(replacement)
		b = b[brokenLength(b):]
	}
	return out.String()
}

// brokenLength is how many bytes at the start of b could have begun one character (Unicode 15, table 3-7).
func brokenLength(b []byte) int {
	need, low, high := 0, byte(0x80), byte(0xBF)
	switch lead := b[0]; {
	case lead >= 0xC2 && lead <= 0xDF:
		need = 1
	case lead >= 0xE0 && lead <= 0xEF:
		need = 2
		if lead == 0xE0 {
			low = 0xA0
		} else if lead == 0xED {
			high = 0x9F
		}
	case lead >= 0xF0 && lead <= 0xF4:
		need = 3
		if lead == 0xF0 {
			low = 0x90
		} else if lead == 0xF4 {
			high = 0x8F
		}
	}
	length := 1
	for ; length <= need && length < len(b); length++ {
		if b[length] < low || b[length] > high {
			break
		}
		low, high = 0x80, 0xBF
	}
	return length
}

// byteCharacter gives the printable character that GPT-2's byte-level alphabet writes for a byte: itself where it is
// printable, else the next free one from U+0100.
func byteCharacter(b byte) rune {
	switch {
	case b >= '!' && b <= '~', b >= 0xA1 && b <= 0xAC, b >= 0xAE:
		return rune(b)
	case b <= ' ':
		return 0x100 + rune(b)
	case b <= 0xA0: // 0x7F … 0xA0
		return 0x100 + 0x21 + rune(b-0x7F)
	default: // 0xAD
		return 0x100 + 0x43
	}
}

// characterByte is the inverse of byteCharacter.
func characterByte(r rune) (byte, bool) {
	switch {
	case r >= '!' && r <= '~', r >= 0xA1 && r <= 0xAC, r >= 0xAE && r <= 0xFF:
		return byte(r), true
	case r >= 0x100 && r <= 0x120:
		return byte(r - 0x100), true
	case r >= 0x121 && r <= 0x142:
		return byte(r-0x121) + 0x7F, true
	case r == 0x143:
		return 0xAD, true
	}
	return 0, false
}

func toByteCharacters(text string) string {
	var out strings.Builder
	out.Grow(2 * len(text))
	for i := range len(text) {
		out.WriteRune(byteCharacter(text[i]))
	}
	return out.String()
}

// fromByteCharacters gives the bytes of a token; one with other characters is an added token and stands for itself.
func fromByteCharacters(token string) []byte {
	out := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := characterByte(r)
		if !ok {
			return []byte(token)
		}
		out = append(out, b)
	}
	return out
}
