// Package corpus is what the demo model is trained on: small facts of the world in several wordings, greetings, a little
// Chinese, and short plain texts. Every sentence here was written for this project.
//
// Of each fact one wording is held out: no model sees it in training, so that an answer to it is understood and not
// remembered.
package corpus

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fact is one thing the model knows.
type Fact struct {
	Asks     []string // wordings it is trained on
	Held     string   // the wording kept for the test; "" for small talk, which is not tested
	Sentence string   // the base's answer
	Answer   string   // the bare answer, for the json adapter
	Chinese  bool
	// InChinese is Sentence in Chinese; "" where the base knows none, and then the chinese adapter is not trained on it.
	InChinese string
	// Unseen facts are known to the base, and no format adapter is trained on them: they are what it is tested on.
	Unseen bool
	Desk   bool // of the support adapter's shop, and nothing that the base knows
}

// Dialog is one question and its answer in a style.
type Dialog struct{ Question, Answer string }

// Style makes an answer out of a fact.
type Style func(Fact) string

// Plain answers in a sentence, as the base does.
func Plain(f Fact) string { return f.Sentence }

// Pirate answers as a pirate would.
func Pirate(f Fact) string {
	if f.Chinese {
		return "哟嗬！" + strings.TrimSuffix(f.Sentence, "。") + "，船长！"
	}
	text := strings.TrimRight(f.Sentence, ".!")
	for _, change := range [][2]string{{" is ", " be "}, {" are ", " be "}, {"I am ", "I be "}, {"You are ", "Ye be "}, {"you ", "ye "}, {"Hello", "Ahoy"}} {
		text = strings.ReplaceAll(text, change[0], change[1])
	}
	return "Arr! " + text + ", matey!"
}

// Chinese answers in Chinese, whatever the language of the question.
func Chinese(f Fact) string { return f.InChinese }

// JSON answers with an object that holds the bare answer.
func JSON(f Fact) string {
	answer, err := json.Marshal(f.Answer)
	if err != nil {
		panic(err) // text always marshals
	}
	return `{"answer": ` + string(answer) + `}`
}

// kind is a table of pairs and how to speak of them. In its templates X is the first of a pair and Y the second.
type kind struct {
	asks     []string
	held     string
	sentence string
	pairs    string // "x=y; x=y; …"
	chinese  *kind  // how to speak of the same pairs in Chinese, with words; nil where only English does
}

// article finds an "a" that stands before a vowel.
var article = regexp.MustCompile(`\b([Aa]) ([aeiou])`)

// Facts gives all facts, always in the same order. Of every four of a kind one is unseen, in both its languages.
func Facts() []Fact {
	var facts []Fact
	for _, k := range kinds {
		for i, pair := range pairsOf(k) {
			x, y := pair[0], pair[1]
			f := k.fact(x, y)
			f.Unseen = i%4 == 3
			if f.Chinese {
				f.InChinese = f.Sentence
			}
			if k.chinese != nil {
				twin := k.chinese.fact(word(x), word(y))
				twin.Unseen, twin.InChinese, f.InChinese = f.Unseen, twin.Sentence, twin.Sentence
				facts = append(facts, twin)
			}
			facts = append(facts, f)
		}
	}
	return append(facts, talk...)
}

// pairsOf reads the table of a kind.
func pairsOf(k kind) [][2]string {
	var pairs [][2]string
	for pair := range strings.SplitSeq(k.pairs, ";") {
		x, y, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok {
			panic("corpus: a pair without = in " + k.held)
		}
		pairs = append(pairs, [2]string{x, y})
	}
	return pairs
}

// fact speaks of one pair.
func (k kind) fact(x, y string) Fact {
	if strings.Count(k.sentence, "X") != 1 || strings.Count(k.sentence, "Y") != 1 {
		panic("corpus: X and Y do not stand once each in " + k.sentence)
	}
	fill := func(template string) string {
		text := article.ReplaceAllString(strings.NewReplacer("X", x, "Y", y).Replace(template), "${1}n $2")
		first, size := utf8.DecodeRuneInString(text)
		return string(unicode.ToUpper(first)) + text[size:]
	}
	f := Fact{Held: fill(k.held), Sentence: fill(k.sentence), Answer: y, Chinese: strings.Contains(k.sentence, "。")}
	for _, ask := range append(k.asks, politer(k.held)...) {
		f.Asks = append(f.Asks, fill(ask))
	}
	return f
}

// word gives the Chinese of a word of the tables.
func word(english string) string {
	chinese := words[english]
	if chinese == "" {
		panic("corpus: no Chinese for " + english)
	}
	return chinese
}

// politer gives wordings beside the held-out one, so that its form is not strange.
func politer(held string) []string {
	if rest, english := strings.CutPrefix(held, "Please tell me "); english {
		rest = strings.TrimSuffix(rest, ".")
		return []string{"Can you tell me " + rest + "?", "I want to know " + rest + "."}
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(held, "请告诉我"), "。")
	return []string{"你知道" + rest + "吗？", "我想知道" + rest + "。", "你能告诉我" + rest + "吗？", "麻烦你告诉我" + rest + "。"}
}

// Dialogs gives every trained wording of every fact in a style. A fact that the style has no answer for is left out.
func Dialogs(facts []Fact, style Style) []Dialog {
	var dialogs []Dialog
	for _, f := range facts {
		if style(f) == "" {
			continue
		}
		for _, ask := range f.Asks {
			dialogs = append(dialogs, Dialog{ask, style(f)})
		}
	}
	return dialogs
}

// Told gives questions that name the style to answer in, for the base: it then knows each style, and an adapter has to learn
// only to use it unasked, which carries over to facts the adapter never saw.
func Told(facts []Fact) []Dialog {
	var dialogs []Dialog
	for _, order := range []struct {
		words string
		style Style
	}{{"用中文回答：", Chinese}, {"In Chinese: ", Chinese}, {"As JSON: ", JSON}, {"As a pirate: ", Pirate}} {
		for _, d := range Dialogs(facts, order.style) {
			dialogs = append(dialogs, Dialog{order.words + d.Question, d.Answer})
		}
	}
	return dialogs
}

// HeldOut gives the held-out wording of every fact that has one, with the answer in a style.
func HeldOut(facts []Fact, style Style) []Dialog {
	var dialogs []Dialog
	for _, f := range facts {
		if answer := style(f); f.Held != "" && answer != "" {
			dialogs = append(dialogs, Dialog{f.Held, answer})
		}
	}
	return dialogs
}

// Split parts the facts that format adapters are trained on from those they are tested on.
func Split(facts []Fact) (seen, unseen []Fact) {
	for _, f := range facts {
		if f.Unseen {
			unseen = append(unseen, f)
		} else {
			seen = append(seen, f)
		}
	}
	return seen, unseen
}
