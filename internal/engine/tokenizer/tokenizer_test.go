package tokenizer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine/tokenizer"
	"loradeck/internal/lora"
)

var families = []string{"llama", "mistral", "qwen2"}

func open(t testing.TB, family string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Open(filepath.Join("..", "testdata", family, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// golden is the part of expected.json, written by the real library, that concerns this package.
type golden struct {
	Tokenizer []struct {
		Text        string `json:"text"`
		IDs         []int  `json:"ids"`
		Plain       []int  `json:"ids_plain"`
		Decoded     string `json:"decoded"`
		DecodedSkip string `json:"decoded_skip"`
	} `json:"tokenizer"`
}

func TestIdsAndTextsAreThoseOfTheOfficialLibrary(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		tok := open(t, family)
		raw, err := os.ReadFile(filepath.Join("..", "testdata", family, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want golden
		if err := json.Unmarshal(raw, &want); err != nil || len(want.Tokenizer) < 20 {
			t.Fatalf("%s: %d cases, %v", family, len(want.Tokenizer), err)
		}
		for _, c := range want.Tokenizer {
			if diff := cmp.Diff(c.IDs, append([]int{}, tok.Encode(c.Text, true)...)); diff != "" {
				t.Errorf("%s: ids of %q (-want +got):\n%s", family, c.Text, diff)
			}
			if diff := cmp.Diff(c.Plain, append([]int{}, tok.Encode(c.Text, false)...)); diff != "" {
				t.Errorf("%s: plain ids of %q (-want +got):\n%s", family, c.Text, diff)
			}
			if got := tok.Decode(c.IDs, false); got != c.Decoded {
				t.Errorf("%s: decoded: got %q, want %q", family, got, c.Decoded)
			}
			if got := tok.Decode(c.IDs, true); got != c.DecodedSkip {
				t.Errorf("%s: decoded without special tokens: got %q, want %q", family, got, c.DecodedSkip)
			}
			stream, streamed := tok.Stream(true), ""
			for _, id := range c.IDs {
				text := stream.Next(id)
				if !utf8.ValidString(text) || strings.HasSuffix(text, "\uFFFD") {
					t.Errorf("%s: the stream of %q gave half a character: %q", family, c.Text, text)
				}
				streamed += text
			}
			if streamed += stream.Flush(); streamed != c.DecodedSkip {
				t.Errorf("%s: streamed: got %q, want %q", family, streamed, c.DecodedSkip)
			}
		}
	}
}

func TestWhatIsNotSupportedFailsWithItsName(t *testing.T) {
	t.Parallel()
	model := `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	tests := map[string]string{ // file → what the sentence names
		`{`:                            "JSON",
		`{"model":{"type":"Unigram"}}`: "Unigram",
		`{"model":{"type":"BPE"}}`:     "BPE",
		`{"normalizer":{"type":"Lowercase"},` + model + `}`:                                                    "Lowercase",
		`{"pre_tokenizer":{"type":"Whitespace"},` + model + `}`:                                                "Whitespace",
		`{"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(?<=a)b"}},` + model + `}`: "(?<",
		`{"pre_tokenizer":{"type":"Split","behavior":"MergedWithNext","pattern":{"Regex":"a"}},` + model + `}`: "MergedWithNext",
		`{"post_processor":{"type":"BertProcessing"},` + model + `}`:                                           "BertProcessing",
		`{"decoder":{"type":"WordPiece"},` + model + `}`:                                                       "WordPiece",
		`{"model":{"type":"BPE","vocab":{"a":-1}}}`:                                                            "range",
		`{"model":{"type":"BPE","vocab":{"a":99999999}}}`:                                                      "range",
		`{"added_tokens":[{"id":-4,"content":"x"}],` + model + `}`:                                             "range",
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a c"]}}`:                                            `"c"`,
		`{"model":{"type":"BPE","vocab":{"a":0},"merges":[7]}}`:                                                "number 0",
		`{"model":{"type":"BPE","vocab":{"a":0},"dropout":0.1}}`:                                               "dropout",
	}
	for text, want := range tests {
		_, err := tokenizer.Parse([]byte(text))
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), want) {
			t.Errorf("%s: got %v, want a sentence with %q", text, err, want)
		}
	}
	if _, err := tokenizer.Open(filepath.Join(t.TempDir(), "none")); lora.KindOf(err) != lora.Invalid {
		t.Errorf("missing file: got %v", err)
	}
}

func TestLongWordsAreNotQuadratic(t *testing.T) {
	t.Parallel()
	tok := open(t, "llama")
	for _, text := range []string{strings.Repeat("the", 60_000), strings.Repeat(" ", 200_000), strings.Repeat("🙂", 20_000)} {
		if got := tok.Decode(tok.Encode(text, false), false); got != text {
			t.Errorf("%d bytes come back as %d", len(text), len(got))
		}
	}
}

