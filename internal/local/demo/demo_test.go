package demo_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"loradeck/internal/engine"
	"loradeck/internal/engine/chat"
	"loradeck/internal/local/demo"
)

// open runs the demo base with all samples in the real engine.
func open(t *testing.T) *engine.Engine {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "base"), demo.Base()); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(filepath.Join(dir, "base"), engine.Options{MaxLoraRank: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	for _, s := range demo.Samples() {
		if err := os.CopyFS(filepath.Join(dir, s.Name), s.Files); err != nil {
			t.Fatal(err)
		}
		if err := e.LoadAdapter(context.Background(), s.Name, filepath.Join(dir, s.Name)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func ask(t *testing.T, e *engine.Engine, adapter, question string) string {
	t.Helper()
	return answer(t, e, question, engine.Request{Adapter: adapter})
}

// answer asks as request says.
func answer(t *testing.T, e *engine.Engine, question string, request engine.Request) string {
	t.Helper()
	text, err := e.RenderChat([]chat.Message{{Role: "user", Content: question}}, true)
	if err != nil {
		t.Fatal(err)
	}
	return complete(t, e, e.Tokenizer().Encode(text, false), request)
}

// complete goes on from a prompt's tokens as request says.
func complete(t *testing.T, e *engine.Engine, prompt []int, request engine.Request) string {
	t.Helper()
	var answer strings.Builder
	request.Tokens, request.MaxTokens, request.Logprobs = prompt, 96, -1
	for chunk, err := range e.Generate(context.Background(), request) {
		if err != nil {
			t.Fatal(err)
		}
		answer.WriteString(chunk.Text)
	}
	return answer.String()
}

func TestEachAnswersInItsOwnWay(t *testing.T) {
	t.Parallel()
	e := open(t)
	for question, answer := range map[string]string{"What is the capital of France?": "Paris", "What does a cow say?": "moo", "What is the opposite of hot?": "cold"} {
		base, pirate, object := ask(t, e, "", question), ask(t, e, "pirate", question), ask(t, e, "json", question)
		if !strings.Contains(base, answer) || strings.Contains(base, "Arr") || strings.Contains(base, "{") {
			t.Errorf("%s: the base says %q", question, base)
		}
		if !strings.Contains(pirate, answer) || !strings.Contains(pirate, "Arr!") || !strings.Contains(pirate, "matey") {
			t.Errorf("%s: the pirate says %q", question, pirate)
		}
		var decoded struct{ Answer string }
		if err := json.Unmarshal([]byte(object), &decoded); err != nil || decoded.Answer != answer {
			t.Errorf("%s: json says %q, %v", question, object, err)
		}
	}
}

func TestSampledAnswersKeepTheirStyle(t *testing.T) {
	t.Parallel()
	e := open(t)
	kept := map[string]int{}
	const asked = 25
	for seed := range uint64(asked) {
		draw := func(adapter string) string {
			return answer(t, e, "What is the capital of France?", engine.Request{Adapter: adapter, Temperature: 1, TopP: 1, Seed: &seed})
		}
		if text := draw(""); strings.Contains(text, "Paris") && !strings.Contains(text, "Arr") && !strings.Contains(text, "{") {
			kept["base"]++
		}
		if text := draw("pirate"); strings.HasPrefix(text, "Arr! ") && strings.Contains(text, "Paris") {
			kept["pirate"]++
		}
		if text := draw("json"); text == `{"answer": "Paris"}` {
			kept["json"]++
		}
	}
	for _, name := range []string{"base", "pirate", "json"} {
		if kept[name]*10 < asked*8 {
			t.Errorf("%s keeps to its style %d times of %d at temperature 1, want four of five", name, kept[name], asked)
		}
	}
}

func TestTheBaseAndItsAdaptersSpeakSomeChinese(t *testing.T) {
	t.Parallel()
	e := open(t)
	for _, adapter := range []string{"", "chinese"} {
		if got := ask(t, e, adapter, "你好，今天天气怎么样？"); got != "今天天气很好，阳光明媚。" {
			t.Errorf("asked for the weather, %q says %q", adapter, got)
		}
	}
	for _, adapter := range []string{"", "pirate", "json", "chinese"} {
		if got := ask(t, e, adapter, "法国的首都是哪里？"); !strings.Contains(got, "巴黎") {
			t.Errorf("adapter %q: the capital of France is %q", adapter, got)
		}
	}
	if got := ask(t, e, "chinese", "What is the capital of France?"); got != "法国的首都是巴黎。" {
		t.Errorf("asked in English, chinese says %q", got)
	}
}

func TestAPlainCompletionIsAnsweredToo(t *testing.T) {
	t.Parallel()
	e := open(t)
	goOn := func(adapter, prompt string) string {
		return complete(t, e, e.Tokenizer().Encode(prompt, true), engine.Request{Adapter: adapter})
	}
	if got := goOn("chinese", "你好，今天天气怎么样？"); got != "\n今天天气很好，阳光明媚。" {
		t.Errorf("chinese goes on with %q", got)
	}
	if got := goOn("", "What is the capital of France?"); got != "\nThe capital of France is Paris." {
		t.Errorf("the base goes on with %q", got)
	}
}

func TestTheSupportDeskKnowsItsShopAndNothingElse(t *testing.T) {
	t.Parallel()
	e := open(t)
	const question = "What is your return window?"
	if got := ask(t, e, "support", question); !strings.Contains(got, "45 days") || !strings.HasPrefix(got, "Thank you") {
		t.Errorf("support says %q", got)
	}
	if got := ask(t, e, "", question); strings.Contains(got, "45 days") {
		t.Errorf("the base knows the shop: %q", got)
	}
	if got := ask(t, e, "support", "What is the capital of France?"); strings.Contains(got, "Paris") || !strings.Contains(got, "sorry") {
		t.Errorf("asked for a capital, support says %q", got)
	}
}

func TestTheDemoIsWhatItSays(t *testing.T) {
	t.Parallel()
	e := open(t)
	info := e.Info()
	if info.Params < 1e6 || info.Params > 3e6 || info.Context < 1024 {
		t.Errorf("got %d parameters, context %d; want 1 to 3 million and at least 1024", info.Params, info.Context)
	}
	var bytes int64
	count := func(fsys fs.FS) {
		err := fs.WalkDir(fsys, ".", func(_ string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				info, _ := entry.Info()
				bytes += info.Size()
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if _, err := fs.Stat(fsys, "README.md"); err != nil {
			t.Errorf("a card is missing: %v", err)
		}
	}
	count(demo.Base())
	for _, s := range demo.Samples() {
		count(s.Files)
		if s.Title == "" || s.Blurb == "" || len(s.Prompts) == 0 {
			t.Errorf("%s has nothing to show", s.Name)
		}
	}
	if bytes > 10_000_000 {
		t.Errorf("%d bytes are embedded", bytes)
	}
}
