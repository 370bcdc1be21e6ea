// Package chat renders a conversation into the text a model was trained on, by the chat template that the model's directory
// carries.
//
// Templates are Jinja programs that come with a model, so they are treated as hostile: they read no file, include nothing,
// and end within bounds of time, loops and output. The language itself is gonja's.
package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"

	"loradeck/internal/lora"
)

// maxSource bounds a template, in bytes. Real ones are under 20 KB.
const maxSource = 64 << 10

// Message is one turn of a conversation.
type Message struct {
	Role    string
	Content string
}

// Conversation is what a template is given.
type Conversation struct {
	Messages []Message
	// Tools are the schemas of what may be called, each a JSON value. Templates write them in the order of their members.
	Tools []json.RawMessage
	// AddGenerationPrompt ends the text with the beginning of an answer.
	AddGenerationPrompt bool
	// Now is what strftime_now tells; zero is the present.
	Now time.Time
}

// Specials are the special tokens that a template may name.
type Specials struct{ BOS, EOS, Pad, Unk string }

// Template is a parsed chat template. It is safe for concurrent use.
type Template struct {
	source   string
	specials Specials
}

// Parse checks a template. Its errors are of kind Invalid.
func Parse(source string, specials Specials) (t *Template, err error) {
	defer recovered(&err)
	if len(source) > maxSource {
		return nil, lora.Errorf(lora.Invalid, "The chat template is longer than %d KiB, which no real one is.", maxSource>>10)
	}
	t = &Template{source, specials}
	if _, err := t.compile(newMeter(0)); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The chat template of this base cannot be read: %v.", cause(err))
	}
	return t, nil
}

// recovered turns a panic into an error: that of a meter, and those of the template language on what it did not expect.
func recovered(err *error) {
	switch p := recover().(type) {
	case nil:
	case overrun:
		*err = lora.Errorf(lora.Invalid, "The chat template of this base goes too far: %s.", string(p))
	default:
		*err = lora.Wrap(fmt.Errorf("panic: %v", p), lora.Invalid, "The chat template of this base cannot be used.")
	}
}

// FromDir reads the template of a Hugging Face model directory: chat_template.jinja, or else the chat_template member of
// tokenizer_config.json. It gives nil when the base has none.
func FromDir(dir string) (*Template, error) {
	var files [2][]byte
	for i, name := range []string{"tokenizer_config.json", "chat_template.jinja"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		files[i] = text
	}
	return FromFiles(files[0], files[1])
}

// FromFiles does what FromDir does with the files' contents; one that is not there is nil.
func FromFiles(tokenizerConfig, jinja []byte) (*Template, error) {
	var file struct {
		Template json.RawMessage `json:"chat_template"`
		BOS      token           `json:"bos_token"`
		EOS      token           `json:"eos_token"`
		Pad      token           `json:"pad_token"`
		Unk      token           `json:"unk_token"`
	}
	if tokenizerConfig != nil {
		if err := json.Unmarshal(tokenizerConfig, &file); err != nil {
			return nil, lora.Wrap(err, lora.Invalid, "tokenizer_config.json is no JSON of the expected form: %v.", err)
		}
	}
	specials := Specials{string(file.BOS), string(file.EOS), string(file.Pad), string(file.Unk)}
	if jinja != nil {
		return Parse(string(jinja), specials)
	}
	source, err := sourceOf(file.Template)
	if err != nil || source == "" {
		return nil, err
	}
	return Parse(source, specials)
}

// sourceOf reads the member's two forms: a template, or a list of named ones of which "default" is meant.
func sourceOf(member json.RawMessage) (string, error) {
	if len(member) == 0 || string(member) == "null" {
		return "", nil
	}
	var one string
	if json.Unmarshal(member, &one) == nil {
		return one, nil
	}
	var several []struct{ Name, Template string }
	if err := json.Unmarshal(member, &several); err != nil {
		return "", lora.Wrap(err, lora.Invalid, "tokenizer_config.json has a chat_template that is neither text nor a list of templates.")
	}
	for _, named := range several {
		if named.Name == "default" {
			return named.Template, nil
		}
	}
	return "", nil
}

// token reads a special token's two forms: text, or an object with its content.
type token string

// UnmarshalJSON takes a string, null, or an object with the member "content".
func (t *token) UnmarshalJSON(text []byte) error {
	var plain *string
	if json.Unmarshal(text, &plain) == nil {
		if plain != nil {
			*t = token(*plain)
		}
		return nil
	}
	var object struct{ Content string }
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	*t = token(object.Content)
	return nil
}

