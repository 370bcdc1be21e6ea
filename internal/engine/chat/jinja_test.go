package chat_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loradeck/internal/engine/chat"
	"loradeck/internal/lora"
)

// families are templates written as the models' own are, in testdata/templates; macros uses most of the language.
var families = []string{
	"chatml", "llama2", "llama3", "llama31", "zephyr", "mistral-v1", "mistral-v3", "gemma", "phi3", "qwen25", "deepseek", "macros",
}

// specials and now are what the templates are given besides conversations.
var (
	specials = chat.Specials{BOS: "<s>", EOS: "</s>", Pad: "<pad>", Unk: "<unk>"}
	now      = time.Date(2026, time.February, 3, 4, 5, 6, 0, time.UTC)
)

const weather = `{"type": "function", "function": {"name": "get_weather", "description": "The weather's state in a \"city\" <now> & later: 天气 🙂", "parameters":
	{"type": "object", "properties": {"city": {"type": "string", "description": " e.g. Zürich\n"}, "unit": {"type": "string", "enum": ["c", "f"]}, "days": {"type": "integer", "minimum": 1, "default": 1e2},
	"about": {"anyOf": [{"type": "null"}, {"type": "number", "maximum": 0.1, "minimum": -1.5e-7}], "deprecated": false, "examples": []}}, "required": ["city", "unit"], "additionalProperties": {}}, "strict": true, "return": {"type": "string"}}}`

const bare = `{"function": {"zeta": 1, "name": "now", "alpha": {"z": null, "a": [1, [2, {}], {"y": "\u0001\t\u007f\u2028/\\"}]}, "parameters": {"properties": {}}}, "type": "function", "big": 12345678901234567890, "whole": 1.0}`

// conversations are what every template is asked to render.
func conversations() []chat.Conversation {
	turn := func(role, content string) chat.Message { return chat.Message{Role: role, Content: content} }
	lists := [][]chat.Message{
		{turn("user", "Hello")},
		{turn("system", "You are brief."), turn("user", "Hello")},
		{turn("user", "What?"), turn("assistant", "That."), turn("user", "Why?")},
		{turn("system", " Be kind. \n"), turn("user", "  spaces around \n"), turn("assistant", "\n\nYes. \t"), turn("user", "\u00a0and\u3000these ")},
		{turn("user", ""), turn("assistant", ""), turn("user", "")},
		{turn("system", ""), turn("user", "empty before")},
		{turn("user", "你好，今天天气怎么样？"), turn("assistant", "很好 🙂👩‍💻 \"quotes\" & <tags> {{ braces }} {% if %} {# no #} </s>"), turn("user", "cafe\u0301 \\n 'single' `tick`")},
		{turn("user", "Think."), turn("assistant", "<think>\nhm\n</think>\n\nThat."), turn("user", "# Title?"), turn("assistant", "a</think>b</think>c")},
		{turn("user", "one"), turn("user", "two")},
		{turn("assistant", "first")},
		{turn("system", "only")},
		{turn("system", "a"), turn("system", "b"), turn("user", "c"), turn("assistant", "d")},
		{turn("user", "call"), turn("tool", `{"temperature": 21.5}`), turn("tool", "x"), turn("assistant", "21")},
		{turn("narrator", "Once."), turn("user", "And?")},
		{turn("user", strings.Repeat("line one\r\nline two\n", 20))},
	}
	var all []chat.Conversation
	for i, messages := range lists {
		all = append(all, chat.Conversation{Messages: messages, AddGenerationPrompt: true}, chat.Conversation{Messages: messages})
		if i < 4 || i == 12 {
			tools := []json.RawMessage{json.RawMessage(weather), json.RawMessage(bare)}
			all = append(all, chat.Conversation{Messages: messages, Tools: tools, AddGenerationPrompt: true}, chat.Conversation{Messages: messages, Tools: tools[:1]})
		}
	}
	for i := range all {
		all[i].Now = now
	}
	return all
}

// rendered is what Jinja makes of a conversation: a text, or the words of its refusal.
type rendered struct {
	Text  *string `json:"text,omitempty"`
	Error string  `json:"error,omitempty"`
}

// What Jinja answered: recorded, and asked again by `make test-templates`.
var (
	familyAnswers     = filepath.Join("testdata", "templates", "answers.json")
	expressionAnswers = filepath.Join("testdata", "templates", "expressions.json")
)

