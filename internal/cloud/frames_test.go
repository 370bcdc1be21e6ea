package cloud_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"loradeck/internal/cloud"
	"loradeck/internal/lora"
)

// spoken is a stream of vLLM's with characters of several bytes.
const spoken = "data: {\"choices\":[{\"index\":0,\"text\":\"Ahoy, 海盗 ☠\",\"finish_reason\":null}]}\n\n" +
	"data: {\"choices\":[{\"index\":0,\"text\":\"!\",\"finish_reason\":\"stop\"}]}\n\n" +
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"total_tokens\":8,\"completion_tokens\":5}}\n\n" +
	"data: [DONE]\n\n"

// frame writes one event as SageMaker does (facts/sagemaker-vllm.md §1b.4).
func frame(t testing.TB, kind, name, content, payload string) []byte {
	t.Helper()
	var out bytes.Buffer
	headers := eventstream.Headers{}
	headers.Set(":message-type", eventstream.StringValue(kind))
	headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	headers.Set(":content-type", eventstream.StringValue(content))
	if err := eventstream.NewEncoder().Encode(&out, eventstream.Message{Headers: headers, Payload: []byte(payload)}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func part(t testing.TB, payload string) []byte {
	return frame(t, "event", "PayloadPart", "application/octet-stream", payload)
}

// wire is a runtime that answers every call with these bytes as its event stream.
type wire struct{ body []byte }

func (s *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/endpoints/") {
		w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
		w.Write(s.body)
		return
	}
	w.Header().Set("Content-Type", "text/xml") // who one is, which is asked on entering
	w.Write([]byte(`<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>` +
		`<Arn>arn:aws:iam::000000000000:root</Arn><UserId>0</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`))
}

func listen(t testing.TB) (*wire, *cloud.Place) {
	t.Helper()
	s := &wire{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, enter(t, server.URL)
}

// TestStreamsAreReadWholeWhereverTheirFramesEnd cuts the stream at every byte into two frames, and into frames of one byte.
func TestStreamsAreReadWholeWhereverTheirFramesEnd(t *testing.T) {
	t.Parallel()
	s, place := listen(t)
	check := func(frames ...[]byte) {
		t.Helper()
		s.body = bytes.Join(frames, nil)
		text, usage, finish, err := read(t, place)
		if err != nil || text != "Ahoy, 海盗 ☠!" || finish != "stop" || usage != 5 {
			t.Fatalf("%d frames: got %q, %q, %d tokens, %v", len(frames), text, finish, usage, err)
		}
	}
	for i := 1; i < len(spoken); i++ {
		check(part(t, spoken[:i]), part(t, spoken[i:]))
	}
	for size := 1; size < 9; size++ {
		var frames [][]byte
		for rest := spoken; rest != ""; rest = rest[min(size, len(rest)):] {
			frames = append(frames, part(t, rest[:min(size, len(rest))]))
		}
		check(frames...)
	}
}

// read takes a stream and gives what it said.
func read(t testing.TB, place *cloud.Place) (text string, tokens int, finish string, err error) {
	t.Helper()
	for delta, failed := range place.Stream(t.Context(), lora.Target{Endpoint: "e", Component: "one"}, cloud.GenerateRequest{Prompt: "hello", MaxTokens: 8}) {
		if failed != nil {
			return text, tokens, finish, failed
		}
		text += delta.Text
		if delta.Finish != "" {
			finish = delta.Finish
		}
		if delta.Usage != nil {
			tokens = delta.Usage.CompletionTokens
		}
	}
	return text, tokens, finish, nil
}

// TestStreamsThatBreakAreTold has the exceptions of a response stream, a frame that lost a byte and a connection that ended.
func TestStreamsThatBreakAreTold(t *testing.T) {
	t.Parallel()
	s, place := listen(t)
	begun := part(t, spoken[:100])
	for name, c := range map[string]struct {
		then []byte
		says string
	}{
		"broken":  {frame(t, "exception", "ModelStreamError", "application/json", `{"ErrorCode":"StreamBroken","Message":"x"}`), "The answer broke off: the connection to the model's server was lost. Ask again."},
		"late":    {frame(t, "exception", "ModelStreamError", "application/json", `{"ErrorCode":"ModelInvocationTimeExceeded","Message":"x"}`), "it took longer than SageMaker lets a stream take"},
		"failed":  {frame(t, "exception", "InternalStreamFailure", "application/json", `{"Message":"x"}`), "Try again in a moment."},
		"cut":     {part(t, spoken[100:])[:50], "."},
		"flipped": {part(t, spoken[100:]), "."}, // below
		"ended":   {nil, "The stream broke off before its end. Ask again."},
	} {
		s.body = append(bytes.Clone(begun), c.then...)
		if name == "flipped" {
			s.body[len(begun)+30] ^= 1
		}
		text, _, _, err := read(t, place)
		if !strings.HasPrefix(text, "Ahoy, ") || lora.KindOf(err) != lora.Unavailable || !strings.Contains(lora.Message(err), c.says) {
			t.Errorf("%s: got %q and %q (%v)", name, text, lora.Message(err), err)
		}
	}
}

// FuzzFrames sends anything as an event stream: it is read or refused with a sentence, and never waited for.
func FuzzFrames(f *testing.F) {
	s, place := listen(f)
	whole := part(f, spoken)
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	f.Add(append(part(f, "data: {\"choices\":[{\"te"), whole...))
	f.Add(append(bytes.Clone(whole[:40]), 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte{0, 0, 0, 16, 0, 0, 0, 0, 5, 0xc2, 0x48, 0xeb, 0x7d, 0x98, 0xc8, 0xff}) // an event without anything
	f.Add(append(bytes.Clone(whole), frame(f, "exception", "ModelStreamError", "application/json", "{")...))
	f.Add(frame(f, "exception", "Nothing", "text/plain", "<html>"))
	f.Add(frame(f, "error", "PayloadPart", "", ""))
	f.Fuzz(func(t *testing.T, body []byte) {
		s.body = body
		_, _, _, err := read(t, place)
		if message := lora.Message(err); err != nil && !strings.HasSuffix(message, ".") && !strings.HasSuffix(message, "?") {
			t.Errorf("no sentence: %q (%v)", message, err)
		}
	})
}
