package lora

import "time"

// Place is where calls go: the local platform, or one AWS account in one region. Its ID is "partition:account:region" as
// STS and the region say, so the same account reached by two profiles is one place.
type Place struct {
	ID      string
	Name    string // what the deck calls it: "local", or the region, or the name given with --aws
	Account string // twelve digits
	Region  string
	Local   bool // true for the built-in local platform
	Near    bool // it answers from this machine, so it may be asked often
	// Endpoint answers for all services, like http://127.0.0.1:8090; "" for AWS's own addresses.
	Endpoint string
}

// Status is SageMaker's own word for the state of an endpoint or an inference component.
type Status string

// The statuses of an inference component (botocore sagemaker service model, InferenceComponentStatus). Endpoints have more
// (EndpointStatus); those that Loradeck acts on share these words.
const (
	StatusCreating  Status = "Creating"
	StatusInService Status = "InService"
	StatusUpdating  Status = "Updating"
	StatusFailed    Status = "Failed"
	StatusDeleting  Status = "Deleting"
)

// Settled reports whether the status will not change by itself.
func (s Status) Settled() bool { return s == StatusInService || s == StatusFailed }

// Endpoint is a SageMaker endpoint that hosts inference components, as last described.
type Endpoint struct {
	Name          string
	ARN           string
	ConfigName    string
	Status        Status
	FailureReason string
	Variant       string // name of its production variant
	InstanceType  string // from the endpoint config; empty when the config is gone
	InstanceCount int
	Created       time.Time
	Modified      time.Time
}

// Component is an inference component: a base when BaseName is empty, an adapter when it is not.
type Component struct {
	Name          string
	ARN           string
	Endpoint      string
	Variant       string
	BaseName      string // BaseInferenceComponentName; empty for a base
	ModelName     string // of a base: the Model it runs
	ArtifactURL   string // of an adapter: s3://…tar.gz
	Status        Status
	FailureReason string
	Copies        int // current copies of a base; 0 for an adapter
	Created       time.Time
	Modified      time.Time
}

// IsAdapter reports whether the component is an adapter component. SageMaker echoes the base's compute on adapters, so the
// base's name is the only mark that tells (facts/sagemaker-vllm.md §1.5).
func (c Component) IsAdapter() bool { return c.BaseName != "" }

// Model is a SageMaker Model as far as a base component needs it.
type Model struct {
	Name        string
	ARN         string
	Image       string
	DataURL     string // s3://BUCKET/PREFIX/ of the Hugging Face directory
	Environment map[string]string
	RoleARN     string
}

// ComponentSpec asks for a new inference component. Exactly one of Base (an adapter with an artifact) and ModelName (a base)
// is set.
type ComponentSpec struct {
	Name     string
	Endpoint string

	Base        string // base component, for an adapter
	ArtifactURL string // s3://…tar.gz, for an adapter

	ModelName    string // for a base
	Variant      string // for a base; adapters inherit it and SageMaker refuses it there
	MinMemoryMB  int    // for a base, at least 128
	Accelerators int    // for a base; 0 leaves the member out
	Copies       int    // for a base

	Tags map[string]string
}

// Target is what a request is sent to: a component of an endpoint.
type Target struct {
	Endpoint  string
	Component string
}

// Tag keys under which truth that two decks share is kept on components (design §4): losing the data folder loses history,
// never what is in service.
const (
	TagJob     = "loradeck:job"
	TagAdapter = "loradeck:adapter"
	TagVersion = "loradeck:version"
	TagDigest  = "loradeck:digest"
	TagTenant  = "loradeck:tenant"
)

// Verdict is what a proof concluded (design §6).
type Verdict string

// The verdicts. Only Proven counts as proven.
const (
	VerdictNone     Verdict = ""
	VerdictProven   Verdict = "proven"
	VerdictNoEffect Verdict = "no effect"
	VerdictUnclear  Verdict = "unclear"
	VerdictFailed   Verdict = "failed"
)