func TestTemplatesRenderAsJinjaDoes(t *testing.T) {
	t.Parallel()
	conversations, answers := conversations(), read(t, familyAnswers)
	for family, source := range familySources(t) {
		template, err := chat.Parse(source, specials)
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		if len(answers[family]) != len(conversations) {
			t.Fatalf("%s: got answers to %d conversations, want %d", family, len(answers[family]), len(conversations))
		}
		for i, conversation := range conversations {
			got, err := template.Render(conversation)
			switch want := answers[family][i]; {
			case want.Text != nil && (err != nil || got != *want.Text):
				t.Errorf("%s, conversation %d: got %q, %v\nwant %q", family, i, got, err, *want.Text)
			case want.Text == nil && (lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), want.Error)):
				t.Errorf("%s, conversation %d: got %q, %v\nwant the refusal %q", family, i, got, err, want.Error)
			}
		}
	}
}

// threeTurns is what expressions are rendered with.
var threeTurns = chat.Conversation{
	Messages:            []chat.Message{{Role: "user", Content: "Hello there"}, {Role: "assistant", Content: "Hi, it's me"}, {Role: "user", Content: "Bye"}},
	AddGenerationPrompt: true, Now: now,
}

// An expression means what it means in Jinja, or is refused; the few in otherwise, which no template needs, are not.
func TestExpressionsMeanWhatTheyMeanInJinja(t *testing.T) {
	t.Parallel()
	answers := read(t, expressionAnswers)
	refused := 0
	for name, source := range expressionSources(t) {
		want, known := answers[name][0], otherwise[source] != ""
		template, err := chat.Parse(source, specials)
		var got string
		if err == nil {
			got, err = template.Render(threeTurns)
		}
		switch {
		case err != nil && lora.KindOf(err) != lora.Invalid:
			t.Errorf("%s: refused without a sentence: %v", source, err)
		case known && (err != nil || want.Text != nil && got == *want.Text):
			t.Errorf("%s: is in the list of what is otherwise, and is not: got %q, %v", source, got, err)
		case err != nil && want.Text != nil:
			refused++
		case err == nil && !known && (want.Text == nil || got != *want.Text):
			t.Errorf("%s: got %q, want %s", source, got, want)
		}
	}
	t.Logf("%d expressions: %d refused, %d otherwise", len(answers), refused, len(otherwise))
}

// otherwise are expressions of which the library makes something else than Jinja, by why it does.
var otherwise = reasons(map[string][]string{
	"what is none and what is undefined are one value, which writes nothing": {
		"{{ none }}", "{{ nothing is none }}", "{{ none | default('d') }}", "{{ {'b': 1}.get('c') }}", "{{ 'a' ~ 1 ~ none ~ true ~ 1.0 }}",
		"{% if tools is defined %}defined{% endif %}",
	},
	"a list or an object is written with its own order and quotes; tojson is right": {
		"{{ messages }}", "{{ messages[0] }}", `{{ ['a', "b'c"] }}`, "{{ (1, 2) }}", "{{ 'a=b=c'.partition('=') }}", "{{ 'a=b=c'.rpartition('=') }}",
		"{{ {'b': 1, 'a': 2} | items | list }}", "{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | list }}",
	},
	"what is no text is added to one as a text": {
		"{{ 1 + 'a' }}", "{{ 'a' + 1 }}", "{{ 'a' + none }}", "{{ nothing + 'a' }}",
	},
	"arithmetic is Go's": {
		"{{ -7 // 2 }}", "{{ -7 % 3 }}", "{{ 1 // 0 }}", "{{ not 0 }}", "{{ 1 == true }}", "{{ true | int }}", "{{ 2.5 | round }}",
	},
	"comparisons in a row are taken two by two": {"{{ 'user' == messages[0]['role'] == 'user' }}"},
	"an index counts a text's bytes":            {"{{ 'héy'[1] }}"},
	"a letter stays a letter":                   {"{{ 'ß' | upper }}"},
})

func reasons(sources map[string][]string) map[string]string {
	all := map[string]string{}
	for why, list := range sources {
		for _, source := range list {
			all[source] = why
		}
	}
	return all
}

// String is what Jinja answered, for a test's words.
func (r rendered) String() string {
	if r.Text == nil {
		return "the refusal " + r.Error
	}
	return fmt.Sprintf("%q", *r.Text)
}

func read(t *testing.T, file string) map[string][]rendered {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string][]rendered
	if err := json.Unmarshal(text, &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}

func familySources(t testing.TB) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, family := range families {
		text, err := os.ReadFile(filepath.Join("testdata", "templates", family+".jinja"))
		if err != nil {
			t.Fatal(err)
		}
		sources[family] = string(text)
	}
	return sources
}

// expressionSources gives small templates that say one thing each, by their line's number.
func expressionSources(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "templates", "expressions.txt"))
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		sources[fmt.Sprintf("%03d", i+1)] = line
	}
	return sources
}
