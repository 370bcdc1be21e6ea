package handlers

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/web/templates"
)

// mostCalls is how many calls the job's page shows: a proof makes some dozens.
const mostCalls = 200

// callsOf gives the newest of what a job said to AWS, and where all of it is when there is more.
func (h *Handlers) callsOf(ctx context.Context, job db.Job, now time.Time) (calls []templates.Call, all string, err error) {
	rows, err := h.DB.Read().CallsOfJob(ctx, db.CallsOfJobParams{JobID: job.ID, Limit: mostCalls + 1})
	if err != nil {
		return nil, "", fmt.Errorf("read the calls of job %d: %w", job.ID, err)
	}
	if len(rows) > mostCalls {
		rows, all = rows[1:], jobPath(job.ID)+"/calls.txt"
	}
	for _, c := range rows {
		calls = append(calls, templates.Call{
			When: templates.Clock(now, db.Time(c.At)), Operation: c.Operation, Request: c.Request, Answer: c.Answer, Failed: c.Failed != 0, Note: noteOfCall(c),
		})
	}
	return calls, all, nil
}

func noteOfCall(c db.Call) string {
	note := templates.Took(time.Duration(c.TookMicros) * time.Microsecond)
	if c.Times > 1 {
		note += fmt.Sprintf(", %d times", c.Times)
	}
	return note
}

// jobCalls gives everything a job said to AWS as text, a line a call.
func (h *Handlers) jobCalls(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	if _, err := h.DB.Read().Job(c.Request().Context(), id); err != nil {
		return db.Found(err, "There is no job %d. It may belong to another data folder.", id)
	}
	rows, err := h.DB.Read().CallsOfJob(c.Request().Context(), db.CallsOfJobParams{JobID: id, Limit: math.MaxInt64})
	if err != nil {
		return fmt.Errorf("read the calls of job %d: %w", id, err)
	}
	var text strings.Builder
	for _, call := range rows {
		fmt.Fprintf(&text, "%s\t%s\t%s\t%s\t%s\t→ %s\t%s\t%s\n", db.Time(call.At).UTC().Format(time.RFC3339Nano), call.Step, call.Service, call.Operation,
			call.Request, call.Answer, noteOfCall(call), call.RequestID)
	}
	return c.Blob(http.StatusOK, "text/plain; charset=utf-8", []byte(text.String()))
}
