package fault_test

import (
	"strings"
	"testing"

	"loradeck/internal/local/fault"
	"loradeck/internal/lora"
)

func TestAFaultHappensAsOftenAsAsked(t *testing.T) {
	t.Parallel()
	var r fault.Registry
	if _, err := r.Set(fault.Throttle, "tiny", 2); err != nil {
		t.Fatal(err)
	}
	happened := 0
	for range 5 {
		if r.Take(fault.Throttle, "other", "tiny") {
			happened++
		}
	}
	if happened != 2 || len(r.Faults()) != 0 {
		t.Errorf("it happened %d times, and %v is left", happened, r.Faults())
	}
}

func TestAFaultHitsOnlyWhatItNames(t *testing.T) {
	t.Parallel()
	var r fault.Registry
	f, err := r.Set(fault.Quota, "tiny", 0)
	if err != nil {
		t.Fatal(err)
	}
	if r.Take(fault.Quota, "other") || r.Take(fault.Quota) || r.Take(fault.Throttle, "tiny") {
		t.Error("it hit another resource, or as another kind")
	}
	if !r.Take(fault.Quota, "tiny") || !r.Has(fault.Quota, "tiny") || r.Faults()[0].Happened != 1 {
		t.Errorf("it did not hit its own: %v", r.Faults())
	}
	if err := r.Release(f.ID); err != nil {
		t.Fatal(err)
	}
	if r.Take(fault.Quota, "tiny") {
		t.Error("it happened after its release")
	}
	if err := r.Release(f.ID); lora.KindOf(err) != lora.NotFound {
		t.Errorf("released twice: got %v, want NotFound", err)
	}
}

func TestTheLastFaultsThatEndedAreKept(t *testing.T) {
	t.Parallel()
	var r fault.Registry
	set := func(kind fault.Kind, calls, happens int) fault.Fault {
		f, err := r.Set(kind, "tiny", calls)
		if err != nil {
			t.Fatal(err)
		}
		for range happens {
			r.Take(kind, "tiny")
		}
		return f
	}
	set(fault.Throttle, 3, 3)
	cut := set(fault.Quota, 5, 2)
	if err := r.Release(cut.ID); err != nil {
		t.Fatal(err)
	}
	set(fault.Noise, 0, 1)
	r.ReleaseAll()
	got := r.Ended() // newest first
	if len(got) != 3 {
		t.Fatalf("ended: %+v", got)
	}
	for i, want := range []fault.Ended{
		{Fault: fault.Fault{ID: "3", Kind: fault.Noise, Resource: "tiny", Happened: 1}, Released: true},
		{Fault: fault.Fault{ID: "2", Kind: fault.Quota, Resource: "tiny", Calls: 3, Happened: 2}, Released: true},
		{Fault: fault.Fault{ID: "1", Kind: fault.Throttle, Resource: "tiny", Happened: 3}},
	} {
		if got[i].At.IsZero() {
			t.Errorf("%s ended at no time", want.Kind)
		}
		if want.At = got[i].At; got[i] != want {
			t.Errorf("got %+v, want %+v", got[i], want)
		}
	}
	for range 100 {
		set(fault.NaN, 1, 1)
	}
	if got := r.Ended(); len(got) != 10 || got[0].ID != "103" || got[9].ID != "94" {
		t.Errorf("after 100 more %d are kept: %+v", len(got), got)
	}
}

func TestWhatIsNoFaultIsRefused(t *testing.T) {
	t.Parallel()
	var r fault.Registry
	for _, err := range []error{second(r.Set("sharks", "", 1)), second(r.Set(fault.Quota, "", -1))} {
		if lora.KindOf(err) != lora.Invalid {
			t.Errorf("got %v, want Invalid", err)
		}
	}
	for name, resource := range map[string]string{
		"NUL": "ti\x00ny", "a line": "tiny\n", "an escape": "\x1b[2Jtiny", "right to left": "tiny\u202etxt.sj", "an isolate": "\u2066tiny", "no width": "ti\u200bny",
	} {
		_, err := r.Set(fault.Quota, resource, 1)
		if text := lora.Message(err); lora.KindOf(err) != lora.Invalid || !strings.Contains(text, "cannot be seen") || strings.Contains(text, resource) {
			t.Errorf("%s in a resource's name: got %v", name, err)
		}
	}
	for _, resource := range []string{"tiny-llama-base", "models/a key, with (signs) é 键.json"} {
		if _, err := r.Set(fault.Quota, resource, 1); err != nil {
			t.Errorf("%s: %v", resource, err)
		}
	}
	if (*fault.Registry)(nil).Take(fault.Quota) {
		t.Error("a nil registry has faults")
	}
}

func second(_ fault.Fault, err error) error { return err }
