package lora_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
)

func TestScreenStateNeverCallsUnprovenProven(t *testing.T) {
	t.Parallel()
	deployed := lora.Facts{JobKind: lora.JobDeploy, JobState: lora.JobDone, Status: lora.StatusInService}
	with := func(change func(*lora.Facts)) lora.Facts { f := deployed; change(&f); return f }
	tests := []struct {
		rule  string
		facts lora.Facts
		want  lora.State
	}{
		{"in service alone is not proven", deployed, lora.StateNotProven},
		{"a proof makes it proven", with(func(f *lora.Facts) { f.Verdict = lora.VerdictProven }), lora.StateProven},
		{"a stale proof does not", with(func(f *lora.Facts) { f.Verdict, f.Stale = lora.VerdictProven, true }), lora.StateNotProven},
		{"unclear is said", with(func(f *lora.Facts) { f.Verdict = lora.VerdictUnclear }), lora.StateUnclear},
		{"no effect is said", with(func(f *lora.Facts) { f.Verdict = lora.VerdictNoEffect }), lora.StateNoEffect},
		{"a failed proof is a failure", with(func(f *lora.Facts) { f.Verdict = lora.VerdictFailed }), lora.StateFailed},
		{"a proven adapter that vanished is gone", with(func(f *lora.Facts) { f.Verdict, f.Gone = lora.VerdictProven, true }), lora.StateGone},
		{"waiting for its turn", lora.Facts{JobKind: lora.JobDeploy, JobState: lora.JobQueued, Step: lora.StepCheck}, lora.StateQueued},
		{"uploading", lora.Facts{JobKind: lora.JobDeploy, JobState: lora.JobRunning, Step: lora.StepUpload}, lora.StateUploading},
		{"waiting to retry is still creating", lora.Facts{JobKind: lora.JobDeploy, JobState: lora.JobQueued, Step: lora.StepCreate}, lora.StateCreating},
		{"proving while in service", with(func(f *lora.Facts) { f.JobState, f.Step = lora.JobRunning, lora.StepProve }), lora.StateProving},
		{"proving again", with(func(f *lora.Facts) {
			f.JobKind, f.JobState, f.Verdict, f.Stale = lora.JobProve, lora.JobRunning, lora.VerdictProven, true
		}), lora.StateProving},
		{"a proof that could not be made again leaves the old one", with(func(f *lora.Facts) {
			f.JobKind, f.JobState, f.Verdict = lora.JobProve, lora.JobFailed, lora.VerdictProven
		}), lora.StateProven},
		{"removal speaks before the proof", lora.Facts{JobKind: lora.JobRemove, JobState: lora.JobRunning, Status: lora.StatusInService, Verdict: lora.VerdictProven}, lora.StateDeleting},
		{"removed", lora.Facts{JobKind: lora.JobRemove, JobState: lora.JobDone}, lora.StateGone},
		{"failed before it was created", lora.Facts{JobKind: lora.JobDeploy, JobState: lora.JobFailed}, lora.StateFailed},
		{"the service says failed", with(func(f *lora.Facts) { f.Status = lora.StatusFailed }), lora.StateFailed},
		{"shipped by somebody else", lora.Facts{Status: lora.StatusInService}, lora.StateNotProven},
		{"updated by somebody else", with(func(f *lora.Facts) { f.Status, f.Verdict = lora.StatusUpdating, lora.VerdictProven }), lora.StateUpdating},
	}
	for _, test := range tests {
		if got := lora.ScreenState(test.facts); got != test.want {
			t.Errorf("%s: got %q, want %q", test.rule, got, test.want)
		}
	}
}

func TestMessageNeverLeaksAnUnknownError(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial 10.0.0.7: token abc")
	if got := lora.Message(secret); got == secret.Error() {
		t.Errorf("message shows the bare error: %q", got)
	}
	err := fmt.Errorf("read base: %w", lora.Wrap(secret, lora.Unavailable, "The place did not answer. Try again."))
	if got, want := lora.Message(err), "The place did not answer. Try again."; got != want {
		t.Errorf("message: got %q, want %q", got, want)
	}
	if !errors.Is(err, secret) {
		t.Error("the cause is lost")
	}
	if lora.KindOf(err) != lora.Unavailable || !lora.Temporary(err) {
		t.Errorf("kind: got %q, temporary %t", lora.KindOf(err), lora.Temporary(err))
	}
}

func TestSettingsFromTakesVLLMDefaults(t *testing.T) {
	t.Parallel()
	got := lora.SettingsFrom(map[string]string{"SM_VLLM_ENABLE_LORA": "True", "SM_VLLM_MAX_LORA_RANK": "64", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"})
	want := lora.Settings{Enabled: true, MaxRank: 64, MaxLoras: 1, RuntimeUpdate: true, Wrong: map[string]string{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if off := lora.SettingsFrom(nil); off.Enabled || off.MaxRank != 16 || off.RuntimeUpdate {
		t.Errorf("unset: got %+v", off)
	}
}
