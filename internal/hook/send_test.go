package hook_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/lora"
)

func TestAnEventIsSentAgainUntilItIsTaken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := newReceiver(t, status(http.StatusInternalServerError), status(http.StatusBadGateway), status(http.StatusTooManyRequests), status(http.StatusOK))
	h := b.hook(r.URL)
	b.run(h)
	job := b.end(h, ends(nil))
	var answers []string
	for n, pause := range []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute} {
		d := b.delivery(job.ID, "it failed", tried(int64(n+1)))
		answers = append(answers, d.Answer)
		if wait := db.Time(d.NextAt).Sub(b.clock()); d.State != hook.Waiting || wait < pause*9/10-time.Millisecond || wait > pause*11/10 {
			t.Errorf("after attempt %d it is %s for %s, want about %s", n+1, d.State, wait, pause)
		}
		b.pass(pause * 11 / 10)
	}
	d := b.delivery(job.ID, "it is sent", func(d db.Delivery) bool { return d.State == hook.Sent })
	if diff := cmp.Diff([]string{"answered 500", "answered 502", "answered 429", "answered 200"}, append(answers, d.Answer)); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	first := r.next(t)
	for range 3 {
		again := r.next(t)
		if again.id != first.id || again.body != first.body || again.timestamp == first.timestamp {
			t.Errorf("sent again as %+v, first as %+v", again, first)
		}
		first.timestamp = again.timestamp
	}
}

func TestAnEventThatIsNeverTakenIsGivenUp(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t, status(http.StatusNotFound))
	h := b.hook(r.URL)
	b.run(h)
	job := b.end(h, ends(nil))
	for n := 1; n < hook.Attempts(); n++ {
		if d := b.delivery(job.ID, "it failed", tried(int64(n))); d.State != hook.Waiting {
			t.Fatalf("after attempt %d it is %s", n, d.State)
		}
		b.pass(27 * time.Hour)
	}
	d := b.delivery(job.ID, "it is given up", tried(int64(hook.Attempts())))
	if d.State != hook.GivenUp || d.EndedAt == nil || *d.EndedAt != db.Millis(b.clock()) {
		t.Errorf("after the last attempt it is %+v", d)
	}
}

func TestGoneGivesAnEventUpAtOnceAndTheNextIsStillTried(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t, status(http.StatusGone), status(http.StatusOK))
	h := b.hook(r.URL)
	b.run(h)
	if d := b.delivery(b.end(h, ends(nil)).ID, "it was tried", tried(1)); d.State != hook.GivenUp || d.Answer != "answered 410" {
		t.Errorf("got %+v", d)
	}
	if d := b.delivery(b.end(h, ends(nil)).ID, "it was tried", tried(1)); d.State != hook.Sent {
		t.Errorf("the next one is %+v", d)
	}
}

func TestRetryAfterIsHonouredWithinADay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ least, most time.Duration }{
		"1":                             {4500*time.Millisecond - time.Millisecond, 5500 * time.Millisecond},
		"90":                            {90 * time.Second, 90 * time.Second},
		"Tue, 24 Nov 2026 12:03:00 GMT": {3 * time.Minute, 3 * time.Minute},
		"Tue, 24 Nov 2026 11:00:00 GMT": {4500*time.Millisecond - time.Millisecond, 5500 * time.Millisecond},
		"99999999999":                   {24 * time.Hour, 24 * time.Hour},
		"-5":                            {4500*time.Millisecond - time.Millisecond, 5500 * time.Millisecond},
		"soon":                          {4500*time.Millisecond - time.Millisecond, 5500 * time.Millisecond},
	}
	for header, want := range tests {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			b, r := newBench(t), newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			h := b.hook(r.URL)
			b.run(h)
			d := b.delivery(b.end(h, ends(nil)).ID, "it was tried", tried(1))
			if wait := db.Time(d.NextAt).Sub(b.clock()); wait < want.least || wait > want.most {
				t.Errorf("waits %s, want %s to %s", wait, want.least, want.most)
			}
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	b, elsewhere := newBench(t), newReceiver(t, status(http.StatusOK))
	r := newReceiver(t, http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP)
	h := b.hook(r.URL)
	stop := b.run(h)
	d := b.delivery(b.end(h, ends(nil)).ID, "it was tried", tried(1))
	stop()
	if d.State != hook.Waiting || d.Answer != "answered 307, and redirects are not followed" || len(elsewhere.got) != 0 {
		t.Errorf("got %+v; the other server got %d requests", d, len(elsewhere.got))
	}
}