// Added tokens that are white space and swallow more of it: looking at a run anew for each of its tokens would take minutes.
func TestTokensOfWhiteSpaceAreNotQuadratic(t *testing.T) {
	t.Parallel()
	for name, added := range map[string]string{
		"on the left":                `{"id":3,"content":" ","lstrip":true}`,
		"on the right":               `{"id":3,"content":" ","rstrip":true}`,
		"on the right, now and then": `{"id":3,"content":" ","rstrip":true},{"id":4,"content":"\t"}`,
	} {
		tok, err := tokenizer.Parse([]byte(`{"added_tokens":[` + added + `],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat(" \t", 1<<18)
		if ids := tok.Encode(text+"ab", false); ids[0] != 3 || ids[len(ids)-1] != 2 {
			t.Errorf("%s: got %d ids, from %d to %d", name, len(ids), ids[0], ids[len(ids)-1])
		}
	}
}

// What texts without end of one kind cost: a quadratic step anywhere would take hours.
func BenchmarkWorst(b *testing.B) {
	const size = 1 << 20
	for _, name := range []string{"llama3", "smollm2", "qwen2", "llama2"} {
		tok := pipeline(b, name)
		for kind, unit := range map[string]string{
			"letter": "a", "spaces": " ", "newlines": "\n", "emoji": "🙂", "marks": "\u0301", "words": "hello world, ", "tokens": "<left>", "almost": "<lef", "swallowed": " <right> ",
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				text := strings.Repeat(unit, size/len(unit))
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					tok.Encode(text, false)
				}
			})
		}
	}
}

// Bytes that are no text, as a model may write them without end, must neither be held back to the end nor take ever longer.
func TestStreamsOfBrokenBytesGoOn(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"llama", "qwen2"} {
		tok := open(t, family)
		for _, broken := range []string{"\xf3", "\xe6\x80", "\xf0\x9f\x99", "\xe6\xf3\x9f"} {
			ids := tok.Encode(strings.Repeat(broken, 10_000), false)
			stream := tok.Stream(false)
			var streamed strings.Builder
			for _, id := range ids {
				streamed.WriteString(stream.Next(id))
			}
			held := stream.Flush()
			if got, want := streamed.String()+held, tok.Decode(ids, false); got != want || len(held) > 200 {
				t.Errorf("%s: %q: streamed %d bytes and held back %d of %d, equal: %t", family, broken, streamed.Len(), len(held), len(want), got == want)
			}
		}
	}
}

// Each of these means something else to Go than to the library that the files are written for.
func TestAPatternThatGoTakesOtherwiseIsRefused(t *testing.T) {
	t.Parallel()
	parse := func(pattern string) error {
		regex, err := json.Marshal(pattern)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tokenizer.Parse([]byte(`{"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":` + string(regex) + `}},"model":{"type":"BPE","vocab":{"a":0}}}`))
		return err
	}
	for pattern, construct := range map[string]string{
		`\d+`: `\d`, `\w`: `\w`, `a\b`: `\b`, `\P{L}`: `\P`, `[\S]`: `\S`, `[a\d]`: `\d`, `^a`: `^`, `a$`: `$`, `[a[bc]]`: `[`, `[a-z&&b]`: `&&`, `[]a]`: `[]`, `[^]a]`: `[^]`,
		`a++`: `++`, `a*+`: `*+`, `a?+b`: `?+`, `a{,3}`: `{,`, `(?=a)`: `(?=`, `(?<!a)b`: `(?<`, `(?>a)`: `(?>`, `(?m:a.b)`: `(?m`, `(?-i:a)`: `(?-`, `(?is:a)`: `(?is`, `a*|b`: "it matches where nothing stands",
	} {
		if err := parse(pattern); lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "support: "+construct+".") {
			t.Errorf("%s: got %v, want a refusal of %s", pattern, err, construct)
		}
	}
	for _, pattern := range []string{
		`\++|\^\$|[\[^$(?+]|[^\]&]{1,3}`, `(?i:'s|'t)|(?:\r\n|\x{85})`,
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`, // Mistral Nemo's
		"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*",           // DeepSeek's
	} {
		if err := parse(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// Ids that have no part in the text, as a model may write them without end, are not looked at again and again, and part no bytes of one
// character or run.
func TestStreamsPassOverIdsWithoutText(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		tok := open(t, family)
		silent := []int{tok.Vocab()}
		for id := range tok.Vocab() {
			if tok.Special(id) {
				silent = append(silent, id)
			}
		}
		stream := tok.Stream(true)
		var ids []int
		var streamed strings.Builder
		for _, id := range tok.Encode("a 🙂\xf3b", false) {
			for range 20_000 / len(silent) {
				for _, id := range silent {
					streamed.WriteString(stream.Next(id))
				}
			}
			ids = append(append(ids, silent...), id)
			streamed.WriteString(stream.Next(id))
			if want := tok.Decode(ids, true); !strings.HasPrefix(want, streamed.String()) {
				t.Errorf("%s: streamed %q, which is no beginning of %q", family, streamed.String(), want)
			}
		}
		streamed.WriteString(stream.Flush())
		if want := tok.Decode(ids, true); streamed.String() != want {
			t.Errorf("%s: streamed %q, want %q", family, streamed.String(), want)
		}
	}
}

// Small files that could take all memory or all time.
func TestNoFileTakesTheProgramDown(t *testing.T) {
	t.Parallel()
	model := `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}`
	sequence := func(kind, members, step string) string {
		return `{"` + kind + `":{"type":"Sequence","` + members + `":[` + strings.Repeat(step+",", 29) + step + `]},` + model + `}`
	}
	for name, text := range map[string]string{
		"replacing that doubles": sequence("normalizer", "normalizers", `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`),
		"bytes of bytes":         sequence("pre_tokenizer", "pretokenizers", `{"type":"ByteLevel"}`),
		"a decoder that doubles": sequence("decoder", "decoders", `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`),
		"a long prefix":          `{"normalizer":{"type":"Prepend","prepend":"` + strings.Repeat("a", 1000) + `"},` + model + `}`,
		"many steps":             `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[` + strings.Repeat(`{"type":"Digits"},`, 99) + `{"type":"Digits"}]},` + model + `}`,
		"a large pattern":        `{"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"((a{100}){100}){100}"}},` + model + `}`,
		"a quite large pattern":  `{"pre_tokenizer":{"type":"Split","behavior":"Isolated","pattern":{"Regex":"(\\p{L}{90}){90}"}},` + model + `}`,
		"a long added token":     `{"added_tokens":[{"id":3,"content":"` + strings.Repeat("a", 2000) + `"}],` + model + `}`,
		"many added tokens":      `{"added_tokens":[` + strings.Repeat(`{"id":3,"content":"`+strings.Repeat("a", 1000)+`"},`, 1100) + `{"id":3,"content":"a"}],` + model + `}`,
		"an endless token table": `{"model":{"type":"BPE","vocab":{"a":2000000000}}}`,
	} {
		if _, err := tokenizer.Parse([]byte(text)); lora.KindOf(err) != lora.Invalid {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	tok, err := tokenizer.Parse([]byte(`{"decoder":{"type":"Strip","content":"a","start":2000000000,"stop":2000000000},` + model + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode([]int{0, 0, 1, 2, 1}, false); got != "bbb" {
		t.Errorf("stripped: got %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"added_tokens":[{"id":3,"content":"x","special":true,"lstrip":true}],"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"Strip","content":" ","start":2}}`), "ab x ba")
	f.Add([]byte(`{"model":{"vocab":{"<0x61>":0,"▁":1},"byte_fallback":true,"unk_token":"▁"},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"}]},"normalizer":{"type":"Prepend","prepend":"▁"}}`), "ab\xff é")
	f.Add([]byte(`{"added_tokens":[{"id":9,"content":" x","normalized":true,"single_word":true,"rstrip":true}],"model":{"vocab":{"a":0},"unk_token":"a","fuse_unk":true,"ignore_merges":true},"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"NFKC"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","behavior":"Removed","pattern":{"Regex":"[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"}},{"type":"Digits","individual_digits":true}]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}],"special_tokens":{"a":{"ids":[0]}}},"decoder":{"type":"Metaspace"}}`), " x  x1\u0301 ")
	f.Fuzz(func(t *testing.T, file []byte, text string) {
		if len(text) > 1<<12 {
			return
		}
		tok, err := tokenizer.Parse(file)
		if err != nil {
			if lora.KindOf(err) != lora.Invalid {
				t.Errorf("refused without a sentence: %v", err)
			}
			return
		}
		ids := tok.Encode(text, true)
		if most := 1000*(len(text)+1) + len(file); len(ids) > most {
			t.Errorf("%d bytes became %d ids", len(text), len(ids))
		}
		tok.Decode(ids, true)
		stream := tok.Stream(true)
		for _, id := range ids {
			if id < 0 || id >= tok.Vocab() {
				t.Fatalf("got the id %d of %d", id, tok.Vocab())
			}
			stream.Next(id)
		}
		stream.Flush()
	})
}

func FuzzEncode(f *testing.F) {
	var all []*tokenizer.Tokenizer
	for _, family := range families {
		all = append(all, open(f, family))
	}
	f.Add("Hello \u00e9\U0001F642 <|im_end|> </s>\xff\n\n  x")
	f.Fuzz(func(t *testing.T, text string) {
		for i, tok := range all {
			ids := tok.Encode(text, false)
			got := tok.Decode(ids, false)
			// Llama's pipeline changes nothing on the way, so valid text must come back as it went.
			if i == 0 && utf8.ValidString(text) && got != text {
				t.Errorf("%q → %v → %q", text, ids, got)
			}
			stream, streamed := tok.Stream(false), ""
			for _, id := range ids {
				streamed += stream.Next(id)
			}
			if streamed += stream.Flush(); i == 0 && utf8.ValidString(text) && streamed != got {
				t.Errorf("streamed %q, decoded %q", streamed, got)
			}
		}
	})
}
