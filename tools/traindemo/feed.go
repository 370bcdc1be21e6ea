package main

import (
	"math/rand/v2"

	"loradeck/internal/engine/tokenizer"
	"loradeck/tools/traindemo/corpus"
	"loradeck/tools/traindemo/train"
)

// Special tokens, the last of the vocabulary.
const (
	endOfText = "<|endoftext|>"
	turnStart = "<|im_start|>"
	turnEnd   = "<|im_end|>"
)

var specials = []string{endOfText, turnStart, turnEnd}

// chatTemplate is ChatML, as the corpus writes conversations.
const chatTemplate = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

const systemPrompt = "You are a helpful assistant."

// feed makes batches: documents in a random order, each a conversation of one to three questions, a bare question with its
// answer, or a plain text, packed one after another into sequences that begin with a whole document.
type feed struct {
	dialogs     [][2][]int // question turn and answer, as tokens
	bare        [][2][]int // the same without a template, as a completion's prompt is: question, and the answer on the next line
	plain       [][]int
	system      []int
	open        []int // what begins an answer
	end         int
	random      *rand.Rand
	bareOf      int  // one of so many dialogs is asked bare
	answersOnly bool // learn from answers and not from questions
}

func newFeed(tok *tokenizer.Tokenizer, dialogs []corpus.Dialog, plain []string, seed uint64) *feed {
	f := &feed{random: rand.New(rand.NewPCG(seed, 3)), bareOf: 4}
	turn := func(role, text string) []int { return tok.Encode(turnStart+role+"\n"+text+turnEnd+"\n", false) }
	for _, d := range dialogs {
		f.dialogs = append(f.dialogs, [2][]int{turn("user", d.Question), tok.Encode(d.Answer+turnEnd, false)})
		f.bare = append(f.bare, [2][]int{tok.Encode(d.Question, false), tok.Encode("\n"+d.Answer+endOfText, false)})
	}
	f.open = tok.Encode(turnStart+"assistant\n", false)
	f.system = turn("system", systemPrompt)
	f.end, _ = tok.ID(endOfText)
	for _, text := range plain {
		f.plain = append(f.plain, tok.Encode(text, false))
	}
	return f
}

// document gives the next document and the weight of each of its tokens as something to predict.
func (f *feed) document() (tokens []int, weights []float32) {
	add := func(part []int, weight float32) {
		for _, id := range part {
			tokens, weights = append(tokens, id), append(weights, weight)
		}
	}
	asked := float32(1)
	if f.answersOnly {
		asked = 0
	}
	switch {
	case len(f.plain) > 0 && f.random.IntN(4) == 0:
		add(f.plain[f.random.IntN(len(f.plain))], 1)
	case f.random.IntN(f.bareOf) == 0:
		d := f.bare[f.random.IntN(len(f.bare))]
		add(d[0], asked)
		add(d[1], 1)
		return tokens, weights
	default:
		if f.random.IntN(8) == 0 {
			add(f.system, asked)
		}
		for range 1 + f.random.IntN(3) {
			d := f.dialogs[f.random.IntN(len(f.dialogs))]
			add(d[0], asked)
			add(f.open, asked)
			add(d[1], 1)
			add([]int{d[0][len(d[0])-1]}, asked) // the line end after a turn
		}
	}
	add([]int{f.end}, asked)
	return tokens, weights
}

// next makes a batch.
func (f *feed) next() train.Batch {
	var b train.Batch
	for range batch {
		var tokens []int
		var weights []float32
		for len(tokens) < length+1 {
			more, their := f.document()
			tokens, weights = append(tokens, more...), append(weights, their...)
		}
		b.Tokens = append(b.Tokens, tokens[:length+1]...)
		b.Weights = append(b.Weights, weights[1:length+1]...)
	}
	return b
}
