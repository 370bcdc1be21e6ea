package jobs_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/jobs"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

const jsonComponent = "json-v1-tiny-llama-base"

// shipBoth ships two samples and waits until both are proven and seen.
func (h *house) shipBoth() {
	h.t.Helper()
	for _, sample := range demo.Samples()[:2] {
		h.shipProven(source(sample))
	}
	for _, name := range []string{pirateComponent, jsonComponent} {
		if got := h.stale(name); got != lora.StaleNot {
			h.t.Fatalf("%s is stale at once: %s", name, got)
		}
	}
}

func (h *house) shipProven(what jobs.Source) {
	h.t.Helper()
	job, err := h.jobs.Ship(h.t.Context(), what, h.id(), base)
	if err != nil {
		h.t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobDone {
		h.t.Fatalf("%s: %s: %s", job.Title, job.State, job.Reason)
	}
	h.look()
}

// stale gives why the newest proof of a component does not count.
func (h *house) stale(component string) lora.StaleCause {
	h.t.Helper()
	row, err := h.db.Read().ProofStanding(h.t.Context(), db.ProofStandingParams{PlaceID: h.id(), ComponentName: component})
	if err != nil {
		h.t.Fatal(err)
	}
	return row.Proof.Subject().Stale(db.News(row.Component, row.Component_2))
}

// ask asks a component something and tells the watcher what it answered instead of a result.
func (h *house) ask(component string) error {
	h.t.Helper()
	_, err := h.place.Complete(h.t.Context(), lora.Target{Endpoint: "local", Component: component}, cloud.CompletionRequest{Prompts: []string{"Hello"}, MaxTokens: 1})
	if err != nil {
		h.watch.Heard(h.t.Context(), base, component, err)
	}
	return err
}

// crash ends the base's engine and waits until it is back. Nobody who would say so has heard of it.
func (h *house) crash() {
	h.t.Helper()
	h.fault("engine-crash", base, 1)
	target := lora.Target{Endpoint: "local", Component: base}
	if _, err := h.place.Complete(h.t.Context(), target, cloud.CompletionRequest{Prompts: []string{"Hello"}, MaxTokens: 1}); err == nil {
		h.t.Fatal("the engine did not die")
	}
	h.until("the base answers again", func() bool {
		_, err := h.place.Complete(h.t.Context(), target, cloud.CompletionRequest{Prompts: []string{"Hello"}, MaxTokens: 1})
		return err == nil
	})
}

func unknown(err error) bool {
	answer, isModel := cloud.AsModelError(err)
	return isModel && answer.Unknown()
}

func TestAnEngineThatWasSeenDyingEndsEveryProofUntilTheNext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipBoth()
	h.fault("engine-crash", base, 1)
	if err := h.ask(base); err == nil {
		t.Fatal("the engine did not die")
	}
	for _, name := range []string{pirateComponent, jsonComponent} {
		if got := h.stale(name); got != lora.StaleDied {
			t.Errorf("%s: %q, want %q", name, got, lora.StaleDied)
		}
		if c, err := h.place.Component(t.Context(), name); err != nil || c.Status != lora.StatusInService {
			t.Errorf("the service still says InService of %s: got %s, %v", name, c.Status, err)
		}
	}
	h.until("the base answers again", func() bool { return h.ask(base) == nil })

	removal, err := h.jobs.Remove(t.Context(), h.id(), pirateComponent)
	if err != nil {
		t.Fatal(err)
	}
	if removal = h.ended(removal.ID); removal.State != lora.JobDone {
		t.Fatalf("removal: %s", removal.Reason)
	}
	h.shipProven(pirate())
	if got := h.stale(pirateComponent); got != lora.StaleNot {
		t.Errorf("proven anew, it is stale: %s", got)
	}
	if err := h.ask(jsonComponent); !unknown(err) {
		t.Fatalf("the forgotten one answers %v", err)
	}
	if got := h.stale(pirateComponent); got != lora.StaleNot {
		t.Errorf("what was known of one that is stale ended the proof of another: %s", got)
	}
	if got := h.stale(jsonComponent); got != lora.StaleDied {
		t.Errorf("the other became %q by itself", got)
	}
}

