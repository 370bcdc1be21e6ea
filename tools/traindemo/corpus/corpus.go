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
}

// article finds an "a" that stands before a vowel.
var article = regexp.MustCompile(`\b([Aa]) ([aeiou])`)

// Facts gives all facts, always in the same order.
func Facts() []Fact {
	var facts []Fact
	for _, k := range kinds {
		for _, pair := range strings.Split(k.pairs, ";") {
			x, y, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok {
				panic("corpus: a pair without = in " + k.held)
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
			facts = append(facts, f)
		}
	}
	return append(facts, talk...)
}

// politer gives wordings beside the held-out one, so that its form is not strange.
func politer(held string) []string {
	if rest, english := strings.CutPrefix(held, "Please tell me "); english {
		rest = strings.TrimSuffix(rest, ".")
		return []string{"Can you tell me " + rest + "?", "I want to know " + rest + "."}
	}
	rest := strings.TrimSuffix(strings.TrimPrefix(held, "请告诉我"), "。")
	return []string{"你知道" + rest + "吗？", "我想知道" + rest + "。"}
}

// Dialogs gives every trained wording of every fact in a style.
func Dialogs(facts []Fact, style Style) []Dialog {
	var dialogs []Dialog
	for _, f := range facts {
		for _, ask := range f.Asks {
			dialogs = append(dialogs, Dialog{ask, style(f)})
		}
	}
	return dialogs
}

// HeldOut gives the held-out wording of every fact that has one, with the answer in a style.
func HeldOut(facts []Fact, style Style) []Dialog {
	var dialogs []Dialog
	for _, f := range facts {
		if f.Held != "" {
			dialogs = append(dialogs, Dialog{f.Held, style(f)})
		}
	}
	return dialogs
}
