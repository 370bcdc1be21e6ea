package handlers

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/compare"
	"loradeck/web/templates"
)

// comparison is the page of one comparison: its panes below the form that would ask again.
func (h *Handlers) comparison(c echo.Context) error {
	id, err := pathID(c, "comparison")
	if err != nil {
		return err
	}
	found, err := h.Board.Find(c.Request().Context(), id)
	if err != nil {
		return err
	}
	run, err := h.runView(c.Request().Context(), found)
	if err != nil {
		return err
	}
	r := found.Request
	q := question{
		base: baseKey(r.PlaceID, r.Base), adapters: r.Adapters, chat: r.Chat, system: r.System, text: r.Prompt, maxTokens: strconv.Itoa(r.MaxTokens),
		temperature: strconv.FormatFloat(r.Temperature, 'g', -1, 64), topP: strconv.FormatFloat(r.TopP, 'g', -1, 64), wrong: map[string]string{},
	}
	if r.Seed != nil {
		q.seed = strconv.FormatInt(*r.Seed, 10)
	}
	return h.showPlayground(c, http.StatusOK, q, &run, fmt.Sprintf("page=comparison&id=%d", id))
}

// stopComparison ends what still runs. Scripted pages hear of it through their socket; others are sent back to the page.
func (h *Handlers) stopComparison(c echo.Context) error {
	id, err := pathID(c, "comparison")
	if err != nil {
		return err
	}
	h.Board.Stop(id)
	if c.Request().Header.Get("HX-Request") != "" {
		return c.NoContent(http.StatusNoContent)
	}
	return see(c, comparisonPath(id))
}

func (h *Handlers) runView(ctx context.Context, found compare.Comparison) (templates.Run, error) {
	deployed, err := h.DB.Read().LiveDeployments(ctx)
	if err != nil {
		return templates.Run{}, fmt.Errorf("read deployments: %w", err)
	}
	labels := map[string]string{}
	for _, d := range deployed {
		if d.PlaceID == found.Request.PlaceID {
			labels[d.ComponentName] = fmt.Sprintf("%s v%d", d.Adapter, d.Version)
		}
	}
	run := templates.Run{ID: found.ID, When: templates.Clock(h.Now(), found.Created)}
	ended, silent := 0, 0
	for n, p := range found.Panes {
		if p.State != compare.Running {
			ended++
		}
		if p.State == compare.Failed {
			silent++
		}
		label := p.Label
		if ours, there := labels[p.Component]; there {
			label = ours
		}
		run.Panes = append(run.Panes, paneView(n, label, p, found.Panes[0]))
	}
	switch found.State {
	case compare.Running:
		run.State, run.StopURL = templates.State{Mark: "running"}, comparisonPath(found.ID)+"/stop"
		run.Summary = fmt.Sprintf("Answering, %d of %d done", ended, len(found.Panes))
	case compare.Done:
		run.State, run.Summary = templates.State{Mark: "done"}, "All have answered"
		if silent > 0 {
			run.State, run.Summary = templates.State{Mark: "failed"}, fmt.Sprintf("%d of %d gave no answer", silent, len(found.Panes))
		}
	case compare.Stopped:
		run.State, run.Summary = templates.State{Mark: "cancelled"}, "Stopped"
	default:
		run.State, run.Summary = templates.State{Mark: "warn"}, "Cut off when the program ended"
	}
	return run, nil
}

// onePiece is how soon after its first text an answer may end to have come in one piece: the time between says how fast a
// buffer was read, not how fast the model spoke, so no speed is shown. It is what Go lets one goroutine run while others wait, and
// the local engine may be that one.
const onePiece = 10 * time.Millisecond

// paneView draws one answer and reads it against the base's, which is always pane 0.
func paneView(n int, label string, p, base compare.Pane) templates.Pane {
	view := templates.Pane{
		N: n, Key: string(rune('A' + n)), Label: label, Ref: n == 0, Moving: p.State == compare.Running, State: paneState(p.State),
		In: count(p.TokensIn), Out: count(p.TokensOut), Same: p.Text, Note: p.Trouble,
	}
	if p.State == compare.Failed && p.Text != "" { // what came stands there
		view.State.Word = "Broke off"
	}
	if p.TTFT > 0 {
		view.TTFT = templates.Measure{Value: strconv.FormatInt(max(p.TTFT.Round(time.Millisecond).Milliseconds(), 1), 10), Unit: "ms"}
	}
	if rate := p.TokensPerSecond(); rate > 0 && p.Took-p.TTFT >= onePiece {
		view.Speed = templates.Measure{Value: speed(rate), Unit: "tok/s"}
	}
	if n > 0 {
		growing := p.State == compare.Running || base.State == compare.Running
		if p.Text != "" { // where nothing was said, nothing differs
			view.Same, view.Flag, view.Rest = templates.Diverge(base.Text, p.Text, growing)
		}
		if !growing && view.Flag == "" && strings.TrimSpace(p.Text) != "" && view.Note == "" {
			view.Note = "the same text as the base"
		}
	}
	if p.Finish == "length" && p.TokensOut > 0 && strings.TrimSpace(p.Text) == "" {
		view.Note = "no text in " + templates.Plural(int(p.TokensOut), "token") + ": weights that hold NaN answer so"
	}
	if view.Note == "" {
		view.Note = map[string]string{"stop": "ended by itself", "length": "cut at max tokens"}[p.Finish]
	}
	return view
}

func paneState(state string) templates.State {
	switch state {
	case compare.Running:
		return templates.State{Mark: "running", Word: "Answering"}
	case compare.Done:
		return templates.State{Mark: "done", Word: "Done"}
	case compare.Stopped:
		return templates.State{Mark: "cancelled", Word: "Stopped"}
	case compare.Failed:
		return templates.State{Mark: "failed", Word: "No answer"}
	}
	return templates.State{Mark: "warn", Word: "Cut off"}
}

// speed writes a rate with the digits that mean something.
func speed(rate float64) string {
	if rate >= 100 {
		return templates.Count(int64(math.Round(rate)))
	}
	return strconv.FormatFloat(rate, 'f', 1, 64)
}

func count(tokens int64) templates.Measure {
	if tokens < 0 {
		return templates.Measure{}
	}
	return templates.Measure{Value: templates.Count(tokens), Unit: "tok"}
}
