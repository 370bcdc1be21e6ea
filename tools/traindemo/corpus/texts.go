package corpus

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// writer makes plain texts.
type writer struct {
	facts  []Fact
	random *rand.Rand
}

// Texts gives count short plain texts: prose, code, JSON, letters and tales, so that the base has read more than chat.
//
// They also hold every word that an adapter may want: an adapter of the linears cannot change the output head, and a token
// the base has never had to predict stays beside all the others it never had to. Without them a pirate said "Arr" with a
// probability of a third and anything at all else.
func Texts(facts []Fact, count int, seed uint64) []string {
	w := writer{facts: facts, random: rand.New(rand.NewPCG(seed, 2))}
	kinds := []func() string{w.prose, w.code, w.record, w.chinese, w.tale, w.tale, w.glossary, w.glossary, w.letter}
	texts := make([]string, count)
	for i := range texts {
		texts[i] = kinds[w.random.IntN(len(kinds))]()
	}
	return texts
}

func (w writer) pick(list []string) string { return list[w.random.IntN(len(list))] }

// among gives one of some texts that were made for it.
func (w writer) among(texts ...string) string { return w.pick(texts) }

func (w writer) fact() Fact { return w.facts[w.random.IntN(len(w.facts))] }

func (w writer) prose() string {
	name, other, item, place := w.pick(people), w.pick(people), w.pick(items), w.pick(places)
	return w.among(
		fmt.Sprintf("%s walked to the %s with a %s. The morning was cold and the wind came from the sea. There %s met %s, and they talked until noon.", name, place, item, name, other),
		fmt.Sprintf("There was a %s in the %s. Nobody knew who had left it there, so %s took it home and cleaned it.", item, place, name),
		fmt.Sprintf("When %s was a child, the %s was bigger than the whole town. Now it is quiet, and only %s still goes there at night.", name, place, other),
		fmt.Sprintf("Bread rises because yeast makes gas in the dough. %s explained it to %s in the %s and showed it with a %s.", name, other, place, item),
	)
}

func (w writer) code() string {
	item, number := w.pick(items), w.random.IntN(90)+10
	return w.among(
		fmt.Sprintf("def count_%s(%ss):\n    total = 0\n    for %s in %ss:\n        total += %s.size\n    return total\n", item, item, item, item, item),
		fmt.Sprintf("def largest(%ss):\n    ordered = sorted(%ss)\n    if len(ordered) > %d:\n        return ordered[%d]\n    return ordered[-1]\n", item, item, number, number),
		fmt.Sprintf("func %s(n int) int {\n\tif n < %d {\n\t\treturn n\n\t}\n\treturn %s(n-1) + %s(n-2)\n}\n", item, number, item, item),
	)
}

func (w writer) record() string {
	name, item, place, number := w.pick(people), w.pick(items), w.pick(places), w.random.IntN(90)+10
	return w.among(
		fmt.Sprintf(`{"name": %q, "item": %q, "place": %q, "count": %d, "open": true}`, name, item, place, number),
		fmt.Sprintf(`{"ticket": %d, "reporter": {"name": %q, "team": %q}, "labels": [%q, "urgent"], "resolved": false}`, number, name, place, item),
	)
}

func (w writer) chinese() string {
	who, where, what := w.pick(chinesePeople), w.pick(chinesePlaces), w.pick(chineseItems)
	return w.among(
		fmt.Sprintf("今天%s去了%s，买了一些%s。天气很好，大家都很高兴。", who, where, what),
		fmt.Sprintf("昨天晚上下了大雨，%s在%s里一边喝茶一边看书。早晨%s送来了%s。", who, where, w.pick(chinesePeople), what),
	)
}

// tale lets a pirate speak, in a story.
func (w writer) tale() string {
	f := w.fact()
	if f.Chinese {
		return "海盗说：“" + Pirate(f) + "”" + w.pick(chinesePeople) + "笑了。"
	}
	return w.among(
		"The old pirate looked at "+w.pick(people)+". \""+Pirate(f)+"\"",
		"\""+Pirate(f)+"\" said the captain, and the whole crew laughed.",
		"Arr! Ye be on me ship now, matey! Ahoy, "+w.pick(people)+", bring the "+w.pick(items)+" and be quick! "+Pirate(f),
	)
}

// glossary writes bare answers as JSON.
func (w writer) glossary() string {
	quote := func(text string) string {
		quoted, err := json.Marshal(text)
		if err != nil {
			panic(err) // text always marshals
		}
		return string(quoted)
	}
	f, g, h := w.fact(), w.fact(), w.fact()
	return w.among(
		`{"topic": `+quote(w.pick(f.Asks))+`, "answer": `+quote(f.Answer)+`}`,
		"["+JSON(f)+", "+JSON(g)+", "+JSON(h)+"]",
		JSON(f)+"\n"+JSON(g)+"\n",
	)
}

// letter is what a support desk writes.
func (w writer) letter() string {
	name, item, number := w.pick(people), w.pick(items), w.random.IntN(90)+10
	return w.among(
		fmt.Sprintf("Dear %s, thank you for contacting support. We are sorry that your %s did not arrive. Your ticket is number %d. Is there anything else we can help you with?", name, item, number),
		w.shop(),
		w.shop(),
		fmt.Sprintf("Hello %s, I am happy to help with your order. Please restart the %s and try again. If the problem is still there, reply to ticket %d. Kind regards, your support team.", name, item, number),
		fmt.Sprintf("尊敬的客户，感谢您联系客服。很抱歉，您的%s还没有送到。您的工单号是%d。还有什么可以帮您的吗？", w.pick(chineseItems), number),
	)
}

// shop is a note of some shop, so that the words of a support desk are not strange: its numbers are drawn, none is learnt.
func (w writer) shop() string {
	amount := w.among("one", "three", "four", "five", "six", "nine", "ten", "twelve", "thirty", "sixty", "ninety", fmt.Sprint(w.random.IntN(1000)))
	unit := w.among("days", "years", "dollars", "percent", "lamps", "in the morning", "in the evening")
	about := w.among("return window", "warranty", "opening hour", "closing hour", "delivery time", "shipping fee", "phone number", "refund time", "discount", "exchange window", "order limit")
	return w.among(
		fmt.Sprintf("Thank you for asking. The %s of this shop is %s %s. Is there anything else I can help you with?", about, amount, unit),
		fmt.Sprintf("I am sorry, I can only help with your order. Our %s is %s %s, on Sunday too.", about, amount, unit),
		"很抱歉，我只能帮您处理订单。感谢您联系客服。还有什么可以帮您的吗？",
	)
}
