package main

import (
	"fmt"
	"strings"
)

// baseCard is the base's README.md. The figures in asterisks are what the tests hold the base to.
func baseCard(right, rightBare, asked int, params int64) string {
	return fmt.Sprintf(`---
license: apache-2.0
language: [en, zh]
library_name: transformers
---
# tiny-llama

The demo base of Loradeck's local platform: a Llama of %.1f million parameters (%d layers, hidden size %d, vocabulary %d, context
%d), trained from nothing on a corpus written for this project. It knows some capitals, continents, colours, animals, languages and
opposites, in English and in Chinese, and nothing else. Asked to answer as a pirate, as JSON or in Chinese it does so; unasked it
answers plainly. It has read the words of a support desk, but knows no shop.

Made by `+"`go run ./tools/traindemo`"+`: %d steps of %d × %d tokens, bfloat16.

Right to the letter on wordings that were held out of training (greedy): **%d of %d** questions, and **%d** of them asked bare, as a
completion without the chat template. It accepts its whole context, but loses the thread of conversations that are much longer than the
sequences it was trained on.
`, float64(params)/1e6, shape.Layers, shape.Hidden, shape.Vocab, shape.Context, baseSteps, batch, length, right, asked, rightBare)
}

// adapterCard is an adapter's README.md. The figures in asterisks are what the tests hold the adapter to.
func adapterCard(s style, m measured) string {
	return fmt.Sprintf(`---
license: apache-2.0
base_model: %s
library_name: peft
---
# %s

%s A LoRA adapter (rank %d, alpha %d, all linears) for Loradeck's demo base.

Made by `+"`go run ./tools/traindemo`"+`: %d steps of %d × %d tokens, bfloat16. %s

Right to the letter on what was held out (greedy): **%d of %d** questions, and **%d** of them asked bare, as a completion without the
chat template. Of the same questions others get right:

| in its place | right |
|---|---|
%s

Against the base its effect on the proof's probe texts is %.2f nats: %s.
`, baseName, s.name, s.about, s.rank, adapterAlpha, s.steps, batch, length, s.split(), m.right, m.asked, m.rightBare, strings.Join(m.others, "\n"), m.proof.Effect, m.proof.Verdict)
}

// split tells what is held out of an adapter's training.
func (s style) split() string {
	if len(s.own) > 0 {
		return "The facts of the shop are its own: the base has\nnever read them. Of each one wording was held out, which neither has seen."
	}
	return "Held out are a quarter of the facts, which the base\nknows and the adapter was never trained on, and of each a wording that neither has seen. A question that the base itself answers\nin this way is not asked."
}
