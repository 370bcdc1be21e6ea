package db

import (
	"context"
	"fmt"
	"strings"

	"loradeck/internal/lora"
)

// JobFilter says which jobs a list shows; an empty member lets all through.
type JobFilter struct {
	State   string // as stored, or "cancelling"
	Adapter string
	Base    string
	PlaceID string
}

// Cancelling is the state of a job that was asked to stop and has not ended. It is not stored as one.
const Cancelling = "cancelling"

// JobNumbers gives the numbers of up to most jobs before one, newest first. The query is put together here because sqlc cannot
// leave a condition out, and with all of them in it SQLite would read every job: each filter has an index that ends in the
// job's number, alone and with the state, and INDEXED BY keeps it there whatever the statistics say.
func (d *DB) JobNumbers(ctx context.Context, f JobFilter, before int64, most int) ([]int64, error) {
	index, conditions, args := "", []string{"j.id < ?"}, []any{before}
	for _, by := range []struct{ column, value string }{{"adapter", f.Adapter}, {"base", f.Base}, {"place_id", f.PlaceID}} {
		if by.value == "" {
			continue
		}
		if index == "" {
			index = "job_by_" + strings.TrimSuffix(by.column, "_id")
		}
		conditions, args = append(conditions, "j."+by.column+" = ?"), append(args, by.value)
	}
	switch {
	case f.State == Cancelling: // few at any time, so they are found among those that move
		index, conditions = "job_claim", append(conditions, "j.state IN ('queued', 'running') AND j.cancel_asked_at IS NOT NULL")
	case f.State != "" && index != "":
		index, conditions, args = index+"_state", append(conditions, "j.state = ?"), append(args, f.State)
	case f.State != "":
		index, conditions, args = "job_by_state", append(conditions, "j.state = ?"), append(args, f.State)
	}
	if f.State == lora.JobQueued || f.State == lora.JobRunning {
		conditions = append(conditions, "j.cancel_asked_at IS NULL")
	}
	from := "job j"
	if index != "" {
		from += " INDEXED BY " + index
	}
	rows, err := d.file.Read().QueryContext(ctx, "SELECT j.id FROM "+from+" WHERE "+strings.Join(conditions, " AND ")+" ORDER BY j.id DESC LIMIT ?", append(args, most)...)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list jobs: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
