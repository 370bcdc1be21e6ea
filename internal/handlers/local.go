package handlers

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"loradeck/internal/levers"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/people"
	"loradeck/web/templates"
)

// localPath is the page of the local place.
const localPath = "/places/local"

// panel gives the levers of the local place, or says that there is none.
func (h *Handlers) panel() (*levers.Panel, error) {
	if h.Levers == nil {
		return nil, lora.Errorf(lora.NotFound, "This dashboard runs without the local platform. Start it without --local-addr none to have one.")
	}
	return h.Levers, nil
}

// local is the page of the local place.
func (h *Handlers) local(c echo.Context) error {
	panel, err := h.panel()
	if err != nil {
		return err
	}
	panel.Refresh(c.Request().Context()) // a page that is asked for is true now
	now, _ := panel.Last()
	shell, err := h.shell(c, "Local place", "", "page=local")
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.LocalPage(shell, h.localView(panel), localForm(now, c.QueryParam("kind"))))
}

func (h *Handlers) localRegions(ctx context.Context) ([]region, error) {
	panel, err := h.panel()
	if err != nil {
		return nil, err
	}
	panel.Refresh(ctx) // the page may have been asked for long ago, before a restart
	return []region{{id: templates.IDLocal, keys: []string{live.Levers}, every: ageEvery, draw: func(context.Context, *moment) (templ.Component, error) {
		return templates.LocalBody(h.localView(panel)), nil
	}}}, nil
}

// faultsSet counts what is set to go wrong in the local place.
func (h *Handlers) faultsSet() int {
	now, _ := h.Levers.Last()
	return len(now.Set)
}

func (h *Handlers) localView(panel *levers.Panel) templates.Local {
	now, err := panel.Last()
	view := templates.Local{Icons: h.static.Assets().Icons}
	if err != nil {
		view.Trouble = lora.Message(err) + " What is shown is what was seen last."
	}
	view.Facts = []templates.Fact{
		{Label: "Address", Value: panel.Address(), Mono: true}, {Label: "Account", Value: now.Account, Mono: true}, {Label: "Region", Value: now.Region, Mono: true},
		{Label: "Pace", Value: now.Pace}, {Label: "Started", Value: templates.Ago(h.Now(), now.Started)},
	}
	for i, c := range now.Containers {
		answers := slices.ContainsFunc(now.Components, func(base levers.Component) bool { return base.Name == c.Component && base.Held })
		view.Containers = append(view.Containers, h.heldOf(c, i, answers))
	}
	view.Lost = lostOf(now, func(t time.Time) string { return templates.Clock(h.Now(), t) })
	for _, f := range now.Set {
		view.Set = append(view.Set, setOf(f, now.Menu))
	}
	for _, f := range now.Ended {
		view.Ended = append(view.Ended, h.endedOf(f))
	}
	return view
}

// heldOf draws the container at place i of those there are. One that is dead on purpose has answered the platform all the same.
func (h *Handlers) heldOf(c levers.Container, i int, answers bool) templates.Held {
	held := templates.Held{
		ID: "held-" + strconv.Itoa(i), Base: c.Component, Metrics: localPath + "/containers/" + url.PathEscape(c.Component) + "/metrics.txt",
		Empty: "It has no adapter.",
	}
	played := c.Version != ""
	switch {
	case !played && !answers:
		held.State = templates.State{Mark: "failed", Word: "Does not answer"}
		held.Specs, held.Metrics, held.Empty = []string{"a vLLM of your own"}, "", "What it has is not known."
	case !played && c.Dead:
		held.State, held.Specs = templates.State{Mark: "failed", Word: "Answers nothing"}, []string{"SageMaker says InService", "a vLLM of your own"}
	case !played:
		held.State, held.Specs = templates.State{Mark: "inservice", Word: "A vLLM of your own"}, []string{"it tells the names of its adapters only"}
	case c.Life == "dying":
		held.State = templates.State{Mark: "failed", Word: "Engine died"}
	case c.Life == "down":
		held.State = templates.State{Mark: "failed", Word: "Starting again"}
	case c.Dead:
		held.State, held.Specs = templates.State{Mark: "failed", Word: "Answers nothing"}, []string{"SageMaker says InService"}
	default:
		held.State = templates.State{Mark: "inservice", Word: "Running"}
	}
	if c.Life == "down" {
		held.Metrics = ""
	}
	if c.Life == "down" || len(c.Lost) > 0 {
		held.Empty = "It has forgotten its adapters."
	}
	places := 0
	for k, a := range c.Adapters {
		held.Adapters = append(held.Adapters, h.heldAdapterOf(a, played, fmt.Sprintf("held-%d-%d", i, k)))
		if a.Kept {
			places++
		}
	}
	if played {
		held.Specs = append(held.Specs, "plays vLLM "+c.Version, "started "+templates.Ago(h.Now(), c.Started), fmt.Sprintf("%d of %d kept in memory", places, c.CPULoras),
			fmt.Sprintf("up to %d in a batch", c.MaxLoras), fmt.Sprintf("%d running, %d waiting", c.Running, c.Waiting))
	}
	return held
}

func (h *Handlers) heldAdapterOf(a levers.Adapter, played bool, id string) templates.HeldAdapter {
	out := templates.HeldAdapter{ID: id, Name: a.Name, State: templates.State{Mark: "inservice", Word: "registered"}}
	if played {
		out.Since, out.Note = templates.Ago(h.Now(), a.Registered), templates.Plural(a.Modules, "module")
		if a.Modules == 0 {
			out.Note = "nothing: it answers as the base"
		}
	}
	switch {
	case a.Dead:
		out.State = templates.State{Mark: "failed", Word: "answers nothing"}
	case !played && a.Kept: // as it is
	case !played:
		out.State = templates.State{Mark: "waiting", Word: "forgotten, registered again on its next use"}
	case a.Answering:
		out.State = templates.State{Mark: "running", Word: "answering"}
	case a.Kept:
		out.State = templates.State{Mark: "inservice", Word: "in memory"}
	default:
		out.State = templates.State{Mark: "waiting", Word: "evicted, read again on its next use"}
	}
	return out
}

