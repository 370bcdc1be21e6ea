package tokenizer

import (
	"regexp/syntax"

	"loradeck/internal/lora"
)

// Bounds of a tokenizer.json, which comes with a base from anywhere. They keep memory in proportion to the text, and time but for a
// split pattern that looks far ahead and then matches little.
const (
	maxFile     = 128 << 20 // bytes. Gemma's, of 256k tokens, has 34 MB.
	maxID       = 1 << 22   // and with it the memory its table takes. The largest real vocabularies have 256k.
	maxAdded    = 1 << 10   // bytes of an added token
	maxAllAdded = 1 << 20   // bytes of all of them, each of which takes some forty of memory. Llama 3's 256 have 7 kB.
	maxSteps    = 32        // of a pipeline. Real ones have four at most.
	maxGrowth   = 128       // how many times longer a pipeline may make a text; Llama 2's may 12 times
	maxPattern  = 1 << 10   // instructions that a split pattern becomes; Llama 3's becomes 45
)

// within refuses pipelines that could make a text many times longer, or have many steps.
func within(f file) error {
	steps := 0
	for name, growth := range map[string]int{
		"normalizer and pre-tokenizer": growth(f.Normalizer, &steps) * growth(f.PreTokenizer, &steps), "decoder": growth(f.Decoder, &steps),
	} {
		if growth > maxGrowth {
			return lora.Errorf(lora.Invalid, "tokenizer.json has a %s that could make a text more than %d times longer.", name, maxGrowth)
		}
	}
	growth(f.PostProcessor, &steps)
	if steps > maxSteps {
		return lora.Errorf(lora.Invalid, "tokenizer.json has a pipeline of more than %d steps, which no real one has.", maxSteps)
	}
	return nil
}

// growth is how many times longer, in bytes, a step makes a text at most; past maxGrowth it counts no further. It adds to steps.
func growth(s *step, steps *int) int {
	if s == nil {
		return 1
	}
	*steps++
	most := 1
	switch s.Type {
	case "Sequence":
		for _, list := range [][]step{s.Normalizers, s.PreTokenizers, s.Processors, s.Decoders} {
			for i := range list {
				most = min(most*growth(&list[i], steps), maxGrowth+1)
			}
		}
	case "NFC":
		most = 3
	case "NFKC":
		most = 11
	case "Prepend":
		most = 1 + len(s.Prepend)
	case "Replace":
		most = max(1, len(s.Content))
	case "ByteLevel": // a space before a piece of one byte, and both written as two
		most = 4
	case "ByteFallback":
		most = 3
	case "Metaspace":
		most = 2 * max(len(metaspace), len(s.Replacement))
	}
	return min(most, maxGrowth+1)
}

// affordable reports whether a pattern, which is tried at every place of a text, is no larger than real ones are.
func affordable(pattern string) bool {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return true // and compiling it says why not
	}
	program, err := syntax.Compile(parsed.Simplify())
	return err != nil || len(program.Inst) <= maxPattern
}
