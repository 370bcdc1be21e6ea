package chat

import (
	"fmt"
	"strings"
	"time"
)

// strftime writes a time as Python's strftime does in the C locale, by the directives that dates in templates are made of.
func strftime(at time.Time, format string) (string, error) {
	layouts := map[rune]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'f': "", 'H': "15", 'I': "03", 'm': "01", 'M': "04",
		'p': "PM", 'S': "05", 'y': "06", 'Y': "2006", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'e': "_2", 'j': "002", '%': "%",
	}
	var out strings.Builder
	directive := false
	for _, r := range format {
		switch layout, known := layouts[r]; {
		case !directive && r == '%':
			directive = true
		case !directive:
			out.WriteRune(r)
		case !known:
			return "", fmt.Errorf("strftime_now does not know %%%c", r)
		case r == 'f':
			fmt.Fprintf(&out, "%06d", at.Nanosecond()/1000)
			directive = false
		default:
			out.WriteString(at.Format(layout))
			directive = false
		}
	}
	if directive {
		out.WriteByte('%')
	}
	return out.String(), nil
}
