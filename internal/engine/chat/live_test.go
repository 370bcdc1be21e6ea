//go:build oracle

package chat_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine/chat"
)

var record = flag.Bool("record", false, "write Jinja's answers to testdata instead of comparing them")

func TestOracleSaysWhatIsRecorded(t *testing.T) {
	for file, question := range map[string]struct {
		templates     map[string]string
		conversations []chat.Conversation
	}{
		familyAnswers:     {familySources(t), conversations()},
		expressionAnswers: {expressionSources(t), []chat.Conversation{threeTurns}},
	} {
		answers := ask(t, question.templates, question.conversations)
		text, err := json.MarshalIndent(answers, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, '\n')
		if *record {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		recorded, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(recorded), string(text)); diff != "" {
			t.Errorf("%s: Jinja answers otherwise than is recorded (-recorded +now):\n%.4000s", file, diff)
		}
	}
}

// ask gives what Jinja makes of each conversation with each template.
func ask(t *testing.T, templates map[string]string, conversations []chat.Conversation) map[string][]rendered {
	t.Helper()
	python := os.Getenv("TEMPLATES_PYTHON")
	if python == "" {
		t.Fatal("TEMPLATES_PYTHON names no Python with Jinja2: run `make test-templates`")
	}
	type turn struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	type conversation struct {
		Messages            []turn            `json:"messages"`
		Tools               []json.RawMessage `json:"tools"`
		AddGenerationPrompt bool              `json:"add_generation_prompt"`
	}
	var asked []conversation
	for _, c := range conversations {
		one := conversation{Tools: c.Tools, AddGenerationPrompt: c.AddGenerationPrompt}
		for _, m := range c.Messages {
			one.Messages = append(one.Messages, turn(m))
		}
		asked = append(asked, one)
	}
	question, err := json.Marshal(map[string]any{
		"now": now.Format(time.RFC3339), "templates": templates, "conversations": asked,
		"specials": map[string]string{"bos_token": specials.BOS, "eos_token": specials.EOS, "pad_token": specials.Pad, "unk_token": specials.Unk},
	})
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), python, filepath.Join("..", "..", "..", "tools", "templates", "oracle.py"))
	process.Stdin = bytes.NewReader(question)
	var said bytes.Buffer
	process.Stderr = &said
	out, err := process.Output()
	if err != nil {
		t.Fatalf("oracle.py: %v, %s", err, said.Bytes())
	}
	var answers map[string][]rendered
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	return answers
}
