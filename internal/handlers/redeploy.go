package handlers

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// askRedeploy says what deploying again what is there does, and asks: what names it fails meanwhile.
func (h *Handlers) askRedeploy(c echo.Context) error {
	ctx := c.Request().Context()
	id, err := pathID(c, "deployment")
	if err != nil {
		return err
	}
	found, err := h.tellDeployment(ctx, id)
	if err != nil {
		return err
	}
	if found.EndedAt != nil {
		return lora.Errorf(lora.Conflict, "Deployment %d has ended already. Deploy the adapter from its own page.", id)
	}
	label := fmt.Sprintf("%s v%d", found.Adapter, found.Version)
	shell, err := h.shell(c, "Redeploy "+label, "deck", "")
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.AskPage(shell, templates.Ask{
		Icons: shell.Assets.Icons, Path: templates.Link{Href: "/", Text: "Deck"}, Verb: "Redeploy", Name: label, Action: redeployPath(id),
		Back: templates.Link{Href: jobPath(found.JobID), Text: "Leave it as it is"},
		Will: []string{
			fmt.Sprintf("The inference component %s on endpoint %s is deleted, and created again from the same version.", found.Component, found.Endpoint),
			"Requests that name it fail until it is back in service, which takes minutes on AWS.",
			"It is proven again.",
		},
		Stays: []string{
			"Its artifact stays in S3, so nothing is uploaded again.",
			fmt.Sprintf("The base %s keeps serving, and so do its other adapters.", found.Base),
			"This deck keeps its jobs, proofs and comparisons.",
		},
	}))
}

// redeploy starts it and goes to the new deployment's job.
func (h *Handlers) redeploy(c echo.Context) error {
	id, err := pathID(c, "deployment")
	if err != nil {
		return err
	}
	job, err := h.Jobs.Redeploy(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return see(c, jobPath(job.ID))
}

func redeployPath(deployment int64) string {
	return "/deployments/" + strconv.FormatInt(deployment, 10) + "/redeploy"
}
