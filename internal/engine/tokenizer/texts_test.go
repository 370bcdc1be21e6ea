package tokenizer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// hand are texts on which tokenizers are known to differ from the official library.
var hand = []string{
	"", " ", "  ", "   ", "a", " a", "a ", "   a", "a   ", "a  b", "a   b    c", "Hello", " Hello", "Hello world", " Hello  world ",
	"\n", "\n\n", "\r\n", "\r\n\r\n", "\r\r", "\n\r", " \n", "\n ", " \n \n x", "x \n", "x\n y", "x \n\n  y", "\t\tx", "\tx\t", " \t \t", "x\n\n\n\n\ny", "\n\n\n\n\n\n",
	"1", "12", "123", "1234", "1234567", "3.14159 22/7", "1,000,000.00", "x1y22z333", "٣٤٥ १२३ ４５６", "²³¹ ½ Ⅷ ① ㊿", "1 2 3", " 123 456", "0x1F 1e-10",
	"HELLO it'S I'LL don't", "'s't're've'm'll'd", "'S'T'RE'VE'M'LL'D", "'ſ ’s it’s", "'''s", "x's y'LL z'Ve", " 's", "'sun 'Tis", "i'm'", "we'dn't've",
	"...!?", " ...\n\n", "!!!\r\n\r\n?", "a_b-c+d=e", "$%^&*()", "#!/bin/sh\n", "-- --- ----", "«a» “b” ‘c’", "@user#tag", "a.b.c.d", "e.g., i.e.; etc...", "<<>>", "\\n\\t\\\\",
	"\u00a0x\u2003y\u2028z", "a\u0085b", "\u3000\u3000x", "x\u3000\u3000\u3000", "\u2007a\u202fb\u205fc\u1680d", "a\u200bb\u2060c\ufeffd", "\u180ex", "a\u00a0 b", " \u00a0a", "\v\fx",
	"e\u0301 \u00e9 \u1e9b\u0323 \u212b", "cafe\u0301!", "caf\u00e9!", "xcafe\u0301!x", "\u1100\u1161\u11a8 \uac01", "\ufb01 \u2167", "a\u0315\u0300\u05ae\u0300b", "q\u0307\u0323 q\u0323\u0307", "\u0301alone", "\u0f73\u0f75", "\u0958\u09dc", "\u2126 \u212a",
	"a\u1c89b \u1c8a", "\U0001ccf0\U0001ccf1x", "x\U0002ebf0。", "zap\u0897", "zap\U00016130", "zap\u1c89", "a\u1715\u033a", "e\u1dfa\u0323", "\U00011935\U00011930", "\u09fe\u09bc", "x\U0001e08f\u0323\U0001e08f",
	"\u00e9t\u00e9", "e\u0301te\u0301", "x\u00e9t\u00e9", "\u00e9t\u00e9.", "\u00e9t\u00e9\u0301", "l'\u00e9t\u00e9 ", "été_", "été‿été", "été²", "été①", "Ⓐété", "été\u200d", "\u200cété", "ⅷété", "été٣",
	"عربي مع אבג", "नमस्ते ไทย", "สวัสดี ชาวโลก", "今天天气很好", "今天天气怎么样？好。", "こんにちは、世界", "안녕하세요 세계", "ᄒᆞᆫ글", "𠀀𠀁 𪚥", "Ж жук", "ΑΒΓ αβγς", "ǅ ǆ", "ß ẞ ﬀ",
	"🙂", "🙂🙂", "👩‍👩‍👧", "👍🏽", "🏴\U000e0067\U000e007f", "🇫🇷🇩🇪", "❤️", "❤", "👩🏿‍💻", "1️⃣", "a🙂b", " 🙂 ", "🦊🦊 🦊", "x🦊y",
	"\x00", "\x00\x01\x7f", "a\x00b", "\x1b[31mred\x1b[0m", "\u0080\u009f", "\u00ad", "\ufffd", "x\ufffdy", "\U0010ffff", "\ue000", "\ufdd0", "\U000f0000", "\\ud83d\\ude42", `"\ud800"`,
	"▁", "▁▁x", "▁ ▁ x", "a▁b", "Ġx Ċ ĉ", "Ġ", "ÿ Ā ā", "Ńń", "<0x41>", "<0x0A><0xE4>", "<unk>", " <unk> ", "<s>", "<s>hi</s>", " <s> hi", "a<s>", "<s><s>", "<|endoftext|>", "x<|endoftext|>y", " <|endoftext|> ",
	"<|begin_of_text|>hi<|eot_id|> x", "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<repo_name>a/b<file_sep>c", "[INST] hi [/INST]", "<|im_start", "|im_end|>", "< s>", "<S>",
	"a <left> b", "a  <left>", "<left>", " <left> <left> ", "\n <left>", "\u00a0<left>", "a<left>b", "a <right> b", "<right>   b", "<right>\n\n b", "a <both> b", "  <both>  ", "<both><both>", "a <both> <left> <right> c", "<right> <left>", "<right>  <both>  <right>  x", "<right>\u3000\u3000x", "\u3000\u3000<left>",
	"a <mask> b", "<mask>", "  <mask>  ", "<mask><mask>", "a<mask>", " \u2003<mask>", "▁<mask>", "▁▁<mask> x",
	"zap", "zap zap", "zaps", "xzap", "zap.", " zap ", "zap_", "_zap", "zapper", "zappers", " zapper ", "xzapper", "zapper zapper", "zapzap", "za", "zaza", "zapp", "zap\u0301", "zap1", "zap²", "zap①", "zapⅧ", "zap\u200d", "zap-zap", "zap今", "(zap)", "zapper\n", "xzapper  zap",
	"two words", "xtwo wordsx", "two  words", "two▁words", " two words ", "two\u00a0words", "<tool_call>", "<tool_call>x", "<tool_call>xy", "<tool_call><tool_call>x", " lead", "lead", "  lead", "x lead", "<right> lead", "<both> lead x",
	"https://example.org/a/b?c=d&e=f#g", "me@example.org", "for i in range(10):\n    print(i)\n", "if (a) {\n\t\treturn b;\n}\n\n", `{"a": [1, 2, {"b": null}]}`, "SELECT * FROM t WHERE a >= 1;", "<p class=\"x\">A &amp; B</p>", "a = b ** 2 // 3 % 4", "def f(x): return x+1", "// TODO: fix\r\n", "```go\nfunc main() {}\n```",
	"The quick brown fox jumps over the lazy dog.", "THE QUICK BROWN FOX", "internationalization antidisestablishmentarianism", "supercalifragilisticexpialidocious", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabcabcabc",
}