// hangs gives an answer that comes once release is called, or when nobody waits for it any more.
func hangs() (answer http.HandlerFunc, release func()) {
	free := make(chan struct{})
	return func(_ http.ResponseWriter, request *http.Request) {
		select {
		case <-free:
		case <-request.Context().Done():
		}
	}, func() { close(free) }
}

func TestASlowReceiverHoldsUpNoJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	slow, release := hangs()
	r := newReceiver(t, slow)
	h := b.hook(r.URL)
	b.run(h)
	first := b.end(h, ends(nil))
	r.next(t) // it is being asked now, and does not answer
	for range 3 {
		if job := b.end(h, ends(nil)); job.State != lora.JobDone {
			t.Errorf("job %d is %s", job.ID, job.State)
		}
	}
	if d := b.delivery(first.ID, "", func(db.Delivery) bool { return true }); d.Attempts != 0 {
		t.Errorf("the receiver did not answer, and yet: %+v", d)
	}
	release()
	for id := first.ID; id < first.ID+4; id++ {
		b.delivery(id, "it is sent", func(d db.Delivery) bool { return d.State == hook.Sent })
	}
}

func TestAnEventThatHangsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	slow, _ := hangs()
	r := newReceiver(t, func(w http.ResponseWriter, request *http.Request) {
		var event hook.Event
		if err := json.NewDecoder(request.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		if event.Job.ID == 1 {
			slow(w, request)
		}
	})
	h := b.hook(r.URL)
	first := b.end(h, ends(nil))
	b.pass(time.Second) // so that it is due before the second
	second := b.end(h, ends(nil))
	b.run(h)
	if d := b.delivery(second.ID, "it is sent", tried(1)); d.State != hook.Sent {
		t.Errorf("the second is %+v", d)
	}
	if d := b.delivery(first.ID, "", func(db.Delivery) bool { return true }); d.Attempts != 0 {
		t.Errorf("the first is %+v", d)
	}
}

func TestAReceiverThatDoesNotAnswerInTimeIsAskedAgainLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	slow, _ := hangs()
	r := newReceiver(t, slow)
	h := b.hookWith(hook.Config{URL: r.URL, Timeout: 100 * time.Millisecond})
	b.run(h)
	if d := b.delivery(b.end(h, ends(nil)).ID, "it was tried", tried(1)); d.State != hook.Waiting || d.Answer != "no answer within 0.1 s" {
		t.Errorf("got %+v", d)
	}
}

func TestAnEventOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t, status(http.StatusOK))
	job := b.end(b.hook(r.URL), ends(nil)) // committed, and the process dies before anything is sent
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.run(b.hook(r.URL))
	d := b.delivery(job.ID, "it is sent", func(d db.Delivery) bool { return d.State == hook.Sent })
	if request := r.next(t); request.id != d.ID || request.body != d.Body {
		t.Errorf("sent %+v, stored %+v", request, d)
	}
}

func TestAnAttemptThatTheStopCutsOffIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	slow, _ := hangs()
	r := newReceiver(t, slow, status(http.StatusOK))
	h := b.hook(r.URL)
	stop := b.run(h)
	job := b.end(h, ends(nil))
	first := r.next(t)
	stop()
	if d := b.delivery(job.ID, "", func(db.Delivery) bool { return true }); d.State != hook.Waiting || d.Attempts != 0 {
		t.Errorf("after the stop: %+v", d)
	}
	b.run(b.hook(r.URL))
	b.delivery(job.ID, "it is sent", func(d db.Delivery) bool { return d.State == hook.Sent })
	if again := r.next(t); again.id != first.id {
		t.Errorf("sent as %s and then as %s", first.id, again.id)
	}
}

func TestEventsOfAMonthAgoAreDropped(t *testing.T) {
	t.Parallel()
	b, r := newBench(t), newReceiver(t, status(http.StatusOK))
	h := b.hook(r.URL)
	old := b.end(h, ends(nil))
	b.pass(31 * 24 * time.Hour)
	b.run(h)
	young := b.end(h, ends(nil))
	b.delivery(young.ID, "it is sent", func(d db.Delivery) bool { return d.State == hook.Sent })
	rows, err := b.db.Read().DeliveriesOfJob(t.Context(), old.ID)
	if err != nil || len(rows) != 0 || len(r.got) != 1 {
		t.Errorf("the old job still has %+v (%v); the receiver got %d events", rows, err, len(r.got))
	}
}
