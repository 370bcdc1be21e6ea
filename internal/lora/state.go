package lora

// State is the one word the deck shows for a deployment. It is a pure function of facts that are kept apart (design §4):
// what the newest job is doing, what the service last reported, and what the proof found.
type State string

// The words on screen.
const (
	StateQueued    State = "queued"
	StateChecking  State = "checking"
	StatePacking   State = "packing"
	StateUploading State = "uploading"
	StateCreating  State = "creating"
	StateProving   State = "proving"
	StateNotProven State = "in service, not proven"
	StateProven    State = "proven"
	StateNoEffect  State = "no effect"
	StateUnclear   State = "unclear"
	StateFailed    State = "failed"
	StateUpdating  State = "updating"
	StateDeleting  State = "deleting"
	StateGone      State = "gone"

	StateCancelling State = "cancelling"
)

// Kinds of job and the names of their steps, as they are stored and shown.
const (
	JobDeploy = "deploy"
	JobRemove = "remove"
	JobProve  = "prove" // again, what is in service

	StepCheck     = "check"
	StepPack      = "pack"
	StepUpload    = "upload"
	StepCreate    = "create"
	StepInService = "in service"
	StepProve     = "prove"
	StepDelete    = "delete"
	StepGone      = "gone"
	StepUndo      = "clean up" // what a cancelled job does last
)

// States of a job.
const (
	JobQueued  = "queued"
	JobRunning = "running"
	JobDone    = "done"
	JobFailed  = "failed"

	JobCancelled = "cancelled"
)

// Facts are what is known of one deployment, each from its own source.
type Facts struct {
	JobKind  string  // newest job: JobDeploy, JobRemove or JobProve; "" when we shipped nothing
	JobState string  // its state
	Step     string  // the step it is at
	Status   Status  // what the place last reported; "" when the component has not been seen
	Gone     bool    // the component was there and is now missing from a complete list
	Verdict  Verdict // of the newest proof
	Stale    bool    // that proof no longer counts (ProofSubject.Stale)
}

// ScreenState gives the word for the facts. A proof counts only while the component is in service and nothing later speaks against it; a job in
// motion speaks before the service's status, and a missing component before everything but a job that is putting it there.
func ScreenState(f Facts) State {
	moving := f.JobState == JobQueued || f.JobState == JobRunning
	switch {
	case f.JobKind == JobRemove && moving:
		return StateDeleting
	case f.Gone && !(f.JobKind == JobDeploy && moving):
		return StateGone
	case f.JobKind == JobDeploy && f.JobState == JobQueued && f.Step == StepCheck:
		return StateQueued
	case f.JobKind == JobDeploy && moving:
		return deployState(f.Step)
	case f.JobKind == JobProve && moving:
		return StateProving
	}
	switch f.Status {
	case StatusDeleting:
		return StateDeleting
	case StatusUpdating:
		return StateUpdating
	case StatusCreating:
		return StateCreating
	case StatusFailed:
		return StateFailed
	case StatusInService:
		return provenState(f)
	}
	if f.JobKind == JobRemove && f.JobState == JobDone {
		return StateGone
	}
	return StateFailed
}

func deployState(step string) State {
	switch step {
	case StepCheck:
		return StateChecking
	case StepPack:
		return StatePacking
	case StepUpload:
		return StateUploading
	case StepProve:
		return StateProving
	case StepUndo:
		return StateCancelling
	default:
		return StateCreating
	}
}

func provenState(f Facts) State {
	if f.Stale {
		return StateNotProven
	}
	switch f.Verdict {
	case VerdictProven:
		return StateProven
	case VerdictNoEffect:
		return StateNoEffect
	case VerdictUnclear:
		return StateUnclear
	case VerdictFailed:
		return StateFailed
	}
	return StateNotProven
}
