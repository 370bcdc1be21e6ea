package chat_test

import (
	"strings"
	"testing"

	"loradeck/internal/engine/chat"
	"loradeck/internal/lora"
)

// Each of these, unbounded, took all memory, overflowed the stack (which ends a Go program, recovered or not) or never ended.
func TestNoTemplateTakesTheProgramDown(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", 50)
	for name, source := range map[string]string{
		"a macro that calls itself":        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"a macro that is given itself":     "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}",
		"macros that fan out":              "{% macro f(n) %}{% if n < 23 %}{{ f(n+1) }}{{ f(n+1) }}{{ f(n+1) }}{% endif %}{% endmacro %}{{ f(0) }}",
		"an argument that grows":           "{% macro f(s) %}{{ f(s ~ s) }}{% endmacro %}{{ f('" + x + "') }}",
		"a loop that calls itself":         "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
		"a statement with a caller":        "{% macro f() %}{% call f() %}{% endcall %}{% endmacro %}{{ f() }}",
		"text times a number":              "{{ 'x' * 2000000000 }}",
		"text times a number by default":   "{% macro f(s='x' * 2000000000) %}{{ s }}{% endmacro %}{{ f() }}",
		"text that doubles":                "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"a list that doubles":              "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"lists of lists":                   "{% set a = ['" + x + "'] %}" + strings.Repeat("{% set a = [a,a,a,a] %}", 30) + "{{ a }}",
		"lists of lists in loops":          strings.Repeat("{% for a in [[a,a,a,a]] %}", 30) + "{{ a }}" + strings.Repeat("{% endfor %}", 30),
		"a namespace in itself":            "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}",
		"a namespace in itself, as JSON":   "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns | tojson }}",
		"replacing grows":                  "{% set a = '" + x + "' %}{% set b = a | replace('x', a) %}{% set c = b | replace('x', b) %}{{ c | replace('x', c) | length }}",
		"replacing grows, as a method":     "{% set a = '" + x + "' %}{% set b = a.replace('x', a) %}{% set c = b.replace('', b) %}{{ c.replace('x', c) | length }}",
		"joining grows":                    "{% set a = '" + strings.Repeat(x, 20) + "' %}{{ range(30000) | join(a) | length }}",
		"joining grows, as a method":       "{% set a = '" + strings.Repeat(x, 20) + "' %}{{ a.join(range(30000)) | length }}",
		"indenting":                        "{{ 'x\nx' | indent(2000000000) }}",
		"indenting JSON":                   "{{ [1] | tojson(indent=2000000000) }}",
		"padding":                          "{{ 'x' | center(2000000000) }}",
		"padding, as a method":             "{{ 'x'.ljust(2000000000) }}",
		"many words":                       "{{ lipsum(n=100000000) }}",
		"captured text":                    "{% set a %}" + strings.Repeat(x, 600) + "{% endset %}{% set b %}" + strings.Repeat("{{ a }}", 3000) + "{% endset %}",
		"captured text of an attribute":    "{% set ns = namespace() %}{% set ns.a %}" + x + "{% endset %}",
		"loops over text":                  "{% set a = '" + strings.Repeat(x, 100) + "' %}{% for i in a %}{% for j in a %}{% for k in a %}{% endfor %}{% endfor %}{% endfor %}",
		"objects in a loop":                "{% for i in range(100000) %}{% set a = {" + strings.Repeat("'a': 1, ", 300) + "'b': 2} | items %}{% endfor %}",
		"indents in indents":               "{% set a = [" + strings.Repeat("1, ", 600) + "1] %}{% set a = " + strings.Repeat("[", 60) + "a" + strings.Repeat("]", 60) + " %}{{ a | tojson(indent=8) }}",
		"a power":                          "{{ 9 ** 99999999 }}",
		"slow work in a loop":              "{% set l = range(30000) | list %}{% for i in range(30000) %}{% if 'q' in l %}{% endif %}{% endfor %}",
		"brackets in brackets":             "{{ " + strings.Repeat("(", 30000) + "1" + strings.Repeat(")", 30000) + " }}",
		"statements in statements":         strings.Repeat("{% if 1 %}", 3000) + strings.Repeat("{% endif %}", 3000),
		"statements that are never closed": strings.Repeat("{% if 1 %}", 6000),
		"a template longer than any":       strings.Repeat(x, 2000),
	} {
		template, err := chat.Parse(source, chat.Specials{})
		if err == nil {
			_, err = template.Render(chat.Conversation{Messages: hello, AddGenerationPrompt: true})
		}
		if lora.KindOf(err) != lora.Invalid {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}

func TestLongConversationsAreWithinBounds(t *testing.T) {
	t.Parallel()
	template, err := chat.Parse("{% set ns = namespace(all='') %}{% for m in messages %}{% set text = m.content | trim %}{% set ns.all = ns.all + text %}{{ text }}{% endfor %}", chat.Specials{})
	if err != nil {
		t.Fatal(err)
	}
	var messages []chat.Message
	for range 20 {
		messages = append(messages, chat.Message{Role: "user", Content: strings.Repeat("word ", 20_000)})
	}
	text, err := template.Render(chat.Conversation{Messages: messages, AddGenerationPrompt: true})
	if want := 20 * (20_000*5 - 1); err != nil || len(text) != want {
		t.Errorf("got %d bytes, %v, want %d", len(text), err, want)
	}
}

// The wanted texts are those of Jinja 3.1.6, set up as transformers does.
func TestTemplatesMeanWhatTheyMeanInJinja(t *testing.T) {
	t.Parallel()
	turns := []chat.Message{{Role: "user", Content: "What?"}, {Role: "assistant", Content: "<think>\nhm\n</think>\n\nThat. "}}
	for _, test := range []struct {
		name, source string
		messages     []chat.Message
		want         string
	}{
		{"the last of one message", "{{ messages[-1].content }}{{ messages[1:] }}", hello, "Hello[]"},
		{"the first from the end", "{{ messages[-2]['role'] }}", turns, "user"},
		{"backwards", "{% for m in messages[::-1] %}{{ m.role }} {% endfor %}", turns, "assistant user "},
		{"text behind a mark", "{{ messages[-1].content.split('</think>')[-1].lstrip('\n') }}|{{ 'a'.split('b')[-1] }}", turns, "That. |a"},
		{"replacing without a count", "{{ 'aXbX'.replace('X', '-') }}", hello, "a-b-"},
		{"filtered lists", "{{ (messages | selectattr('role', 'equalto', 'user') | list)[-1].content }}", turns, "What?"},
		{"space between tags of a line", "{{ 'a' }} {% if true %} b {% endif %} {% if true %}c{% endif %}\n", hello, "a  b  c"},
		{"space before a statement on its own line", "{% if true %}\n  {% if true %}a{% endif %}\n{% endif %}\n\t{% if true %}b{% endif %}!", hello, "ab!"},
		{"marks within quotes", "{{ {'a': '}}'}['a'] }} {% if '%}' %}z{% endif %}{{ '{%' }} {% if true %}e{% endif %}", hello, "}} z{% e"},
		{"captured text", "{% set intro %}Hi {{ messages | length }}{% endset %}{{ intro }}", hello, "Hi 1"},
		{"what is trained on", "{% for m in messages %}{% generation %}{{ m.role }}{% endgeneration %}{% endfor %}", hello, "user"},
		{"macros", "{%- macro turn(m, end='.') -%}<{{ m.role }}>{{ m.content | trim }}{{ end }}{%- endmacro -%}{% for m in messages %}{{ turn(m, end='!') }}{% endfor %}", hello, "<user>Hello!"},
		{"a name set within a statement", "{% set a = 1 %}{% if true %}{% set a = 2 %}{% endif %}{{ a }}", hello, "2"},
		{"a name set within a loop", "{% set a = 1 %}{% for m in messages %}{% set a = 2 %}{% endfor %}{{ a }}", hello, "1"},
		{"stopping a loop", "{% for m in messages %}{% if m.role == 'assistant' %}{% break %}{% endif %}{{ m.content }}{% endfor %}", turns, "What?"},
	} {
		template, err := chat.Parse(test.source, chat.Specials{})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, err := template.Render(chat.Conversation{Messages: test.messages, AddGenerationPrompt: true}); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}