// spaces are all kinds of white space, some that only look like it, and the ends of lines.
var spaces = []string{
	" ", "\t", "\n", "\r", "\r\n", "\v", "\f", "\u0085", "\u00a0", "\u1680", "\u2000", "\u2003", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000",
	"\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\x1c", "\x1f", "▁", "Ġ", "\u2800", "\u3164", "\u115f",
}

// fragments are what random texts are put together from.
var fragments = append([]string{
	"a", "the", "The", "THE", " the", "ing", "é", "e\u0301", "ß", "'s", "'S", "'ll", "'LL", "’s", "n't", "1", "12", "123", "2024", "٣", "²", "½", "Ⅷ", ".", "...", ",", "!", "?!", "-", "_", "(", ")", "{", "}", "\"", "'", "`", "<", ">", "/", "\\", "=", "=>", "+", "#", "@", "$", "%",
	"今", "天气", "你好", "，", "。", "あ", "カ", "한", "ᄒ", "ᅡ", "ᆫ", "ж", "Ω", "α", "ع", "ש", "न", "्", "ไ", "𝒳", "𠀀", "🙂", "👍", "🏽", "👩", "\u200d", "💻", "\ufe0f", "🇫", "🇷", "🦊", "\u0301", "\u0323", "\u0308", "\u20e3", "\x00", "\x7f", "\u00ad", "\ufffd", "\U0010ffff", "\ue001", "\u0378",
	"<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<left>", "<right>", "<both>", "<mask>", "zap", "zapper", "za", "caf\u00e9!", "cafe\u0301!", "two words", "été", "<tool_call>", "<tool_call>x", " lead", "<0x41>", "<0xE4>",
	" hello", "world", "return", "func", "print(", "://", "www.", "  ", "    ", "\n\n", "\n\n\n\n\n", "\t\t", "\u3000\u3000",
}, spaces...)

// texts gives what tokenizers are compared on, always the same for a seed: what is known to be hard, every kind of space at every
// kind of place, runs of many lengths, and so many random ones.
func texts(seed uint64, random int) []string {
	all := append([]string{}, hand...)
	for _, space := range spaces {
		for _, form := range []string{"%s", "%[1]s%[1]s", "a%sb", "a%[1]s%[1]sb", "a%[1]s%[1]s%[1]s1", "%sa", "a%s", " %s", "%s ", "\n%sx", "x%s\n", "zap%szap", "a %s<left>", "<right>%s b", ".%s!", "'%ss"} {
			all = append(all, fmt.Sprintf(form, space))
		}
	}
	for _, unit := range []string{"a", "ab", "the ", " ", "\n", "\r\n", "\t", "1", "!", "é", "e\u0301", "今", "🙂", "👩‍💻", "\u0301", "\u200d", "▁", "<s>", "zap", "zap ", "'s", "\x00", "\u00a0", " \n", "a\n"} {
		for _, times := range []int{3, 17, 64, 500} {
			all = append(all, strings.Repeat(unit, times), "x"+strings.Repeat(unit, times)+"y")
		}
	}
	draw := rand.New(rand.NewPCG(seed, 5))
	for range random {
		var text strings.Builder
		for range 1 + draw.IntN(24) {
			switch draw.IntN(10) {
			case 0: // any character
				if r := rune(draw.IntN(utf8.MaxRune + 1)); utf8.ValidRune(r) {
					text.WriteRune(r)
				}
			case 1: // one of the first planes' letters, marks and signs
				text.WriteRune(rune(0x20 + draw.IntN(0x3000)))
			default:
				text.WriteString(fragments[draw.IntN(len(fragments))])
			}
		}
		all = append(all, text.String())
	}
	return all
}

// sequences gives lists of ids below top as a model may make them: bytes that are no text, special tokens anywhere.
func sequences(seed uint64, top, count int) [][]int {
	draw := rand.New(rand.NewPCG(seed, 6))
	all := make([][]int, count)
	for i := range all {
		all[i] = make([]int, 1+draw.IntN(20))
		low := top
		if i%2 == 0 {
			low = 300 // where bytes are
		}
		for j := range all[i] {
			all[i][j] = draw.IntN(min(low, top))
		}
	}
	return all
}
