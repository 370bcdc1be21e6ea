package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/live"
	"loradeck/internal/lora"
)

// jobAnswer is a job as the API shows it: what a webhook is told, and its steps.
type jobAnswer struct {
	hook.Job
	Steps []stepAnswer `json:"steps"`
}

type stepAnswer struct {
	Name      string     `json:"name"`
	State     string     `json:"state"`
	Note      string     `json:"note"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Attempts  int        `json:"attempts"`
}

// jobList is one page of jobs, newest first.
type jobList struct {
	Jobs  []hook.Job `json:"jobs"`
	Older string     `json:"older"` // address of the next page; "" when there is none
}

func told(row db.JobToTellRow) hook.Job {
	job := hook.Tell(row)
	job.Page = jobPath(job.ID)
	return job
}

// tellJob reads a job with its steps.
func (h *Handlers) tellJob(ctx context.Context, id int64) (jobAnswer, error) {
	q := h.DB.Read()
	row, err := q.JobToTell(ctx, id)
	if err != nil {
		return jobAnswer{}, db.Found(err, "There is no job %d. It may belong to another data folder.", id)
	}
	steps, err := q.Steps(ctx, id)
	if err != nil {
		return jobAnswer{}, fmt.Errorf("read steps of job %d: %w", id, err)
	}
	attempts, err := q.Attempts(ctx, id)
	if err != nil {
		return jobAnswer{}, fmt.Errorf("read attempts of job %d: %w", id, err)
	}
	answer := jobAnswer{Job: told(row), Steps: make([]stepAnswer, len(steps))}
	for i, s := range steps {
		answer.Steps[i] = stepAnswer{Name: s.Name, State: s.State, Note: s.Note, StartedAt: hook.Instant(s.StartedAt), EndedAt: hook.Instant(s.EndedAt)}
	}
	for _, a := range attempts {
		if int(a.Step) < len(answer.Steps) {
			answer.Steps[a.Step].Attempts++
		}
	}
	return answer, nil
}

// answerJob ends a request that asked something of a job: a program gets the job, a browser goes to its page.
func (h *Handlers) answerJob(c echo.Context, id int64) error {
	if !forPrograms(c.Request()) {
		return see(c, jobPath(id))
	}
	job, err := h.tellJob(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusAccepted, job)
}

// jobStates are the states that jobs are told in and can be filtered by.
var jobStates = []string{lora.JobQueued, lora.JobRunning, db.Cancelling, lora.JobDone, lora.JobFailed, lora.JobCancelled}

// listJobs gives a page of jobs.
func (h *Handlers) listJobs(c echo.Context) error {
	ctx := c.Request().Context()
	before, err := beforeOf(c)
	if err != nil {
		return err
	}
	state := c.QueryParam("state")
	if state != "" && !slices.Contains(jobStates, state) {
		return lora.Errorf(lora.Invalid, "No job is in the state %q. The states are %s.", state, strings.Join(jobStates, ", "))
	}
	s, err := h.look(ctx)
	if err != nil {
		return err
	}
	place, err := s.placeID(c.QueryParam("place"))
	if err != nil {
		return err
	}
	filter := db.JobFilter{State: state, Adapter: c.QueryParam("adapter"), Base: c.QueryParam("base"), PlaceID: place}
	ids, err := h.DB.JobNumbers(ctx, filter, before, perPage+1)
	if err != nil {
		return err
	}
	list := jobList{Jobs: []hook.Job{}}
	if ids, list.Older = pageOf(c, ids, func(id int64) int64 { return id }); len(ids) == 0 {
		return c.JSON(http.StatusOK, list)
	}
	rows, err := h.DB.Read().JobsToTell(ctx, ids)
	if err != nil {
		return fmt.Errorf("read jobs: %w", err)
	}
	for _, row := range rows {
		list.Jobs = append(list.Jobs, told(db.JobToTellRow(row)))
	}
	return c.JSON(http.StatusOK, list)
}

// showJob gives one job.
func (h *Handlers) showJob(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	job, err := h.tellJob(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, job)
}

// beatEvery is how often a stream says that it is still there: shorter than the idle limits of common proxies.
const beatEvery = 15 * time.Second

// watchJob streams a job: as it is now, and again after each change, until it has ended. A stream that breaks is asked for
// again; it begins with the whole job, so nothing is missed.
func (h *Handlers) watchJob(c echo.Context) error {
	id, err := pathID(c, "job")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	if _, err := h.tellJob(ctx, id); err != nil {
		return err
	}
	if !h.enter() {
		return lora.Errorf(lora.Unavailable, "The dashboard is stopping. Try again in a moment.")
	}
	defer h.sockets.Done()
	header := c.Response().Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	c.Response().WriteHeader(http.StatusOK)
	if err := h.stream(ctx, id, c.Response()); err != nil && ctx.Err() == nil {
		h.Log.WarnContext(ctx, "stream closed early", "job", id, "err", err)
	}
	return nil
}

// stream writes a job's events until it, the request or the program ends.
func (h *Handlers) stream(ctx context.Context, id int64, w http.ResponseWriter) error {
	watch := h.Hub.Watch(live.Job(id)) // before the first look, so that nothing is missed
	defer watch.Close()
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	connection := http.NewResponseController(w)
	defer connection.SetWriteDeadline(time.Time{}) // the connection may serve other requests
	for last := ""; ; {
		job, err := h.tellJob(ctx, id)
		if err != nil {
			return err
		}
		data, err := json.Marshal(job)
		if err != nil {
			return fmt.Errorf("write job %d: %w", id, err)
		}
		message := ": still here\n\n"
		if last != string(data) {
			last, message = string(data), fmt.Sprintf("event: job\ndata: %s\n\n", data)
		}
		if err := connection.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
		if _, err := w.Write([]byte(message)); err != nil {
			return fmt.Errorf("write event: %w", err)
		}
		if err := connection.Flush(); err != nil {
			return fmt.Errorf("write event: %w", err)
		}
		if job.EndedAt != nil {
			return nil
		}
		rest(ctx, pace)
		select {
		case <-ctx.Done():
			return nil
		case <-h.closing:
			return nil
		case <-watch.Done():
			return nil
		case <-beat.C:
		case <-watch.Wake():
			watch.Take()
		}
	}
}
