// Package proof says whether an adapter does something, from what base and adapter expect to come next after the same texts.
//
// InService does not mean loaded, and a text that differs proves nothing: rounding alone changes some. So base and adapter
// are scored on the beginnings of six texts, several times in different batches, and the difference between them is held
// against the difference between repeats. The method and every constant were measured on vLLM (recordings/proof/README.md).
//
// The package is pure: it makes the texts, says in which order to ask, and judges. It asks nobody itself. It never asks for
// a prompt's own scores (echo), which in vLLM 0.11.2 ends the engine for everyone.
package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"unicode/utf8"
)

// Cuts is how many beginnings of each text are asked.
const Cuts = 8

// Logprobs is how many of the likeliest next tokens are compared.
const Logprobs = 5

// Text is a probe text and its beginnings, the shortest first.
type Text struct {
	Name string
	Cuts []string
}

// Set is the texts of one proof.
type Set struct {
	ID    string // digest of the beginnings: scores are compared within one set only
	Texts []Text
}

// The probe texts; the sixth, chat, is the base's own.
var texts = []struct{ name, text string }{
	{"prose", "The ferry left the island before sunrise, and only two passengers stood on deck. One of them held a wooden box with both hands. When the engine fell silent in the middle of the bay, the other began to laugh, quietly at first, and then she told the captain a story about her grandmother."},
	{"code", "def median(numbers):\n    \"\"\"Return the middle value of a list.\"\"\"\n    ordered = sorted(numbers)\n    half = len(ordered) // 2\n    if len(ordered) % 2:\n        return ordered[half]\n    return (ordered[half - 1] + ordered[half]) / 2\n\nassert median([3, 1, 2]) == 2\n"},
	{"json", `{"ticket": 20817, "reporter": {"name": "Ines Duarte", "team": "platform"}, "labels": ["billing", "urgent"], "steps": [{"at": "09:14", "action": "opened"}, {"at": "09:31", "action": "assigned"}], "resolved": false}`},
	{"chinese", "昨天晚上下了一场大雨，街上的树叶都被洗得很干净。早晨我骑自行车去上班，路过河边的时候看见几位老人在打太极拳。到了办公室，同事已经泡好了茶，我们一边喝茶一边讨论今天的计划。"},
	{"question", "Why does bread rise when it is baked, and what would happen to the dough if the yeast had been left out? Explain it so that a child of ten could follow, and name one other food in which the same thing takes place."},
}

// ChatPrompt is the user's message of the chat text.
const ChatPrompt = "What is the capital of France?"

// genericChat stands in where the base's template is not known.
const genericChat = "User: " + ChatPrompt + "\nAssistant: The capital of"

// Probes makes the set for a base. Chat is ChatPrompt in the base's own template with the beginning of an answer, or "" when
// it is not known. Texts are cut to half of the base's context, in tokens; 0 means it is not known, and 2,048 is taken. A
// token is at least a byte, so bytes are counted.
func Probes(chat string, contextTokens int) Set {
	if contextTokens <= 0 {
		contextTokens = 2048
	}
	if chat == "" {
		chat = genericChat
	}
	var set Set
	digest := sha256.New()
	for _, t := range append(texts[:len(texts):len(texts)], struct{ name, text string }{"chat", chat}) {
		text := Text{Name: t.name, Cuts: beginnings(firstBytes(t.text, contextTokens/2))}
		digest.Write([]byte(text.Name + "\x00" + strings.Join(text.Cuts, "\x00") + "\x00"))
		set.Texts = append(set.Texts, text)
	}
	set.ID = hex.EncodeToString(digest.Sum(nil))[:16]
	return set
}

// Prompts gives all beginnings in the order in which Judge wants their scores.
func (s Set) Prompts() []string {
	var all []string
	for _, t := range s.Texts {
		all = append(all, t.Cuts...)
	}
	return all
}

// beginnings cuts a text into growing parts of about the same step. The last is the whole.
func beginnings(text string) []string {
	cuts := make([]string, Cuts)
	for i := range cuts {
		cuts[i] = firstBytes(text, max(1, len(text)*(i+1)/Cuts))
	}
	return cuts
}

// firstBytes gives at most n bytes of text, and at least one character, ending between characters.
func firstBytes(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	if n == 0 {
		_, n = utf8.DecodeRuneInString(text)
	}
	return text[:n]
}

// Round is one pass over all prompts of one component: which prompts go together in one request, in which order.
type Round struct {
	Adapter bool // asked of the adapter, else of the base
	Batches [][]int
}

// sizes cut the prompts of each round into other batches: equal repeats would hide rounding.
var sizes = [][]int{{48}, {48}, {20, 28}, {28, 20}, {12, 24, 12}}

// Rounds gives the five rounds, base and adapter in turn, so that a drift of either is seen.
func Rounds(prompts int) []Round {
	rounds := make([]Round, len(sizes))
	for i := range rounds {
		rounds[i].Adapter = i%2 == 1
		order := rand.New(rand.NewPCG(uint64(i), 11)).Perm(prompts)
		for _, size := range sizes[i] {
			size = min(size, len(order))
			rounds[i].Batches = append(rounds[i].Batches, order[:size])
			order = order[size:]
		}
		if len(order) > 0 {
			rounds[i].Batches = append(rounds[i].Batches, order)
		}
	}
	return rounds
}