// Render gives the text of a conversation. What the template itself refuses, by raise_exception, is an error of kind Invalid with
// its words.
func (t *Template) Render(c Conversation) (text string, err error) {
	defer recovered(&err)
	size := 0
	for _, m := range c.Messages {
		size += len(m.Role) + len(m.Content) + 64 // what a turn takes as a value, about
	}
	for _, tool := range c.Tools {
		size += 4 * len(tool) // written with indents, too
	}
	meter := newMeter(size)
	compiled, err := t.compile(meter)
	if err != nil {
		return "", lora.Wrap(err, lora.Invalid, "The chat template of this base cannot be read: %v.", cause(err))
	}
	data, refused, err := t.context(c, meter)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := compiled.Execute(metered{&out, meter}, data); err != nil {
		if *refused != "" {
			return "", lora.Wrap(err, lora.Invalid, "The chat template of this base refuses the messages: %s", *refused)
		}
		return "", lora.Wrap(err, lora.Invalid, "The chat template of this base cannot be used with these messages: %v.", cause(err))
	}
	return out.String(), nil
}

// context gives what a template may name, and where the words of its refusal will stand.
func (t *Template) context(c Conversation, meter *meter) (data *exec.Context, refused *string, err error) {
	turns := make(list, len(c.Messages))
	for i, m := range c.Messages {
		turn := map[string]any{"role": m.Role, "content": m.Content}
		meter.ordered.keep(turn, []string{"role", "content"})
		turns[i] = turn
	}
	var tools any
	if len(c.Tools) > 0 {
		all := make(list, len(c.Tools))
		for i, tool := range c.Tools {
			if all[i], err = meter.ordered.value(tool); err != nil {
				return nil, nil, lora.Wrap(err, lora.Invalid, "Tool %d is no JSON: %v.", i+1, err)
			}
		}
		tools = all
	}
	now := c.Now
	if now.IsZero() {
		now = time.Now()
	}
	refused = new(string)
	names := map[string]any{
		"messages": turns, "add_generation_prompt": c.AddGenerationPrompt, "tools": tools, "documents": nil,
		"raise_exception": func(_ *exec.Evaluator, params *exec.VarArgs) (string, error) {
			meter.arguments(params)
			*refused = params.First().String()
			return "", errors.New(*refused)
		},
		"strftime_now": func(_ *exec.Evaluator, params *exec.VarArgs) (string, error) {
			meter.arguments(params)
			return strftime(now, params.First().String())
		},
		"namespace": func(_ *exec.Evaluator, params *exec.VarArgs) map[string]any {
			meter.arguments(params)
			space := make(map[string]any, len(params.KwArgs))
			for name, value := range params.KwArgs {
				space[name] = value
			}
			return space
		},
		"range": func(_ *exec.Evaluator, params *exec.VarArgs) ([]int, error) { return numbers(params, meter) },
	}
	for name, token := range map[string]string{
		"bos_token": t.specials.BOS, "eos_token": t.specials.EOS, "pad_token": t.specials.Pad, "unk_token": t.specials.Unk,
	} {
		if token != "" {
			names[name] = token
		}
	}
	return exec.NewContext(names), refused, nil
}

// compile parses the source anew: a parsed gonja template holds state of its lexer and the meter of its rendering, and
// parsing takes microseconds.
func (t *Template) compile(meter *meter) (*exec.Template, error) {
	settings := config.New()
	settings.TrimBlocks, settings.LeftStripBlocks = true, true // as transformers sets Jinja up for chat templates
	source := keepSpaces(t.source)
	if err := admit(source, settings); err != nil {
		return nil, err
	}
	const name = "/chat"
	loader, err := loaders.NewMemoryLoader(map[string]string{name: source})
	if err != nil {
		return nil, err
	}
	environment := &exec.Environment{
		Context: exec.EmptyContext(), Filters: meter.filters(), Tests: builtins.Tests, Methods: meter.methods(), ControlStructures: meter.statements(),
	}
	return exec.NewTemplate(name, settings, loader, environment)
}

// numbers is Jinja's range.
func numbers(params *exec.VarArgs, meter *meter) ([]int, error) {
	var bounds []int
	for _, arg := range params.Args {
		if !arg.IsInteger() {
			return nil, errors.New("range takes whole numbers")
		}
		bounds = append(bounds, arg.Integer())
	}
	start, stop, by := 0, 0, 1
	switch len(bounds) {
	case 1:
		stop = bounds[0]
	case 2:
		start, stop = bounds[0], bounds[1]
	case 3:
		start, stop, by = bounds[0], bounds[1], bounds[2]
	default:
		return nil, errors.New("range takes one to three numbers")
	}
	if by == 0 {
		return nil, errors.New("range cannot step by 0")
	}
	list := []int{}
	for i := start; by > 0 && i < stop || by < 0 && i > stop; i += by {
		meter.loop(1)
		list = append(list, i)
	}
	return list, nil
}

// cause gives the innermost error: the outer ones repeat the template.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if value, is := err.(*exec.Value); is { // the library's filters fail with a value that holds the error, and do not unwrap it
			inner, _ = value.Interface().(error)
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}
