package handlers_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/people"
)

func nowOf(d **deck) func() time.Time {
	return func() time.Time { return (*d).now }
}

func (d *deck) dial(t *testing.T, query string, header http.Header) (*websocket.Conn, error) {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(d.URL, "http")+"/live?"+query, header)
	if response != nil {
		response.Body.Close()
	}
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// frame reads the next message; a test that waits for one that never comes fails after ten seconds.
func frame(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, message, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(message)
}

func TestASocketSendsEverythingFirstAndThenWhatChanged(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	job := d.seed(t)
	conn, err := d.dial(t, "page=deck", nil)
	if err != nil {
		t.Fatal(err)
	}
	first := frame(t, conn)
	for _, want := range []string{`<hx-partial hx-target="#deck" hx-swap="outerMorph">`, `<hx-partial hx-target="#tray-jobs" hx-swap="outerMorph">`, "in service: Creating"} {
		if !strings.Contains(first, want) {
			t.Errorf("the first frame lacks %q:\n%s", want, first)
		}
	}
	if page := d.get(t, "/").body; !strings.Contains(page, between(first, `hx-swap="outerMorph"><div class="region"`, "</hx-partial>")) {
		t.Error("the frame draws the deck in another way than the page")
	}
	d.hub.Changed(live.Deck) // nothing looks different, so nothing is sent
	d.prove(t, job, lora.VerdictProven)
	next := frame(t, conn)
	if strings.Contains(next, `id="tray-jobs"`) { // the tray is another stage, and may be first
		next = frame(t, conn)
	}
	if !strings.Contains(next, "Proven") {
		t.Errorf("the next frame does not show the proof:\n%s", next)
	}
}

// between gives what stands after start and before end, without start's tail up to its first ">".
func between(text, start, end string) string {
	_, text, _ = strings.Cut(text, start)
	text, _, _ = strings.Cut(text, end)
	return text
}

func TestSocketsAreToldToComeBackAtShutdown(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	conn, err := d.dial(t, "page=jobs", nil)
	if err != nil {
		t.Fatal(err)
	}
	frame(t, conn)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := d.handlers.Close(ctx); err != nil {
		t.Fatal(err)
	}
	_, _, err = conn.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.CloseServiceRestart {
		t.Errorf("got %v, want close code 1012", err)
	}
}

func TestSocketsOfOtherSitesAndOfNoPageAreRefused(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	if _, err := d.dial(t, "page=deck", http.Header{"Origin": {"https://evil.example"}}); err == nil {
		t.Error("a page of another site got a socket")
	}
	for _, query := range []string{"page=nosuch", "page=job", "page=job&id=99", "page=comparison&id=99"} {
		if _, err := d.dial(t, query, nil); err == nil {
			t.Errorf("%s got a socket", query)
		}
	}
}

func TestAnEndlessMessageEndsItsSocketOnly(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	loud, err := d.dial(t, "page=", nil)
	if err != nil {
		t.Fatal(err)
	}
	frame(t, loud)
	if err := loud.WriteMessage(websocket.TextMessage, make([]byte, 1<<20)); err != nil {
		t.Logf("closed while writing: %v", err)
	}
	if err := loud.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loud.ReadMessage(); err == nil {
		t.Error("a message of 1 MiB was taken")
	}
	if got := d.get(t, "/"); got.status != http.StatusOK {
		t.Errorf("another reader got %d", got.status)
	}
}

func TestAComparisonsPanesGrowEachInItsOwnFrame(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	var id int64
	d.write(t, func(q *db.Queries) error {
		c, err := q.AddComparison(t.Context(), db.AddComparisonParams{PlaceID: placeID, Endpoint: "local", BaseName: "tiny-llama-base", Request: `{"chat":true,"prompt":"Capital?","maxTokens":64,"temperature":0,"topP":1}`, CreatedAt: db.Millis(d.now)})
		if err != nil {
			return err
		}
		id = c.ID
		for n, name := range []string{"tiny-llama-base", "pirate-v1-tiny-llama-base"} {
			if err := q.AddPane(t.Context(), db.AddPaneParams{ComparisonID: id, N: int64(n), Component: name, Label: name}); err != nil {
				return err
			}
		}
		return nil
	})
	conn, err := d.dial(t, "page=comparison&id=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if first := frame(t, conn); !strings.Contains(first, `id="pane-1"`) || !strings.Contains(first, "Answering, 0 of 2 done") {
		t.Errorf("the first frame lacks panes or head:\n%s", first)
	}
	tokens, micros := int64(16), int64(12_000)
	d.write(t, func(q *db.Queries) error {
		for n, text := range []string{"The capital is Paris.", "The capital be Paris, matey!"} {
			if err := q.EndPane(t.Context(), db.EndPaneParams{State: "done", Text: text, Finish: "stop", TokensIn: &tokens, TokensOut: &tokens, TTFTMicros: &micros, ComparisonID: id, N: int64(n)}); err != nil {
				return err
			}
		}
		return nil
	})
	d.hub.Changed(live.Pane(id, 1))
	next := frame(t, conn)
	if strings.Contains(next, `id="pane-0"`) || !strings.Contains(next, "word 3") || !strings.Contains(next, "<mark>be Paris, matey!</mark>") {
		t.Errorf("got a frame that is not pane 1 with its first difference marked:\n%s", next)
	}
	page := d.get(t, "/comparisons/1").body
	for _, want := range []string{"Capital?", "pirate v1", "word 3", "12 <small>ms</small>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the comparison's page lacks %q", want)
		}
	}
	d.write(t, func(q *db.Queries) error {
		return q.EndPane(t.Context(), db.EndPaneParams{State: "failed", Text: "The capital be", Trouble: "The answer broke off.", TTFTMicros: &micros, ComparisonID: id, N: 1})
	})
	if page := d.get(t, "/comparisons/1").body; !strings.Contains(page, "Broke off") || strings.Contains(page, "No answer") {
		t.Error("of an answer that began it is said that there is none")
	}
	d.write(t, func(q *db.Queries) error {
		for n := range int64(2) {
			if err := q.EndPane(t.Context(), db.EndPaneParams{State: "done", Finish: "length", Text: "\n", TokensIn: &tokens, TokensOut: &tokens, TTFTMicros: &micros, ComparisonID: id, N: n}); err != nil {
				return err
			}
		}
		return nil
	})
	if page := d.get(t, "/comparisons/1").body; strings.Count(page, "no text in 16 tokens") != 2 || strings.Contains(page, "the same text as the base") {
		t.Error("answers without a visible letter are not told from others")
	}
}
