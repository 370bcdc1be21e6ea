package cloud

import (
	"errors"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
)

// wire is a stream as vLLM writes it (recordings/vllm-0.11.2): several choices of text, characters of several bytes, a
// comment, a usage chunk without choices.
const wire = "data: {\"choices\":[{\"index\":0,\"text\":\"Ahoy, \",\"finish_reason\":null}],\"usage\":null}\n\n" +
	": ping\n\n" +
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"海盗 ☠\"},\"finish_reason\":null}]}\r\n\r\n" +
	"data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n" +
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"total_tokens\":8,\"completion_tokens\":5}}\n\n" +
	"data: [DONE]\n\n"

func pieces(parts ...string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, part := range parts {
			if !yield([]byte(part), nil) {
				return
			}
		}
	}
}

func readAll(t *testing.T, from iter.Seq2[[]byte, error]) (text, finish string, usage Usage, err error) {
	t.Helper()
	for data, failed := range events(from) {
		if failed != nil {
			return text, finish, usage, failed
		}
		delta, failed := readDelta(data)
		if failed != nil {
			return text, finish, usage, failed
		}
		text += delta.Text
		if delta.Finish != "" {
			finish = delta.Finish
		}
		if delta.Usage != nil {
			usage = *delta.Usage
		}
	}
	return text, finish, usage, nil
}

func TestAStreamReadsTheSameWhereverItIsCut(t *testing.T) {
	t.Parallel()
	check := func(parts ...string) {
		t.Helper()
		text, finish, usage, err := readAll(t, pieces(parts...))
		if err != nil || text != "Ahoy, 海盗 ☠" || finish != "stop" || !cmp.Equal(usage, Usage{PromptTokens: 3, CompletionTokens: 5}) {
			t.Fatalf("%q: got %q, %q, %+v, %v", parts, text, finish, usage, err)
		}
	}
	for i := range len(wire) + 1 {
		check(wire[:i], wire[i:])
		check(wire[:i/2], wire[i/2:i], "", wire[i:])
	}
	check(strings.Split(wire, "")...)
}

func TestAStreamThatEndsEarlyIsAnError(t *testing.T) {
	t.Parallel()
	for i := range len(wire) - len("data: [DONE]\n\n") {
		_, _, _, err := readAll(t, pieces(wire[:i]))
		if !errors.Is(err, io.ErrUnexpectedEOF) || lora.KindOf(err) != lora.Unavailable {
			t.Fatalf("cut at %d: got %v", i, err)
		}
	}
}

func TestAnErrorWithinAStreamIsTold(t *testing.T) {
	t.Parallel()
	_, _, _, err := readAll(t, pieces("data: {\"error\":{\"message\":\"the engine died\",\"code\":500}}\n\n", wire))
	if answer, ok := AsModelError(err); !ok || answer.Said() != "the engine died" || !strings.Contains(lora.Message(err), "Ask the base alone") {
		t.Errorf("got %v", err)
	}
	_, _, _, err = readAll(t, pieces("data: {\"error\":{\"message\":\"EngineCore encountered an issue.\",\"code\":500}}\n\n"))
	if answer, ok := AsModelError(err); !ok || !answer.Died() || !strings.Contains(lora.Message(err), "forgotten its adapters") {
		t.Errorf("a death within a stream: got %v", err)
	}
	if _, _, _, err := readAll(t, pieces("data: <html>\n\n")); lora.KindOf(err) != lora.Invalid {
		t.Errorf("no JSON: got %v", err)
	}
	if _, _, _, err := readAll(t, pieces(strings.Repeat("x", maxLine+1))); lora.KindOf(err) != lora.Invalid {
		t.Errorf("endless line: got %v", err)
	}
}
