package handlers

import (
	"context"
	"fmt"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
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
	view := &templates.Proof{
		Verdict: templates.VerdictState(lora.Verdict(row.Verdict)), Sentence: row.Reason, Age: templates.Ago(now, db.Time(row.CreatedAt)),
	}
	return view, row.Verdict, nil
}
