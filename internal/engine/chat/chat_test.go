package chat_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loradeck/internal/engine/chat"
	"loradeck/internal/lora"
)

func TestRenderedChatsAreThoseOfTransformers(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"llama", "mistral", "qwen2"} {
		dir := filepath.Join("..", "testdata", family)
		template, err := chat.FromDir(dir)
		if err != nil || template == nil {
			t.Fatalf("%s: %v, %v", family, template, err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Chats []struct {
				Messages            []chat.Message
				AddGenerationPrompt bool `json:"add_generation_prompt"`
				Text                string
			}
		}
		if err := json.Unmarshal(raw, &want); err != nil || len(want.Chats) < 3 {
			t.Fatalf("%s: %d chats, %v", family, len(want.Chats), err)
		}
		for _, c := range want.Chats {
			got, err := template.Render(chat.Conversation{Messages: c.Messages, AddGenerationPrompt: c.AddGenerationPrompt})
			if err != nil || got != c.Text {
				t.Errorf("%s: got %q, %v\nwant %q", family, got, err, c.Text)
			}
		}
	}
}

var hello = []chat.Message{{Role: "user", Content: "Hello"}}

func TestWhatATemplateRefusesIsSaidInItsWords(t *testing.T) {
	t.Parallel()
	template, err := chat.Parse("{{ raise_exception('Roles must alternate.') }}", chat.Specials{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = template.Render(chat.Conversation{Messages: hello, AddGenerationPrompt: true})
	if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), "Roles must alternate.") {
		t.Errorf("got %v", err)
	}
}

func TestWhatCannotBeUsedIsSaidWithoutTheLibrarysInsides(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"{{ 'x' | format(1) }}": "filter 'format' not found", "{{ 'a' | join(1, 2, 3) }}": "invalid call to filter 'join'", "{{ messages[0].x.y.z }}": "None",
	} {
		template, err := chat.Parse(source, chat.Specials{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = template.Render(chat.Conversation{Messages: []chat.Message{{Role: "user", Content: "a"}}})
		if said := lora.Message(err); !strings.Contains(said, want) || strings.Contains(said, "Token[") || strings.Contains(said, "unable to evaluate") {
			t.Errorf("%s: %s", source, said)
		}
	}
}

func TestHostileTemplatesEndAndReadNothing(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("TOP SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{
		"endless output":    "{% for i in range(1000) %}{% for j in range(90) %}" + strings.Repeat("x", 1000) + "{% endfor %}{% endfor %}",
		"endless loops":     "{% for i in range(1000000000000) %}{% endfor %}",
		"nested loops":      "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
		"include":           "{% include '" + secret + "' %}",
		"import":            "{% import '" + secret + "' as s %}{{ s }}",
		"extends":           "{% extends '" + secret + "' %}",
		"unfinished":        "{% for m in messages %}",
		"no such filter":    "{{ messages | explode }}",
		"a call to nothing": "{{ nothing() }}",
	} {
		template, err := chat.Parse(source, chat.Specials{})
		var text string
		if err == nil {
			text, err = template.Render(chat.Conversation{Messages: hello, AddGenerationPrompt: true})
		}
		if lora.KindOf(err) != lora.Invalid || strings.Contains(text, "SECRET") {
			t.Errorf("%s: got %d bytes, %v", name, len(text), err)
		}
	}
}

func TestATemplateMayBeAbsentOrNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got, err := chat.FromDir(dir); got != nil || err != nil {
		t.Errorf("no file: got %v, %v", got, err)
	}
	config := `{"bos_token":{"content":"<s>"},"eos_token":null,"chat_template":[{"name":"tool_use","template":"no"},{"name":"default","template":"{{ bos_token }}{{ messages[0].content }}"}]}`
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	template, err := chat.FromDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := template.Render(chat.Conversation{Messages: hello}); got != "<s>Hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzRender(f *testing.F) {
	for _, source := range familySources(f) {
		f.Add(source, "Hello", weather)
	}
	for _, source := range expressionSources(f) {
		f.Add(source, "", bare)
	}
	f.Fuzz(func(t *testing.T, source, content, tool string) {
		if len(content)+len(tool) > 1<<14 {
			return
		}
		template, err := chat.Parse(source, specials)
		var text string
		if err == nil {
			text, err = template.Render(chat.Conversation{
				Messages: []chat.Message{{Role: "user", Content: content}, {Role: "assistant", Content: source}}, Tools: []json.RawMessage{json.RawMessage(tool)}, Now: now,
			})
		}
		if err != nil && lora.KindOf(err) != lora.Invalid {
			t.Errorf("refused without a sentence: %v", err)
		}
		if most := 4<<20 + 16*(len(source)+len(content)+len(tool)+1024); len(text) > most {
			t.Errorf("wrote %d bytes", len(text))
		}
	})
}
