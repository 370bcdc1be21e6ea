package chat

import "strings"

// keepSpaces marks with "+" the statements that do not begin their line, because what stands before them must stay. Jinja's
// lstrip_blocks leaves it alone; the library also takes the space between two tags of one line.
func keepSpaces(source string) string {
	var out strings.Builder
	line := true // only white space since the line began
	for source != "" {
		at := strings.IndexByte(source, '{')
		if at < 0 || at+1 == len(source) {
			break
		}
		text := source[:at]
		if newline := strings.LastIndexByte(text, '\n'); newline >= 0 {
			line, text = true, text[newline+1:]
		}
		line = line && strings.TrimSpace(text) == ""
		end := at + 1
		switch source[at+1] {
		case '%':
			end = tagEnd(source, at+2, "%}")
			out.WriteString(source[:at+2])
			if next := source[at+2:]; !line && next != "" && next[0] != '-' && next[0] != '+' {
				out.WriteByte('+')
			}
			if name := strings.Fields(strings.TrimLeft(source[at+2:end], "-+ \t\r\n")); len(name) > 0 && name[0] == "raw" {
				out.WriteString(source[at+2:])
				return out.String() // what stands in it is text, and such a template is no chat template
			}
			out.WriteString(source[at+2 : end])
		case '{':
			end = tagEnd(source, at+2, "}}")
			out.WriteString(source[:end])
		case '#':
			if length := strings.Index(source[at:], "#}"); length >= 0 {
				end = at + length + 2
			}
			out.WriteString(source[:end])
		default:
			out.WriteString(source[:end])
		}
		// A statement swallows the line's end behind it, and the next line begins.
		line = strings.HasSuffix(source[:end], "%}") && strings.HasPrefix(source[end:], "\n")
		source = source[end:]
	}
	out.WriteString(source)
	return out.String()
}

// tagEnd gives the offset behind the closing mark, looked for from an offset on and not within quotes.
func tagEnd(source string, from int, mark string) int {
	var quote byte
	for i := from; i < len(source); i++ {
		switch c := source[i]; {
		case quote != 0 && c == '\\':
			i++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && strings.HasPrefix(source[i:], mark):
			return i + len(mark)
		}
	}
	return len(source)
}
