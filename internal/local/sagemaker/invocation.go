package sagemaker

import (
	"fmt"
	"regexp"
)

// form is a pattern of the service model: in its words, which errors repeat, and as Go has it.
type form struct {
	words string
	is    *regexp.Regexp
}

func newForm(words, is string) form { return form{words, regexp.MustCompile(is)} }

// field is a string of an invocation and what the service model allows it to be.
type field struct {
	member      string
	header      string // "" for the endpoint's name, which is in the path
	least, most int    // bytes
	form        form
	secret      bool // the model calls it sensitive: errors do not repeat it
}

// The patterns of botocore's sagemaker-runtime model. They must match the whole text, with or without anchors.
var (
	asciiForm    = newForm(`\p{ASCII}*`, `^[\x00-\x7f]*$`)
	printForm    = newForm(`\A\S[\p{Print}]*\z`, `\A\S[\x20-\x7e]*\z`)
	anyForm      = newForm(`.*`, `^.*$`)
	nameForm     = newForm(`^[a-zA-Z0-9](-*[a-zA-Z0-9])*`, `^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`)
	sessionForm  = newForm(`^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`, `^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`)
	openForm     = newForm(`^(NEW_SESSION)$|^[a-zA-Z0-9](-*[a-zA-Z0-9])*$`, `^(?:NEW_SESSION|[a-zA-Z0-9](-*[a-zA-Z0-9])*)$`)
	locationForm = newForm(`^(https|s3)://([^/]+)/?(.*)$`, `^(https|s3)://([^/]+)/?(.*)$`)
	partForm     = newForm(`^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$`, `^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?$`)
)

// fields are the strings of every action; those of one action only follow.
var (
	fields = []field{
		{member: "endpointName", most: 63, form: nameForm},
		{member: "customAttributes", header: attributesHeader, most: 1024, form: asciiForm, secret: true},
		{member: "inferenceId", header: "X-Amzn-Sagemaker-Inference-Id", least: 1, most: 64, form: printForm},
	}
	answeredFields = []field{
		{member: "contentType", header: "Content-Type", most: 1024, form: asciiForm},
		{member: "targetVariant", header: "X-Amzn-Sagemaker-Target-Variant", most: 63, form: nameForm},
		{member: "targetContainerHostname", header: "X-Amzn-Sagemaker-Target-Container-Hostname", most: 63, form: nameForm},
		{member: "inferenceComponentName", header: componentHeader, most: 63, form: partForm},
		{member: "prefixAwareId", header: "X-Amzn-Sagemaker-Prefix-Aware-Id", least: 1, most: 64, form: printForm},
	}
	actionFields = map[action][]field{
		whole: {
			{member: "accept", header: "Accept", most: 1024, form: asciiForm},
			{member: "targetModel", header: "X-Amzn-Sagemaker-Target-Model", least: 1, most: 1024, form: printForm},
			{member: "enableExplanations", header: "X-Amzn-Sagemaker-Enable-Explanations", least: 1, most: 64, form: anyForm},
			{member: "sessionId", header: sessionHeader, most: 256, form: openForm},
		},
		streamed: { // a stream cannot open a session
			{member: "accept", header: "X-Amzn-Sagemaker-Accept", most: 1024, form: asciiForm},
			{member: "sessionId", header: sessionHeader, most: 256, form: sessionForm},
		},
		queued: {
			{member: "contentType", header: "X-Amzn-Sagemaker-Content-Type", most: 1024, form: asciiForm},
			{member: "accept", header: "X-Amzn-Sagemaker-Accept", most: 1024, form: asciiForm},
			{member: "inputLocation", header: "X-Amzn-Sagemaker-Inputlocation", least: 1, most: 1024, form: locationForm},
		},
	}
)

// check holds an invocation to the limits and patterns of the service model, and tells all that is wrong at once. That values
// which the model calls sensitive are left out is seen in aws/aws-sdk-js#4203.
func (i invocation) check() error {
	var wrong violations
	known := append(append([]field{}, fields...), actionFields[i.action]...)
	if i.action != queued {
		known = append(known, answeredFields...)
	}
	for _, f := range known {
		value, there := i.endpoint, true
		if f.header != "" {
			value, there = i.header.Get(f.header), len(i.header.Values(f.header)) > 0
		}
		if there {
			wrong.field(f, value)
		}
	}
	if most := i.action.limit(); int64(len(i.body)) > most {
		wrong.secret("body", fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	return asValidationError(wrong.err())
}

// field checks a string that is there.
func (v *violations) field(f field, value string) {
	fail := func(constraint string) { v.add(value, f.member, constraint) }
	if f.secret {
		fail = func(constraint string) { v.secret(f.member, constraint) }
	}
	if len(value) < f.least {
		fail(fmt.Sprintf("Member must have length greater than or equal to %d", f.least))
	}
	if len(value) > f.most {
		fail(fmt.Sprintf("Member must have length less than or equal to %d", f.most))
	}
	if !f.form.is.MatchString(value) {
		fail("Member must satisfy regular expression pattern: " + f.form.words)
	}
}

// secret tells what is wrong with a member without its value.
func (v *violations) secret(member, constraint string) {
	v.tell(fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", member, constraint))
}
