package tokenizer

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// metaspace is the character SentencePiece writes for a space.
const metaspace = "▁"

// piece is a run of text on its way to the model.
type piece struct {
	text  string
	first bool // it begins where the input begins
}

func normalizersOf(s *step) ([]func(string) string, error) {
	if s == nil {
		return nil, nil
	}
	switch s.Type {
	case "Sequence":
		var all []func(string) string
		for i := range s.Normalizers {
			more, err := normalizersOf(&s.Normalizers[i])
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	case "NFC":
		return []func(string) string{func(text string) string { return composed(text, norm.NFC) }}, nil
	case "NFKC":
		return []func(string) string{func(text string) string { return composed(text, norm.NFKC) }}, nil
	case "Prepend":
		return []func(string) string{func(text string) string {
			if text == "" {
				return text
			}
			return s.Prepend + text
		}}, nil
	case "Replace":
		if s.Pattern.String != "" {
			return []func(string) string{func(text string) string { return strings.ReplaceAll(text, s.Pattern.String, s.Content) }}, nil
		}
	}
	return nil, unsupported("normalizer", s.Type)
}

func splitsOf(s *step) ([]func([]piece) []piece, error) {
	if s == nil {
		return nil, nil
	}
	switch s.Type {
	case "Sequence":
		var all []func([]piece) []piece
		for i := range s.PreTokenizers {
			more, err := splitsOf(&s.PreTokenizers[i])
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
		return all, nil
	case "Split":
		if s.Pattern.Regex == "" || s.Invert || s.Behavior != "Isolated" && s.Behavior != "Removed" {
			return nil, unsupported("pre-tokenizer", "Split with behavior "+s.Behavior)
		}
		return splitBy(s.Pattern.Regex, s.Behavior == "Removed")
	case "Digits":
		if s.IndividualDigits {
			return splitBy(`\p{N}`, false)
		}
		return splitBy(`\p{N}+`, false)
	case "ByteLevel":
		return byteLevel(s)
	case "Metaspace":
		return []func([]piece) []piece{each(metaspaceOf(s))}, nil
	}
	return nil, unsupported("pre-tokenizer", s.Type)
}

// each makes a step that works on all pieces out of one that works on a piece.
func each(do func(piece) []piece) func([]piece) []piece {
	return func(in []piece) []piece {
		var out []piece
		for _, p := range in {
			out = append(out, do(p)...)
		}
		return out
	}
}

// splitBy cuts pieces at the matches of a pattern, which stand alone or are dropped.
func splitBy(source string, drop bool) ([]func([]piece) []piece, error) {
	pattern, err := compile(source)
	if err != nil {
		return nil, err
	}
	return []func([]piece) []piece{each(func(p piece) []piece {
		var out []piece
		add := func(from, to int) {
			if to > from {
				out = append(out, piece{p.text[from:to], p.first && from == 0})
			}
		}
		last := 0
		for last < len(p.text) {
			from, to, found := pattern.next(p.text, last)
			if !found {
				break
			}
			add(last, from)
			if !drop {
				add(from, to)
			}
			last = to
		}
		add(last, len(p.text))
		return out
	})}, nil
}

func byteLevel(s *step) ([]func([]piece) []piece, error) {
	var steps []func([]piece) []piece
	if unless(s.AddPrefixSpace, true) {
		steps = append(steps, each(func(p piece) []piece {
			if !strings.HasPrefix(p.text, " ") {
				p.text = " " + p.text
			}
			return []piece{p}
		}))
	}
	if unless(s.UseRegex, true) {
		split, err := splitBy(gpt2, false)
		if err != nil {
			return nil, err
		}
		steps = append(steps, split...)
	}
	return append(steps, each(func(p piece) []piece { return []piece{{toByteCharacters(p.text), p.first}} })), nil
}

func metaspaceOf(s *step) func(piece) []piece {
	mark := s.Replacement
	if mark == "" {
		mark = metaspace
	}
	scheme := s.PrependScheme
	switch {
	case scheme != "":
	case unless(s.AddPrefixSpace, true):
		scheme = "always"
	default:
		scheme = "never"
	}
	return func(p piece) []piece {
		text := strings.ReplaceAll(p.text, " ", mark)
		if !strings.HasPrefix(text, mark) && (scheme == "always" || scheme == "first" && p.first) {
			text = mark + text
		}
		if !unless(s.Split, true) {
			return []piece{{text, p.first}}
		}
		var out []piece
		last := 0
		for at := 1; at < len(text); at++ {
			if strings.HasPrefix(text[at:], mark) {
				out = append(out, piece{text[last:at], p.first && last == 0})
				last = at
			}
		}
		return append(out, piece{text[last:], p.first && last == 0})
	}
}
