package client

import "time"

// Upload is an adapter on its way in.
type Upload struct {
	ID       int64  `json:"id"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	State    string `json:"state"`  // receiving, reading, ready, refused, shipped or discarded
	Reason   string `json:"reason"` // why it was refused
	Digest   string `json:"digest"`
	ToSend   int64  `json:"to_send"`  // bytes
	Received int64  `json:"received"` // bytes
	Files    []File `json:"files"`
	Job      *int64 `json:"job"` // the deployment it became
	Page     string `json:"page"`
}

// File is one file of an upload.
type File struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	Received int64  `json:"received"`
	Keep     bool   `json:"keep"` // it is sent
	Why      string `json:"why"`  // why it is not
	URL      string `json:"url"`  // where its bytes go
}

// Check is what the rules say of an upload on a base.
type Check struct {
	Ready    bool      `json:"ready"`
	Blocks   bool      `json:"blocks"` // at least one finding stops a deployment
	Findings []Finding `json:"findings"`
}

// Finding is what one rule found.
type Finding struct {
	Rule   string `json:"rule"`
	Level  string `json:"level"` // pass, warn, block or wait
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Next   string `json:"next,omitempty"` // what to do
}

// Shipment is what to deploy and where. Empty names are filled in by the dashboard.
type Shipment struct {
	Upload    int64  `json:"upload"`
	Adapter   string `json:"adapter,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	Place     string `json:"place,omitempty"`
	Base      string `json:"base"`
	Component string `json:"component,omitempty"`
}

// Deployment is one lifetime of an adapter component.
type Deployment struct {
	ID        int64     `json:"id"`
	Adapter   string    `json:"adapter"`
	Tenant    string    `json:"tenant"`
	Version   int64     `json:"version"`
	Digest    string    `json:"digest"`
	Place     string    `json:"place"`
	Endpoint  string    `json:"endpoint"`
	Base      string    `json:"base"`
	Component string    `json:"component"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	Job       Job       `json:"job"` // the newest
}

// Job is a job as it stands.
type Job struct {
	ID            int64      `json:"id"`
	Kind          string     `json:"kind"`
	Title         string     `json:"title"`
	State         string     `json:"state"` // queued, running, cancelling, done, failed or cancelled
	Step          string     `json:"step"`
	Reason        string     `json:"reason"`
	Verdict       string     `json:"verdict"` // lora's words; "" when it proved nothing
	VerdictReason string     `json:"verdict_reason"`
	Steps         []Step     `json:"steps"`
	CreatedAt     time.Time  `json:"created_at"`
	StartedAt     *time.Time `json:"started_at"`
	EndedAt       *time.Time `json:"ended_at"`
	Page          string     `json:"page"`
}

// Step is one step of a job.
type Step struct {
	Name      string     `json:"name"`
	State     string     `json:"state"` // waiting, running, done, failed or cancelled
	Note      string     `json:"note"`
	StartedAt *time.Time `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
	Attempts  int        `json:"attempts"`
}
