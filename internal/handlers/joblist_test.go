package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/people"
)

// BenchmarkJobsList fills a database with jobs and asks for the list as a browser does; `make bench-list` prints the
// percentiles of the server's time.
func BenchmarkJobsList(b *testing.B) {
	for _, jobs := range []int{100, 10_000, 100_000} {
		d := newDeck(b, people.Alone("bench"))
		fill(b, d.db, jobs)
		for name, query := range map[string]string{
			"newest": "", "state": "?state=failed", "adapter": "?adapter=adapter-7", "base": "?base=base-1", "place": "?place=p",
			"rare": "?state=cancelled&adapter=adapter-3&base=base-1", "deep": fmt.Sprintf("?before=%d", jobs/10+60), "none": "?state=running&base=base-0",
		} {
			b.Run(fmt.Sprintf("%d/%s", jobs, name), func(b *testing.B) {
				var times []time.Duration
				for b.Loop() {
					request := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/jobs"+query, nil)
					began, answer := time.Now(), httptest.NewRecorder()
					d.handlers.ServeHTTP(answer, request)
					times = append(times, time.Since(began))
					if answer.Code != http.StatusOK {
						b.Fatalf("answers %d", answer.Code)
					}
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Microseconds())/1e3, "p50-ms")
				b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1e3, "p99-ms")
			})
		}
	}
}

// fill stores jobs with six steps each, of fifty adapters on three bases; one in a thousand was cancelled.
func fill(b *testing.B, database *db.DB, jobs int) {
	b.Helper()
	ctx := b.Context()
	err := database.Write(ctx, func(q *db.Queries) error {
		if err := q.PutPlace(ctx, db.PutPlaceParams{ID: "p", Name: "place"}); err != nil {
			return err
		}
		for n := range jobs {
			job, err := q.AddJob(ctx, db.AddJobParams{
				Kind: "deploy", Title: fmt.Sprintf("Deploy adapter-%d v1", n%50), Claim: fmt.Sprint(n), PlaceID: "p", Adapter: fmt.Sprintf("adapter-%d", n%50),
				Base: fmt.Sprintf("base-%d", n%3), Args: "{}", CreatedAt: int64(n) + 1,
			})
			if err != nil {
				return err
			}
			for i, name := range []string{"check", "pack", "upload", "create", "in service", "prove"} {
				if err := q.AddStep(ctx, db.AddStepParams{JobID: job.ID, N: int64(i), Name: name}); err != nil {
					return err
				}
			}
			state, ended := "done", int64(n)+100
			switch {
			case n%1000 == 3:
				state = "cancelled"
			case n%50 == 9:
				state = "failed"
			}
			if err := q.EndJob(ctx, db.EndJobParams{State: state, EndedAt: &ended, ID: job.ID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func TestTheListOfJobsIsNarrowedByWhatIsChosen(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("me"))
	ctx := t.Context()
	err := d.db.Write(ctx, func(q *db.Queries) error {
		if err := q.PutPlace(ctx, db.PutPlaceParams{ID: "p", Name: "place"}); err != nil {
			return err
		}
		for n, state := range []string{"done", "failed", "cancelled"} {
			job, err := q.AddJob(ctx, db.AddJobParams{
				Kind: "deploy", Title: "Job " + state, Claim: fmt.Sprint(n), PlaceID: "p", Adapter: fmt.Sprintf("adapter-%d", n), Base: fmt.Sprintf("base-%d", n%2), Args: "{}", CreatedAt: 1,
			})
			if err != nil {
				return err
			}
			if err := q.EndJob(ctx, db.EndJobParams{State: state, ID: job.ID}); err != nil {
				return err
			}
		}
		job, err := q.AddJob(ctx, db.AddJobParams{Kind: "deploy", Title: "Job stopping", Claim: "x", PlaceID: "p", Adapter: "adapter-9", Base: "base-1", Args: "{}", CreatedAt: 1})
		if err != nil {
			return err
		}
		now := int64(5)
		return q.AskCancel(ctx, db.AskCancelParams{Now: &now, ID: job.ID})
	})
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]string{
		"":                                  {"Job done", "Job failed", "Job cancelled", "Job stopping"},
		"?state=failed":                     {"Job failed"},
		"?state=cancelling":                 {"Job stopping"},
		"?state=queued":                     nil,
		"?adapter=adapter-2":                {"Job cancelled"},
		"?base=base-0":                      {"Job done", "Job cancelled"},
		"?base=base-0&state=done":           {"Job done"},
		"?place=p&adapter=adapter-1":        {"Job failed"},
		"?place=p&state=failed&base=base-0": nil,
		"?place=nowhere":                    nil,
	} {
		body := d.get(t, "/jobs"+query).body
		for _, title := range []string{"Job done", "Job failed", "Job cancelled", "Job stopping"} {
			if shown := strings.Contains(body, ">"+title+"</a></th>"); shown != slices.Contains(want, title) {
				t.Errorf("%q shows %s: %v", query, title, shown)
			}
		}
	}
}
