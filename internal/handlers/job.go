package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/check"
	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// job is the page of one job.
func (h *Handlers) job(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	view, err := h.jobView(c.Request().Context(), id)
	if err != nil {
		return err
	}
	shell, err := h.shell(c, view.Title, "jobs", "page=job&id="+strconv.FormatInt(id, 10))
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.JobPage(shell, view))
}

// record is everything stored about one job.
type record struct {
	job        db.Job
	steps      []db.Step
	attempts   []db.Attempt
	deliveries []db.Delivery
	place      db.Place
	deployment db.Deployment // zero for a job on a component that was not shipped from here
	version    db.Version
	adapter    db.Adapter
	component  db.Component
	seen       bool         // component is there now
	base       db.Component // zero when it is not there
}

func (h *Handlers) record(ctx context.Context, id int64) (record, error) {
	q := h.DB.Read()
	var r record
	var err error
	if r.job, err = q.Job(ctx, id); err != nil {
		return r, db.Found(err, "There is no job %d. It may belong to another data folder.", id)
	}
	if r.steps, err = q.Steps(ctx, id); err != nil {
		return r, fmt.Errorf("read steps of job %d: %w", id, err)
	}
	if r.attempts, err = q.Attempts(ctx, id); err != nil {
		return r, fmt.Errorf("read attempts of job %d: %w", id, err)
	}
	if r.deliveries, err = q.DeliveriesOfJob(ctx, id); err != nil {
		return r, fmt.Errorf("read webhook events of job %d: %w", id, err)
	}
	if r.place, err = q.Place(ctx, r.job.PlaceID); err != nil {
		return r, fmt.Errorf("read place of job %d: %w", id, err)
	}
	if r.job.DeploymentID == nil {
		return r, nil
	}
	if r.deployment, err = q.Deployment(ctx, *r.job.DeploymentID); err != nil {
		return r, fmt.Errorf("read deployment of job %d: %w", id, err)
	}
	if r.version, err = q.Version(ctx, r.deployment.VersionID); err != nil {
		return r, fmt.Errorf("read version of job %d: %w", id, err)
	}
	if r.adapter, err = q.Adapter(ctx, r.version.AdapterID); err != nil {
		return r, fmt.Errorf("read adapter of job %d: %w", id, err)
	}
	r.component, err = q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: r.job.PlaceID, Name: r.deployment.ComponentName})
	if err != nil && !db.Missing(err) {
		return r, fmt.Errorf("read component of job %d: %w", id, err)
	}
	r.seen = err == nil && r.deployment.EndedAt == nil
	r.base, err = q.ComponentNamed(ctx, db.ComponentNamedParams{PlaceID: r.job.PlaceID, Name: r.deployment.BaseName})
	if err != nil && !db.Missing(err) {
		return r, fmt.Errorf("read base of job %d: %w", id, err)
	}
	return r, nil
}

func (r record) moving() bool { return r.job.State == lora.JobQueued || r.job.State == lora.JobRunning }

func (r record) label() string { return fmt.Sprintf("%s v%d", r.adapter.Name, r.version.Number) }

func (h *Handlers) jobView(ctx context.Context, id int64) (templates.Job, error) {
	r, err := h.record(ctx, id)
	if err != nil {
		return templates.Job{}, err
	}
	now := h.Now()
	proof, verdict, err := h.proofView(ctx, r, now)
	if err != nil {
		return templates.Job{}, err
	}
	past, err := h.usual(ctx, r.job.PlaceID, r.job.Kind)
	if err != nil {
		return templates.Job{}, err
	}
	view := templates.Job{
		Icons: h.static.Assets().Icons, ID: id, Title: r.job.Title, State: jobState(r.job.State, verdict, r.job.CancelAskedAt), Where: r.place.Name,
		Proof: proof, Checks: checksOf(r), Lanes: lanesOf(r, past, now), Acts: actsOf(r), About: aboutOf(r, now), Tries: triesOf(r, now), Webhook: webhookOf(r, now),
	}
	view.Summary = summaryOf(r, view.State, now)
	if r.deployment.ID != 0 {
		view.Base, view.Where = templates.Link{Href: "/", Text: r.deployment.BaseName}, "endpoint "+r.deployment.Endpoint+" in "+r.place.Name
	}
	if spent := took(r.job.StartedAt, r.job.EndedAt, now); spent != "" {
		label := "Took"
		if r.moving() {
			label = "Elapsed"
		}
		view.Figures = append(view.Figures, templates.Figure{Label: label, Value: spent})
	}
	view.Figures = append(view.Figures, templates.Figure{Label: "Steps done", Value: strconv.Itoa(stepsDone(r)), Unit: "of " + strconv.Itoa(len(r.steps))})
	if at := r.nextTry(); at.After(now) { // a figure, since the summary is read out whenever it changes
		view.Figures = append(view.Figures, templates.Figure{Label: "Next attempt", Value: templates.In(now, at)})
	}
	if left, known := past.left(r.steps, now); known && r.moving() && r.job.CancelAskedAt == nil {
		value := "less than 1 s"
		if left >= time.Second {
			value = "about " + templates.Took(left.Round(time.Second))
		}
		view.Figures = append(view.Figures, templates.Figure{Label: "Time left", Value: value})
	}
	if view.Calls, view.AllOf, err = h.callsOf(ctx, r.job, now); err != nil {
		return view, err
	}
	switch r.job.State {
	case lora.JobFailed:
		view.Failure = failureOf(r)
	case lora.JobCancelled:
		view.Outcome = r.job.Reason
	case lora.JobQueued:
		ahead, err := h.DB.Read().JobAhead(ctx, db.JobAheadParams{Claim: r.job.Claim, ID: id})
		if err == nil {
			view.Waits = &templates.Link{Href: jobPath(ahead.ID), Text: fmt.Sprintf("%s (job %d)", ahead.Title, ahead.ID)}
		} else if !db.Missing(err) {
			return view, fmt.Errorf("look for the job ahead of %d: %w", id, err)
		}
	}
	return view, nil
}

func stepsDone(r record) int {
	done := 0
	for _, s := range r.steps {
		if s.State == "done" {
			done++
		}
	}
	return done
}

// stepNow is the step a job is at or stopped at.
func (r record) stepNow() db.Step {
	if i := int(r.job.Step); i < len(r.steps) {
		return r.steps[i]
	}
	return db.Step{}
}

// nextTry is when a job that waits to try its step again does so, zero for any other. Once it has come, other jobs are in the way.
func nextTry(state string, startedAt, cancelAsked *int64, runAt int64) time.Time {
	if state != lora.JobQueued || startedAt == nil || cancelAsked != nil {
		return time.Time{}
	}
	return db.Time(runAt)
}

func (r record) nextTry() time.Time {
	return nextTry(r.job.State, r.job.StartedAt, r.job.CancelAskedAt, r.job.RunAt)
}

func summaryOf(r record, state templates.State, now time.Time) string {
	step := r.stepNow()
	switch r.job.State {
	case lora.JobQueued, lora.JobRunning:
		if r.job.CancelAskedAt != nil {
			return "Cancelling"
		}
	}
	switch r.job.State {
	case lora.JobQueued:
		switch at := r.nextTry(); {
		case at.IsZero():
			return "Queued"
		case at.After(now):
			return fmt.Sprintf("Waiting to try again at %s: %s", templates.Clock(now, at), step.Name)
		}
		return "Waiting to try again, due now: " + step.Name
	case lora.JobRunning:
		return fmt.Sprintf("Running, %d of %d: %s", step.N+1, len(r.steps), step.Name)
	case lora.JobFailed:
		return fmt.Sprintf("Failed at step %d of %d, %s", step.N+1, len(r.steps), step.Name)
	}
	return state.Word
}

// failureOf says what broke, what it left behind, and what can be done.
func failureOf(r record) *templates.Failure {
	step := r.stepNow()
	f := &templates.Failure{Title: "It stopped at: " + step.Name, Cause: r.job.Reason}
	if r.job.Kind == lora.JobRemove {
		f.Now = "Nothing else was touched."
		f.Next = append(f.Next, templates.Link{Href: "/", Text: "Look at the deck"})
		return f
	}
	switch step.Name {
	case lora.StepCheck:
		if report, done := reportOf(r); done {
			if _, _, blocked := report.Counts(); blocked > 0 {
				f.Title = r.label() + " would not work on " + r.deployment.BaseName
			}
		}
		f.Now = "Nothing was sent or created."
	case lora.StepPack, lora.StepUpload, lora.StepCreate:
		f.Now = "No component was created. Deploying again goes on with what was packed and sent."
	case lora.StepInService:
		f.Title = r.label() + " did not come into service"
	case lora.StepProve:
		f.Title = r.label() + " is in service but not proven"
	}
	if r.seen {
		f.Now = fmt.Sprintf("The component %s is there, and the service says %s.", r.component.Name, r.component.Status)
		switch {
		case lora.Status(r.component.Status) != lora.StatusInService:
		case idle(r.base) != "":
			f.Now += " " + idle(r.base)
		default:
			f.Next = append(f.Next, templates.Link{Href: playgroundPath(r.job.PlaceID, r.deployment.BaseName, r.component.Name), Text: "Compare it with the base"})
			if step.Name == lora.StepProve {
				f.Next = append(f.Next, templates.Link{Href: redeployPath(r.deployment.ID), Text: "Redeploy " + r.label()})
			}
		}
	}
	if r.deployment.EndedAt == nil {
		f.Next = append(f.Next, templates.Link{Href: removePath(r.job.PlaceID, r.deployment.ComponentName), Text: "Remove " + r.label()})
	}
	f.Next = append(f.Next, templates.Link{Href: "/", Text: "Look at the deck"})
	return f
}

func aboutOf(r record, now time.Time) []templates.Fact {
	facts := []templates.Fact{{Label: "Asked for", Value: templates.Clock(now, db.Time(r.job.CreatedAt))}}
	if r.job.EndedAt != nil {
		facts = append(facts, templates.Fact{Label: "Ended", Value: templates.Clock(now, db.Time(*r.job.EndedAt))})
	}
	if r.deployment.ID == 0 {
		return facts
	}
	facts = append(facts,
		templates.Fact{Label: "Adapter", Value: r.label() + about(r.adapter.About), Href: adapterPath(r.adapter.ID)},
		templates.Fact{Label: "Rank and size", Value: fmt.Sprintf("rank %d, alpha %g, %s", r.version.Rank, r.version.Alpha, lora.Bytes(r.version.Bytes))},
		templates.Fact{Label: "Content", Value: "sha256 " + r.version.Digest, Mono: true},
		templates.Fact{Label: "Component", Value: r.deployment.ComponentName, Mono: true},
	)
	if r.component.ArtifactURL != "" && r.seen {
		facts = append(facts, templates.Fact{Label: "Artifact", Value: r.component.ArtifactURL, Mono: true})
	}
	if r.deployment.ComponentARN != "" {
		facts = append(facts, templates.Fact{Label: "ARN", Value: r.deployment.ComponentARN, Mono: true})
	}
	return facts
}

// checksOf reads what the check step left; nil while it has left nothing.
func checksOf(r record) *templates.Checks {
	report, done := reportOf(r)
	if !done {
		return nil
	}
	view := drawChecks(report, "Would not work")
	return &view
}

// reportOf gives what the check found; it found nothing when it could not look.
func reportOf(r record) (report check.Report, done bool) {
	for _, s := range r.steps {
		if s.Name == lora.StepCheck && s.Output != "" && json.Unmarshal([]byte(s.Output), &report) == nil {
			return report, true
		}
	}
	return check.Report{}, false
}

// drawChecks puts first what needs a look; blocks is the word for what stops a deployment.
func drawChecks(report check.Report, blocks string) templates.Checks {
	var view templates.Checks
	for _, f := range findingsToLookAt(report) {
		state := templates.State{Mark: "warn", Word: "Warning"}
		if f.Level == check.Block {
			state = templates.State{Mark: "failed", Word: blocks}
		}
		view.Look = append(view.Look, templates.Check{State: state, Title: f.Title, Detail: f.Detail, Next: f.Next})
	}
	for _, f := range report.Findings {
		switch f.Level {
		case check.Pass:
			view.Passed = append(view.Passed, f.Title)
		case check.Wait:
			view.Waits = append(view.Waits, f.Title)
		}
	}
	return view
}

// findingsToLookAt are the findings that did not simply pass, what blocks first.
func findingsToLookAt(report check.Report) []check.Finding {
	var found []check.Finding
	for _, level := range []check.Level{check.Block, check.Warn} {
		for _, f := range report.Findings {
			if f.Level == level {
				found = append(found, f)
			}
		}
	}
	return found
}

func about(text string) string {
	if text == "" {
		return ""
	}
	return ": " + strings.TrimSuffix(text, ".")
}

// triesOf lists the attempts of the steps that needed more than one or ended badly.
func triesOf(r record, now time.Time) []templates.Try {
	perStep := map[int64]int{}
	for _, a := range r.attempts {
		perStep[a.Step]++
	}
	var tries []templates.Try
	for _, a := range r.attempts {
		if perStep[a.Step] < 2 && (a.Outcome == "done" || a.Outcome == "running") {
			continue
		}
		outcome := map[string]string{
			"running": "under way", "done": "done", "failed": "failed", "again": "to be tried again",
			"crashed": "cut off when the program ended", "stopped": "stopped in good order with the program", "cancelled": "stopped by the cancel",
		}[a.Outcome]
		if a.Reason != "" && !slices.Contains([]string{"crashed", "stopped", "cancelled"}, a.Outcome) {
			outcome += ": " + a.Reason
		}
		tries = append(tries, templates.Try{
			State: attemptState(a.Outcome), Text: fmt.Sprintf("%s, attempt %d:", title(r.stepName(a.Step)), a.Number), Outcome: outcome,
			When: templates.Clock(now, db.Time(a.StartedAt)),
		})
	}
	return tries
}

func (r record) stepName(n int64) string {
	if int(n) < len(r.steps) {
		return r.steps[n].Name
	}
	return ""
}

func attemptState(outcome string) templates.State {
	switch outcome {
	case "done":
		return templates.State{Mark: "done", Word: "done"}
	case "running":
		return templates.State{Mark: "running", Word: "running"}
	case "stopped", "crashed", "cancelled":
		return templates.State{Mark: "skipped", Word: outcome}
	}
	return templates.State{Mark: "failed", Word: "failed"}
}

// title writes a step's name with a capital.
func title(step string) string {
	if step == "" {
		return ""
	}
	return strings.ToUpper(step[:1]) + step[1:]
}
