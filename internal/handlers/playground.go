package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// question is the playground's form as it was sent, before anybody has judged it.
type question struct {
	base        string // key of the base
	adapters    []string
	chat        bool
	system      string
	text        string
	maxTokens   string
	temperature string
	topP        string
	seed        string
	wrong       map[string]string
}

// baseKey names a base in forms and addresses: component names hold no space.
func baseKey(place, name string) string { return place + " " + name }

func splitKey(key string) (place, name string) {
	place, name, _ = strings.Cut(key, " ")
	return place, name
}

// playground is the empty form, with what the address asks for filled in.
func (h *Handlers) playground(c echo.Context) error {
	q := question{
		base: c.QueryParam("base"), adapters: c.QueryParams()["adapter"], chat: c.QueryParam("mode") != "prompt", text: c.QueryParam("text"),
		maxTokens: "128", temperature: "0", topP: "1", wrong: map[string]string{},
	}
	return h.showPlayground(c, http.StatusOK, q, nil, "")
}

func (h *Handlers) showPlayground(c echo.Context, status int, q question, run *templates.Run, live string) error {
	view, err := h.playgroundView(c.Request().Context(), q)
	if err != nil {
		return err
	}
	view.Run = run
	shell, err := h.shell(c, "Playground", "playground", live)
	if err != nil {
		return err
	}
	return h.render(c, status, templates.PlaygroundPage(shell, view))
}

func (h *Handlers) playgroundView(ctx context.Context, q question) (templates.Playground, error) {
	view := templates.Playground{Icons: h.static.Assets().Icons}
	var err error
	if view.Recent, err = h.recent(ctx); err != nil {
		return view, err
	}
	s, err := h.look(ctx)
	if err != nil {
		return view, err
	}
	var bases []db.Component
	for _, c := range s.inOrder {
		if c.BaseName == "" && lora.Status(c.Status) == lora.StatusInService {
			bases = append(bases, c)
		}
	}
	if len(bases) == 0 {
		view.Nothing = "No base is in service. As soon as one is, it and its adapters can be asked here."
		return view, nil
	}
	chosen := slices.IndexFunc(bases, func(b db.Component) bool { return baseKey(b.PlaceID, b.Name) == q.base })
	if chosen < 0 {
		chosen = max(0, slices.IndexFunc(bases, func(b db.Component) bool { return idle(b) == "" }))
	}
	base := bases[chosen]
	view.Form = templates.Compose{
		Base: baseKey(base.PlaceID, base.Name), Chat: q.chat, System: q.system, Text: q.text,
		MaxTokens: q.maxTokens, Temperature: q.temperature, TopP: q.topP, Seed: q.seed, Wrong: q.wrong, Idle: idle(base),
	}
	for i, b := range bases {
		view.Form.Bases = append(view.Form.Bases, templates.Choice{Text: b.Name, Href: playgroundPath(b.PlaceID, b.Name), Chosen: i == chosen})
	}
	now := h.Now()
	for _, a := range s.adapters(base) {
		state := a.state(base, now)
		choice := templates.Choice{Value: a.name(), Text: a.label(), Note: string(state), Chosen: slices.Contains(q.adapters, a.name()), Off: !a.inService() || view.Form.Idle != ""}
		if why := a.staleSays(base, now); why != "" && state == lora.StateNotProven {
			choice.Note += ". " + why
		}
		if choice.Off {
			choice.Note, choice.Chosen = string(state)+": cannot answer", false
		}
		view.Form.Adapters = append(view.Form.Adapters, choice)
		if choice.Chosen && a.ours {
			for _, try := range h.tries(base, q.adapters, a.deployment.Adapter) {
				if !slices.Contains(view.Form.Tries, try) { // samples share some
					view.Form.Tries = append(view.Form.Tries, try)
				}
			}
		}
	}
	if view.Form.Text == "" && len(view.Form.Tries) > 0 && len(q.wrong) == 0 {
		view.Form.Text = view.Form.Tries[0].Text
	}
	return view, nil
}

