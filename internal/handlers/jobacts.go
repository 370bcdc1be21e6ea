package handlers

import (
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// actsOf says what can be done with a job now.
func actsOf(r record) []templates.Act {
	switch {
	case r.moving() && r.job.CancelAskedAt == nil && !(r.job.Kind == lora.JobRemove && r.job.Step > 0):
		return []templates.Act{{Text: "Cancel", Href: jobPath(r.job.ID) + "/cancel"}}
	case r.job.State == lora.JobFailed && (r.deployment.ID == 0 || r.deployment.EndedAt == nil):
		return []templates.Act{{Text: "Try again from " + r.stepNow().Name, Post: jobPath(r.job.ID) + "/retry"}}
	}
	return nil
}

// askCancel says what cancelling a job will do at the step it is in, and asks.
func (h *Handlers) askCancel(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	r, err := h.record(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if len(actsOf(r)) == 0 || !r.moving() {
		return see(c, jobPath(id)) // it has ended meanwhile, or is being cancelled
	}
	shell, err := h.shell(c, "Cancel "+r.job.Title, "jobs", "")
	if err != nil {
		return err
	}
	view := templates.Ask{
		Icons: shell.Assets.Icons, Path: templates.Link{Href: jobPath(id), Text: "Job " + strconv.FormatInt(id, 10)}, Verb: "Cancel", Name: r.job.Title,
		Action: jobPath(id) + "/cancel", Back: templates.Link{Href: jobPath(id), Text: "Let it go on"},
	}
	view.Will, view.Stays = cancelSays(r)
	return h.render(c, http.StatusOK, templates.AskPage(shell, view))
}

// cancelSays tells what a cancel does now and what it leaves.
func cancelSays(r record) (will, stays []string) {
	kept := "The job stays in the history, with its steps and reasons."
	if r.job.Kind == lora.JobRemove {
		return []string{"The job stops before the component is deleted, unless the service has accepted that meanwhile."}, []string{"The component stays as it is.", kept}
	}
	if r.job.Kind == lora.JobProve {
		return []string{"The job stops asking."}, []string{"The component stays as it is, and so do its earlier proofs.", kept}
	}
	switch r.stepNow().Name {
	case lora.StepCheck, lora.StepPack:
		will = []string{"The job stops. Nothing was sent or created yet."}
	case lora.StepUpload:
		will = []string{"The upload to S3 is aborted and its parts are removed."}
	default:
		will = []string{
			"The inference component " + r.deployment.ComponentName + " is deleted, if the service has made it.",
			"While the service is still creating it, it refuses to delete it; the job waits for that, shown as cancelling.",
		}
		stays = append(stays, "The artifact stays in S3, so deploying again needs no upload.")
	}
	return will, append(stays, "The adapter's files stay in the data folder.", kept)
}

// cancelJob starts the cancel and answers the job. Asked twice, it is asked once.
func (h *Handlers) cancelJob(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	if err := h.Jobs.Cancel(c.Request().Context(), id); err != nil {
		return err
	}
	return h.answerJob(c, id)
}

// retryJob goes on with a failed job at the step it failed in.
func (h *Handlers) retryJob(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	if err := h.Jobs.Retry(c.Request().Context(), id); err != nil {
		return err
	}
	return h.answerJob(c, id)
}