func setOf(f levers.Fault, menu []levers.Entry) templates.SetFault {
	out := templates.SetFault{ID: f.ID, Kind: f.Kind}
	if i := slices.IndexFunc(menu, func(e levers.Entry) bool { return e.Kind == f.Kind }); i >= 0 {
		out.Sentence = menu[i].Sentence
	}
	left := "until released"
	if f.Calls > 0 {
		left = templates.Plural(f.Calls, "call") + " to come"
	}
	happened := "it has not happened yet"
	if f.Happened > 0 {
		happened = "it has happened " + times(f.Happened)
	}
	out.Often = fmt.Sprintf("For %s, %s; %s.", faultedBy(f), left, happened)
	return out
}

// faultedBy is what a fault is for.
func faultedBy(f levers.Fault) string { return cmp.Or(f.Resource, "everything") }

// times says how often something happened.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return templates.Plural(n, "time")
}

// endedOf tells of a fault how it ended.
func (h *Handlers) endedOf(f levers.Ended) templates.EndedFault {
	out := templates.EndedFault{ID: f.ID, Kind: f.Kind, Again: templates.AgainForm{Resource: f.Resource}}
	asked := f.Asked()
	if asked > 0 {
		out.Again.Calls = strconv.Itoa(asked)
	}
	happened, at := times(f.Happened), templates.Clock(h.Now(), f.At)
	switch {
	case !f.Released:
		out.What = fmt.Sprintf("on %s happened %s and ended at %s.", faultedBy(f.Fault), happened, at)
	case f.Happened == 0:
		out.What = fmt.Sprintf("on %s was released at %s; it had not happened.", faultedBy(f.Fault), at)
	case asked == 0:
		out.What = fmt.Sprintf("on %s was released at %s; it had happened %s.", faultedBy(f.Fault), at, happened)
	default:
		out.What = fmt.Sprintf("on %s was released at %s after %d of %d calls.", faultedBy(f.Fault), at, f.Happened, asked)
	}
	return out
}

func localForm(now levers.Local, chosen string) templates.LocalForm {
	f := templates.LocalForm{Chosen: chosen}
	for _, e := range now.Menu {
		i := slices.IndexFunc(f.Parts, func(p templates.MenuPart) bool { return p.Name == e.Part })
		if i < 0 {
			i = len(f.Parts)
			f.Parts = append(f.Parts, templates.MenuPart{Name: e.Part})
		}
		f.Parts[i].Lines = append(f.Parts[i].Lines, templates.MenuLine{Kind: e.Kind, Sentence: e.Sentence, Resource: e.Resource})
	}
	for _, c := range now.Components {
		f.Names = append(f.Names, c.Name, c.Endpoint)
	}
	slices.Sort(f.Names)
	f.Names = slices.Compact(f.Names)
	for _, pace := range now.Paces {
		f.Paces = append(f.Paces, templates.Option{Value: pace, Text: pace, Chosen: pace == now.Pace})
	}
	return f
}

// pull gives the levers to whoever may pull them. What goes wrong in the place goes wrong for everybody, so it takes an admin.
func (h *Handlers) pull(c echo.Context) (*levers.Panel, error) {
	if !person(c).Role.May(people.Admin) {
		return nil, lora.Errorf(lora.Forbidden, "The levers of the local place change it for everybody, so they need the role admin in the token file. Nothing was done.")
	}
	return h.panel()
}

// pulled shows what a lever did.
func pulled(c echo.Context, panel *levers.Panel, err error) error {
	if err != nil {
		return err
	}
	panel.Refresh(c.Request().Context())
	return see(c, localPath)
}

func (h *Handlers) setFault(c echo.Context) error {
	panel, err := h.pull(c)
	if err != nil {
		return err
	}
	kind, calls := c.FormValue("kind"), 0
	if kind == "" {
		return lora.Errorf(lora.Invalid, "Choose a fault of the menu.")
	}
	if text := strings.TrimSpace(c.FormValue("calls")); text != "" {
		if calls, err = strconv.Atoi(text); err != nil || calls < 1 {
			return lora.Errorf(lora.Invalid, "%q is no number of calls. Give 1 or more, or leave it empty to have the fault happen until it is released.", text)
		}
	}
	return pulled(c, panel, panel.Set(c.Request().Context(), kind, strings.TrimSpace(c.FormValue("resource")), calls))
}

// releaseFaults ends the fault that the form names, or all.
func (h *Handlers) releaseFaults(c echo.Context) error {
	panel, err := h.pull(c)
	if err != nil {
		return err
	}
	if id := c.FormValue("id"); id != "" {
		return pulled(c, panel, panel.Release(c.Request().Context(), id))
	}
	return pulled(c, panel, panel.ReleaseAll(c.Request().Context()))
}

func (h *Handlers) setPace(c echo.Context) error {
	panel, err := h.pull(c)
	if err != nil {
		return err
	}
	return pulled(c, panel, panel.SetPace(c.Request().Context(), c.FormValue("pace")))
}

// containerMetrics passes on what a container counts: no way leads to it from outside this machine.
func (h *Handlers) containerMetrics(c echo.Context) error {
	panel, err := h.panel()
	if err != nil {
		return err
	}
	text, err := panel.Metrics(c.Request().Context(), c.Param("name"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", text)
}