// recent lists the newest comparisons by what was asked.
func (h *Handlers) recent(ctx context.Context) ([]templates.Past, error) {
	rows, err := h.DB.Read().NewestComparisons(ctx, 8)
	if err != nil {
		return nil, fmt.Errorf("read comparisons: %w", err)
	}
	now := h.Now()
	var past []templates.Past
	for _, row := range rows {
		var asked compare.Request
		if err := json.Unmarshal([]byte(row.Request), &asked); err != nil {
			return nil, fmt.Errorf("read comparison %d: %w", row.ID, err)
		}
		text := []rune(strings.Join(strings.Fields(asked.Prompt), " "))
		if len(text) > 120 {
			text = append(text[:119], '…')
		}
		past = append(past, templates.Past{Href: comparisonPath(row.ID), Text: string(text), When: templates.Clock(now, db.Time(row.CreatedAt))})
	}
	return past, nil
}

// tries are prompts that a chosen sample comes with, as links that fill them in.
func (h *Handlers) tries(base db.Component, adapters []string, name string) []templates.Link {
	var links []templates.Link
	for _, s := range h.Samples {
		if s.Name != name {
			continue
		}
		for _, prompt := range s.Prompts[:min(len(s.Prompts), 4)] {
			links = append(links, templates.Link{Href: playgroundPath(base.PlaceID, base.Name, adapters...) + "&text=" + url.QueryEscape(prompt), Text: prompt})
		}
	}
	return links
}

// compare asks what the form says and goes to the comparison's page.
func (h *Handlers) compare(c echo.Context) error {
	form, err := c.FormParams()
	if err != nil {
		return err
	}
	q := question{
		base: form.Get("base"), adapters: form["adapter"], chat: form.Get("mode") == "chat", system: form.Get("system"), text: form.Get("text"),
		maxTokens: form.Get("max_tokens"), temperature: form.Get("temperature"), topP: form.Get("top_p"), seed: form.Get("seed"), wrong: map[string]string{},
	}
	request := q.request()
	var id int64
	if len(q.wrong) == 0 {
		if id, err = h.Board.Start(c.Request().Context(), request); err == nil {
			return see(c, comparisonPath(id)+"#"+templates.IDRun) // on a phone the answers are below the form
		}
		if kind := lora.KindOf(err); kind != lora.Invalid && kind != lora.NotFound {
			return err
		}
		q.wrong[fieldOf(err, request)] = lora.Message(err)
	}
	return h.showPlayground(c, http.StatusUnprocessableEntity, q, nil, "")
}

// request reads the form's numbers; what is no number is noted at its field.
func (q *question) request() compare.Request {
	r := compare.Request{Adapters: q.adapters, Chat: q.chat, System: strings.TrimSpace(unixLines(q.system)), Prompt: unixLines(q.text)}
	r.PlaceID, r.Base = splitKey(q.base)
	if !q.chat {
		r.System = ""
	}
	var err error
	if r.MaxTokens, err = strconv.Atoi(strings.TrimSpace(q.maxTokens)); err != nil {
		q.wrong["max_tokens"] = "Write a whole number."
	}
	if r.Temperature, err = strconv.ParseFloat(strings.TrimSpace(q.temperature), 64); err != nil {
		q.wrong["temperature"] = "Write a number from 0 to 2."
	}
	if r.TopP, err = strconv.ParseFloat(strings.TrimSpace(q.topP), 64); err != nil {
		q.wrong["top_p"] = "Write a number over 0 and at most 1."
	}
	if text := strings.TrimSpace(q.seed); text != "" {
		seed, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seed < 0 {
			q.wrong["seed"] = "Write a whole number from 0, or nothing."
		}
		r.Seed = &seed
	}
	return r
}

// fieldOf finds the field that a refused request is about. What is not a number's fault stands at the question itself.
func fieldOf(err error, r compare.Request) string {
	fine := compare.Request{Prompt: "x", MaxTokens: 1, TopP: 1}
	for _, probe := range []struct {
		field string
		set   func(*compare.Request)
	}{
		{"max_tokens", func(p *compare.Request) { p.MaxTokens = r.MaxTokens }},
		{"temperature", func(p *compare.Request) { p.Temperature = r.Temperature }},
		{"top_p", func(p *compare.Request) { p.TopP = r.TopP }},
		{"adapter", func(p *compare.Request) { p.Adapters = r.Adapters }},
	} {
		tried := fine
		probe.set(&tried)
		if wrong := tried.Check(); wrong != nil && lora.Message(wrong) == lora.Message(err) {
			return probe.field
		}
	}
	if lora.KindOf(err) == lora.NotFound {
		return "adapter"
	}
	return "text"
}

func comparisonPath(id int64) string { return fmt.Sprintf("/comparisons/%d", id) }

// unixLines undoes what browsers do to the lines of a text area: a model reads \r\n as other tokens than \n.
func unixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }
