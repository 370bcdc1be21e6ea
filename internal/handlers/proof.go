package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/proof"
	"loradeck/web/templates"
)

// proofView draws the proof that a job made, and gives its verdict; nil and "" when it made none.
func (h *Handlers) proofView(ctx context.Context, r record, now time.Time) (*templates.Proof, string, error) {
	row, err := h.DB.Read().ProofOfJob(ctx, r.job.ID)
	if db.Missing(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read proof of job %d: %w", r.job.ID, err)
	}
	var result proof.Result
	if err := json.Unmarshal([]byte(row.Result), &result); err != nil {
		return nil, "", fmt.Errorf("read result of proof %d: %w", row.ID, err)
	}
	view := drawProof(result)
	view.Verdict, view.Sentence = templates.VerdictState(lora.Verdict(row.Verdict)), row.Reason
	view.Age = templates.Ago(now, db.Time(row.CreatedAt))
	if err := h.staleness(ctx, r, row, &view, now); err != nil {
		return nil, "", err
	}
	if r.seen && lora.Status(r.component.Status) == lora.StatusInService {
		view.CompareURL = playgroundPath(r.job.PlaceID, r.deployment.BaseName, r.component.Name)
		view.Idle = idle(r.base)
	}
	return &view, row.Verdict, nil
}

// staleness notes why a proof no longer counts, and what to do then: it belongs to one state of its component and base, and to
// one life of the base's engine.
func (h *Handlers) staleness(ctx context.Context, r record, row db.Proof, view *templates.Proof, now time.Time) error {
	q := h.DB.Read()
	newest, err := q.NewestProof(ctx, row.DeploymentID)
	if err != nil {
		return fmt.Errorf("read the newest proof of deployment %d: %w", row.DeploymentID, err)
	}
	if newest.ID != row.ID {
		view.Stale = "It has been proven again since. This is what was measured then."
		view.Newer = templates.Link{Href: jobPath(newest.JobID), Text: "See the newest proof"}
		return nil
	}
	if !r.seen {
		if r.deployment.EndedAt != nil {
			view.Stale = "The component has been removed since. This is what was measured then."
		}
		return nil // the next look will find it
	}
	if r.base.ID == 0 {
		view.Stale = "The base has gone since. This is what was measured then."
		return nil
	}
	news := db.News(r.component, r.base)
	cause := row.Subject().Stale(news)
	if r.component.ARN != row.ComponentARN {
		cause = lora.StaleComponent
	}
	if view.Stale = staleSays(cause, news, now); view.Stale == "" {
		return nil
	}
	view.Stale += " This proof no longer counts."
	if lora.Status(r.component.Status) != lora.StatusInService || idle(r.base) != "" {
		return nil
	}
	switch _, err := q.NewestJobOfClaim(ctx, r.job.Claim); {
	case db.Missing(err):
		view.AgainURL = provePath(row.DeploymentID)
	case err != nil:
		return fmt.Errorf("look for jobs on %s: %w", r.component.Name, err)
	}
	return nil
}

// textName names a probe text for people.
func textName(name string) string {
	if name == "json" {
		return "JSON"
	}
	return title(name)
}

// drawProof puts the effects on one scale, with the lines that a verdict turns on.
func drawProof(r proof.Result) templates.Proof {
	limits := r.Limits
	none, proven := max(limits.NoiseFloor*r.Noise, limits.NoEffect), max(limits.NoiseFactor*r.Noise, limits.Proven)
	view := templates.Proof{
		Noise: templates.Nats(r.Noise), NoEffect: templates.Nats(none), Proven: templates.Nats(proven),
		TextLine: fmt.Sprintf("%s, on %d of %d texts", templates.Nats(limits.Text), limits.Texts, len(r.Texts)),
		Prompt:   r.Prompt, Base: r.Base, Adapter: r.Adapter,
	}
	longest := max(r.Effect, proven)
	for _, t := range r.Texts {
		longest = max(longest, t.Effect)
	}
	share := func(nats float64) string { return templates.Percent(nats / (1.02 * longest)) }
	bar := func(name string, effect float64, passes bool, lines ...templates.Tick) templates.Effect {
		e := templates.Effect{Name: textName(name), Nats: templates.Nats(effect), Width: share(effect), Mark: "waiting", Says: "too close", Lines: lines}
		if passes {
			e.Mark, e.Says = "proven", "differs"
		}
		return e
	}
	for _, t := range r.Texts {
		view.Texts = append(view.Texts, bar(t.Name, t.Effect, t.Effect >= limits.Text, templates.Tick{X: share(limits.Text), Text: "a text differs from here on"}))
	}
	if len(r.Texts) > 0 {
		together := bar("all together", r.Effect, r.Effect >= proven,
			templates.Tick{X: share(none), Text: "no effect up to here"}, templates.Tick{X: share(proven), Text: "proven from here on"})
		view.Together = &together
	}
	for _, s := range r.Samples {
		view.Samples = append(view.Samples, templates.Answer(s))
	}
	return view
}
