package handlers

import (
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// staleSays says why the newest proof of the adapter no longer counts, and "" while it does.
func (a adapter) staleSays(base db.Component, now time.Time) string {
	return staleSays(a.stale(base), db.News(a.component, base), now)
}

// staleSays says why a proof no longer counts, and "" while it does.
func staleSays(cause lora.StaleCause, news lora.ProofNews, now time.Time) string {
	switch cause {
	case lora.StaleComponent:
		return "It has changed since it was proven."
	case lora.StaleBase:
		return "Its base has changed since it was proven."
	case lora.StaleDied:
		return "Proven before the engine of its base died at " + templates.Clock(now, news.Died) + "."
	case lora.StaleForgot:
		return "Proven before the engine of its base was found without its adapters at " + templates.Clock(now, news.Forgot) + "."
	case lora.StaleMissed:
		return "Proven before a copy of its base did not know it at " + templates.Clock(now, news.Missed) + "."
	}
	return ""
}

// lost counts the adapters whose proofs no longer count because the engine of their base started anew.
func lost(base db.Component, found []adapter) int {
	count := 0
	for _, a := range found {
		if cause := a.stale(base); a.inService() && !a.moving() && (cause == lora.StaleDied || cause == lora.StaleForgot) {
			count++
		}
	}
	return count
}

// lostNeed lifts an engine that has lost its adapters to the top of the deck.
func lostNeed(base db.Component, count int, at string, now time.Time) templates.Need {
	need := templates.Need{
		Mark: "warn", Title: "The engine of " + base.Name + " died at " + templates.Clock(now, db.Time(base.DiedAt)) + ".", Act: templates.Link{Href: "#" + at, Text: "Show"},
		Text: "It comes back without its adapters, although SageMaker goes on saying InService.",
	}
	if base.ForgotAt > base.DiedAt {
		need.Title = "The engine of " + base.Name + " was found without its adapters at " + templates.Clock(now, db.Time(base.ForgotAt)) + "."
		need.Text = "It has started anew, although SageMaker goes on saying InService."
	}
	need.Text += " What was proven before (" + templates.Plural(count, "adapter") + ") no longer counts: prove it again, and deploy anew what the engine does not know."
	return need
}

// proveAgain starts another proof of what is in service. Asked twice, it leads to the same job.
func (h *Handlers) proveAgain(c echo.Context) error {
	id, err := pathID(c, "deployment")
	if err != nil {
		return err
	}
	job, err := h.Jobs.Prove(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return h.answerJob(c, job.ID)
}
