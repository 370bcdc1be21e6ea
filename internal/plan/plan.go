// Package plan turns what is wished into an ordered list of AWS calls. A job sends what the list says, and a page shows the
// same list as Python and as shell commands, so that what is shown cannot drift from what is done.
//
// It is pure: it calls nobody and knows neither the SDK nor jobs nor pages.
package plan

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"loradeck/internal/lora"
)

// Call is one call of AWS.
type Call struct {
	Service   string // as boto3 and the AWS CLI name it: s3, sagemaker, sagemaker-runtime
	Operation string // as AWS names it; UploadFile, which is boto3's name, stands for the many requests of an upload
	Note      string // what a reader should know of it
	Input     Members
	Until     Until // what a call that only looks waits for
}

// Until says what ends a call that is asked again and again.
type Until string

// What a Describe may wait for. Failed ends either, and only the service's own "could not find" counts as gone.
const (
	Once      Until = ""
	InService Until = "InService"
	Gone      Until = "gone"
)

// Value is what a member holds: Text, List or Members.
type Value interface{ value() }

type (
	// Text is a string.
	Text string
	// List is an array.
	List []Value
	// Members is a structure or a map, in an order that does not change from one run to the next.
	Members []Member
	// Member is one of them.
	Member struct {
		Name  string
		Value Value
	}
)

func (Text) value()    {}
func (List) value()    {}
func (Members) value() {}

// Text gives the member of that name when it is a Text, and else "".
func (m Members) Text(name string) string {
	for _, member := range m {
		if text, is := member.Value.(Text); is && member.Name == name {
			return string(text)
		}
	}
	return ""
}

// Shipment is what is wished: a version of an adapter as a component of a base. Mark, Digest and Parts are not known before
// there is a job, and the artifact's key not before the archive is packed; words in capitals stand for them then.
type Shipment struct {
	Tenant, Adapter           string
	Version                   int64
	Digest                    string // of the version's content, by its manifest
	Mark                      string // by which a component is recognised as one job's work
	Bucket, Key               string // of the artifact: see ArtifactKey
	Parts                     int    // that the archive is sent in
	Endpoint, Base, Component string
}

// Stand-ins for what is not known yet. They are as AWS would take them, so a reader may also send them.
const (
	anyArchive = "ARCHIVE-SHA256"
	anyDigest  = "CONTENT-SHA256"
	anyMark    = "JOB-MARK"
)

// ArtifactKey gives the key of an artifact in a place's bucket. Digest is the sha256 of the archive, "" while that is not
// packed. Artifacts are shared within a tenant and never across.
func ArtifactKey(tenant, digest string) string {
	return "adapters/" + tenant + "/" + or(digest, anyArchive) + ".tar.gz"
}

// DigestKey is the metadata of an artifact that holds its version's digest.
const DigestKey = "loradeck-digest"

// Metadata is what the artifact carries in S3, so that a deck without this history knows what it is.
func (s Shipment) Metadata() map[string]string {
	return map[string]string{
		"loradeck-adapter": s.Adapter, "loradeck-version": strconv.FormatInt(s.Version, 10), DigestKey: or(s.Digest, anyDigest),
	}
}

// Spec is the component to ask for, with the tags that tell another deck what it is.
func (s Shipment) Spec() lora.ComponentSpec {
	return lora.ComponentSpec{
		Name: s.Component, Endpoint: s.Endpoint, Base: s.Base, ArtifactURL: "s3://" + s.Bucket + "/" + s.Key,
		Tags: map[string]string{
			lora.TagJob: or(s.Mark, anyMark), lora.TagAdapter: s.Adapter, lora.TagVersion: strconv.FormatInt(s.Version, 10),
			lora.TagDigest: or(s.Digest, anyDigest), lora.TagTenant: s.Tenant,
		},
	}
}

// Deploy lists the calls that bring a shipment into service and prove it. Of the proof it shows one question: the proof
// itself asks base and adapter 48 of them in five rounds.
func Deploy(s Shipment) []Call {
	return []Call{
		{
			Service: "s3", Operation: "UploadFile", Note: s.uploadNote(),
			Input: Members{
				{"Filename", Text(fmt.Sprintf("%s-v%d.tar.gz", s.Adapter, s.Version))},
				{"Bucket", Text(s.Bucket)},
				{"Key", Text(s.Key)},
				{"ExtraArgs", Members{{"ContentType", Text("application/gzip")}, {"Metadata", sorted(s.Metadata())}}},
			},
		},
		create(s.Spec()),
		look(s.Component, InService, "it comes into service by itself; InService does not mean that it is loaded, so it is asked"),
		ask(s.Endpoint, s.Base, "the proof asks the base …"),
		ask(s.Endpoint, s.Component, "… and the adapter, in turn: 48 prompts in five rounds, of which this is one"),
	}
}

func (s Shipment) uploadNote() string {
	note := "the packed adapter; the bucket is made first where there is none"
	if s.Parts > 1 {
		note = fmt.Sprintf("the packed adapter, in %d parts; the bucket is made first where there is none", s.Parts)
	}
	if s.Key == ArtifactKey(s.Tenant, "") || s.Digest == "" || s.Mark == "" {
		note += "; CAPITALS stand for what the job will know"
	}
	return note
}

// Remove lists the calls that take an adapter component out of service. Its artifact stays in S3.
func Remove(component string) []Call {
	return []Call{
		{
			Service: "sagemaker", Operation: "DeleteInferenceComponent", Note: "refused while it is Creating or Updating; the artifact stays in S3",
			Input: Members{{"InferenceComponentName", Text(component)}},
		},
		look(component, Gone, "it goes by itself; only the service's own \"could not find\" means gone"),
	}
}

// create asks for an adapter component. Its members are those that cloud.CreateComponent sends.
func create(spec lora.ComponentSpec) Call {
	tags := List{}
	for _, tag := range sorted(spec.Tags) {
		tags = append(tags, Members{{"Key", Text(tag.Name)}, {"Value", tag.Value}})
	}
	return Call{
		Service: "sagemaker", Operation: "CreateInferenceComponent", Note: "no variant, compute or copies: an adapter takes them from its base",
		Input: Members{
			{"InferenceComponentName", Text(spec.Name)},
			{"EndpointName", Text(spec.Endpoint)},
			{"Specification", Members{
				{"BaseInferenceComponentName", Text(spec.Base)},
				{"Container", Members{{"ArtifactUrl", Text(spec.ArtifactURL)}}},
			}},
			{"Tags", tags},
		},
	}
}

func look(component string, until Until, note string) Call {
	return Call{
		Service: "sagemaker", Operation: "DescribeInferenceComponent", Note: note, Until: until,
		Input: Members{{"InferenceComponentName", Text(component)}},
	}
}

// question has the settings of the proof's requests. It never asks for echo: with logprobs that ends the engine of vLLM
// 0.11.2 for every tenant.
const question = `{"prompt": ["The capital of France is"], "max_tokens": 1, "temperature": 0, "logprobs": 5}`

func ask(endpoint, component, note string) Call {
	return Call{
		Service: "sagemaker-runtime", Operation: "InvokeEndpoint", Note: note,
		Input: Members{
			{"EndpointName", Text(endpoint)},
			{"InferenceComponentName", Text(component)},
			{"ContentType", Text("application/json")},
			{"Accept", Text("application/json")},
			{"Body", Text(question)},
		},
	}
}

func sorted(m map[string]string) Members {
	var members Members
	for _, name := range slices.Sorted(maps.Keys(m)) {
		members = append(members, Member{name, Text(m[name])})
	}
	return members
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
