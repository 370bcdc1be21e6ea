package handlers

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
	"loradeck/internal/plan"
	"loradeck/web/templates"
)

// askRemove says what removing an adapter will do, and asks.
func (h *Handlers) askRemove(c echo.Context) error {
	place, name := c.QueryParam("place"), c.QueryParam("component")
	s, err := h.look(c.Request().Context())
	if err != nil {
		return err
	}
	a := adapter{}
	a.component, a.seen = s.components[where{place, name}]
	a.deployment, a.ours = s.deployed[where{place, name}]
	switch {
	case !a.seen && !a.ours:
		return lora.Errorf(lora.NotFound, "There is no adapter %s here. It may have been removed already.", name)
	case a.seen && a.component.BaseName == "":
		return lora.Errorf(lora.Invalid, "%s is a base component. Adapters are removed one by one; a base goes with its endpoint.", name)
	}
	shell, err := h.shell(c, "Remove "+a.label(), "deck", "")
	if err != nil {
		return err
	}
	view := templates.Ask{
		Icons: shell.Assets.Icons, Path: templates.Link{Href: "/", Text: "Deck"}, Verb: "Remove", Name: a.label(), Action: removePath(place, name),
		Back: templates.Link{Href: "/", Text: "Keep it"},
	}
	endpoint, base := a.component.Endpoint, a.component.BaseName
	if a.ours {
		endpoint, base = a.deployment.Endpoint, a.deployment.BaseName
	}
	view.Will = []string{
		fmt.Sprintf("The inference component %s on endpoint %s is deleted.", name, endpoint),
		"Requests that name it fail from then on.",
	}
	if !a.seen {
		view.Will = []string{fmt.Sprintf("The inference component %s is not on endpoint %s; if it turns up meanwhile it is deleted. The deck forgets this deployment.", name, endpoint)}
	}
	if a.seen {
		view.Twins = h.twins(place, plan.Remove(name))
	}
	if a.moving() {
		view.Will = append(view.Will, "A job is at work on it. The removal waits until that has ended.")
	}
	if a.component.ArtifactURL != "" {
		view.Stays = append(view.Stays, fmt.Sprintf("Its artifact stays in S3 at %s, so it can be deployed again without an upload.", a.component.ArtifactURL))
	}
	view.Stays = append(view.Stays,
		fmt.Sprintf("The base %s keeps serving, and so do its other adapters.", base),
		"This deck keeps its jobs, proofs and comparisons.",
	)
	return h.render(c, http.StatusOK, templates.AskPage(shell, view))
}

// remove starts the removal and goes to its job. Asked twice, it leads to the same job.
func (h *Handlers) remove(c echo.Context) error {
	job, err := h.Jobs.Remove(c.Request().Context(), c.QueryParam("place"), c.QueryParam("component"))
	if err != nil {
		return err
	}
	return see(c, jobPath(job.ID))
}