func TestAnAdapterThatWasProvenAndIsUnknownTellsOfADeathThatNobodySaw(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipBoth()
	h.crash()
	if got := h.stale(pirateComponent); got != lora.StaleNot {
		t.Fatalf("stale before anybody could know: %s", got)
	}

	// What is being changed by others is unknown for a while, and so is whether it changes while the service cannot be asked.
	for what, reword := range map[string]func(answer []byte) []byte{
		"an adapter that goes": func(answer []byte) []byte {
			return bytes.Replace(answer, []byte(`"InService"`), []byte(`"Deleting"`), 1)
		},
		"a throttled service": func([]byte) []byte { return []byte(`not JSON`) },
	} {
		h.rewording(func(r *http.Request, body, answer []byte) []byte {
			if describes(r, body, "pirate-v1") {
				return reword(answer)
			}
			return answer
		})
		if err := h.ask(pirateComponent); !unknown(err) {
			t.Fatalf("%s: it answers %v", what, err)
		}
		if got := h.stale(jsonComponent); got != lora.StaleNot {
			t.Errorf("%s ended a proof: %s", what, got)
		}
	}
	h.rewording(nil)

	h.ask(pirateComponent)
	for _, name := range []string{pirateComponent, jsonComponent} {
		if got := h.stale(name); got != lora.StaleForgot {
			t.Errorf("%s: %q, want %q", name, got, lora.StaleForgot)
		}
	}
}

// Another copy may know it, and the others on the base.
func TestWhatOneOfSeveralCopiesDoesNotKnowConcernsThatAdapterAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.rewording(func(r *http.Request, body, answer []byte) []byte {
		if describes(r, body, base) {
			return bytes.ReplaceAll(answer, []byte(`CopyCount":1`), []byte(`CopyCount":2`))
		}
		return answer
	})
	h.shipBoth()
	h.crash()
	if err := h.ask(pirateComponent); !unknown(err) {
		t.Fatalf("it answers %v", err)
	}
	if got := h.stale(pirateComponent); got != lora.StaleMissed {
		t.Errorf("the adapter: %q, want %q", got, lora.StaleMissed)
	}
	if got := h.stale(jsonComponent); got != lora.StaleNot {
		t.Errorf("another adapter: %q", got)
	}
}

func TestOtherErrorsAreNoNewsOfAnEngine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipBoth()
	for _, kind := range []string{"invoke-throttle", "invoke-not-ready", "invoke-failure", "invoke-unavailable", "invoke-dependency", "dead-in-service"} {
		h.fault(kind, pirateComponent, 0)
		if err := h.ask(pirateComponent); err == nil {
			t.Errorf("%s did not happen", kind)
		}
		h.release()
	}
	h.watch.Heard(t.Context(), base, pirateComponent, errors.New("the network is away"))
	h.watch.Heard(t.Context(), base, "somebody-elses", &cloud.ModelError{Status: 404, Message: "The model `somebody-elses` does not exist."})
	for _, name := range []string{pirateComponent, jsonComponent} {
		if got := h.stale(name); got != lora.StaleNot {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAProofSaysWhatItSawOfTheEngine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.run()
	h.shipProven(pirate())
	asked := 0
	h.holding(func(r *http.Request, _ []byte) {
		if !strings.HasSuffix(r.URL.Path, "/invocations") {
			return
		}
		if asked++; asked == 3 {
			h.holding(nil)
			h.fault("engine-crash", jsonComponent, 1)
		}
	})
	job, err := h.jobs.Ship(t.Context(), source(demo.Samples()[1]), h.id(), base)
	if err != nil {
		t.Fatal(err)
	}
	if job = h.ended(job.ID); job.State != lora.JobFailed {
		t.Fatalf("%s: %s", job.State, job.Reason)
	}
	if got := h.stale(pirateComponent); got != lora.StaleDied {
		t.Errorf("%q, want %q", got, lora.StaleDied)
	}
}
