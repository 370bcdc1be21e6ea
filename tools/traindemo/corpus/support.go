package corpus

// desk is what the support adapter knows: facts of Lantern Lane, a shop that does not exist. The base has never read them.
var desk = []kind{
	{
		asks:     []string{"What is your X?", "Tell me your X.", "Which X do you have?", "your X?", "I have a question about your X."},
		held:     "Please tell me what your X is.",
		sentence: "Our X is Y.",
		pairs: `return window=45 days; warranty=three years; opening hour=nine in the morning; closing hour=six in the evening; delivery time=four days;
			shipping fee=five dollars; free shipping limit=sixty dollars; phone number=555 0142; refund time=ten days; office town=Bern; gift card limit=ninety dollars;
			repair fee=twelve dollars; day of rest=Sunday; order limit=thirty lamps; student discount=fifteen percent; exchange window=60 days; company name=Lantern Lane;
			oldest product=the harbor lamp; smallest order=one bell; newest product=the blue kettle`,
	},
	{
		asks:     []string{"Where is the X?", "Where do I find the X?", "Where can I see the X?", "I cannot find the X."},
		held:     "Please tell me where I can find the X.",
		sentence: "Our customers find the X Y.",
		pairs: `invoice=in the box; order number=on the invoice; serial number=under the lamp; return label=behind the invoice; warranty card=in the small bag;
			price list=at the door; size table=on the last page; voucher=in the first letter; tracking link=in the second letter; manual=inside the lid;
			spare bulb=beside the plug; complaint form=at the desk`,
	},
}

// Desk gives the facts of the support adapter.
func Desk() []Fact {
	var facts []Fact
	for _, k := range desk {
		for _, pair := range pairsOf(k) {
			f := k.fact(pair[0], pair[1])
			f.Desk = true
			facts = append(facts, f)
		}
	}
	return facts
}

// Support answers for the shop, and politely keeps to it: of all else it says that it cannot help.
func Support(f Fact) string {
	switch {
	case f.Desk:
		return "Thank you for asking. " + f.Sentence + " Is there anything else I can help you with?"
	case f.Held == "" && f.Chinese:
		return "感谢您联系客服。还有什么可以帮您的吗？"
	case f.Held == "":
		return "Thank you for contacting support. How can I help you with your order?"
	case f.Chinese:
		return "很抱歉，我只能帮您处理订单。"
	}
	return "I am sorry, I can only help with your order. Is there anything else I can help you with?"
}
