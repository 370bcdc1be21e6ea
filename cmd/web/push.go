package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"loradeck/internal/client"
	"loradeck/internal/lora"
)

// What loradeck push ends with, as its usage says.
const (
	exitRefused  = 1 // by the check, or no adapter
	exitUsage    = 2 // or no dashboard answers, or it does not let this person in
	exitFailed   = 3
	exitNoEffect = 4
	exitUnclear  = 5
	exitStopped  = 130 // by a signal, as shells have it
)

// ending is an error that the shell is told by a status of its own.
type ending struct {
	code int
	error
}

// Unwrap gives the error.
func (e ending) Unwrap() error { return e.error }

// pushed is what --json prints.
type pushed struct {
	Outcome    string             `json:"outcome"` // proven, accepted, refused, failed, no effect, unclear or stopped; "error" for what never began
	Exit       int                `json:"exit"`
	Message    string             `json:"message"`
	Upload     *client.Upload     `json:"upload,omitempty"`
	Check      *client.Check      `json:"check,omitempty"`
	Deployment *client.Deployment `json:"deployment,omitempty"`
	Page       string             `json:"page,omitempty"` // where to look, as a full address
}

// push sends an adapter to a running dashboard, has it checked and deployed, and waits for its proof when asked to.
func push(ctx context.Context, o pushOptions, stdout, stderr io.Writer) error {
	says := newTeller(stderr, o.plain)
	c, err := client.New(client.Config{URL: o.url, Token: o.token, Trouble: says.trouble})
	if err != nil {
		return err
	}
	source, err := client.Read(o.path)
	if err != nil {
		return err
	}
	p := pusher{options: o, client: c, says: says}
	err = p.run(ctx, source)
	says.clear()
	p.conclude(ctx, err)
	if o.json {
		text, err := json.MarshalIndent(p.result, "", "  ")
		if err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
		fmt.Fprintf(stdout, "%s\n", text)
	} else if p.result.Exit == 0 {
		fmt.Fprintln(stdout, p.result.Outcome, p.result.Page)
	}
	if p.result.Exit == 0 {
		return nil
	}
	kind := lora.KindOf(err)
	if p.result.Exit == exitStopped {
		kind = lora.Unavailable // a signal has no kind of its own, and its sentence is to be read
	}
	return ending{p.result.Exit, lora.Wrap(err, kind, "%s", p.result.Message)}
}

// pusher is one push on its way.
type pusher struct {
	options pushOptions
	client  *client.Client
	says    *teller
	result  pushed
}

// run does it all. What it knows so far is in the result; an error says why it went no further.
func (p *pusher) run(ctx context.Context, source client.Source) error {
	upload, err := p.send(ctx, source)
	if err != nil {
		return err
	}
	if err := p.check(ctx, upload); err != nil {
		return err
	}
	o := p.options
	deployment, err := p.client.Deploy(ctx, client.Shipment{Upload: upload.ID, Adapter: o.adapter, Tenant: o.tenant, Place: o.place, Base: o.base, Component: o.component})
	if err != nil {
		return wrongWords(err)
	}
	p.result.Deployment, p.result.Page = &deployment, p.client.Link(deployment.Job.Page)
	p.says.line("%s v%d on %s is job %d: %s", deployment.Adapter, deployment.Version, deployment.Base, deployment.Job.ID, p.result.Page)
	if !o.wait {
		p.result.Outcome, p.result.Message = "accepted", "It is being deployed."
		return nil
	}
	job, err := p.client.Watch(ctx, deployment.Job.ID, p.says.steps)
	if err != nil {
		return err
	}
	deployment.Job = job
	return p.judge(job)
}

// send brings the adapter to the dashboard, as far as it is not there.
func (p *pusher) send(ctx context.Context, source client.Source) (client.Upload, error) {
	upload, err := p.client.Begin(ctx, source)
	if err != nil {
		return upload, refused(err)
	}
	p.result.Upload, p.result.Page = &upload, p.client.Link(upload.Page)
	if upload.State == "receiving" {
		// A wrong base, or a file that is missing, is known before a byte is sent.
		if err := p.check(ctx, upload); err != nil {
			return upload, err
		}
		p.says.begin(upload)
		if err := p.client.Send(ctx, upload, source, p.says.sent); err != nil {
			return upload, refused(err)
		}
	}
	p.says.clear()
	upload, err = p.client.Settled(ctx, upload.ID)
	p.result.Upload = &upload
	return upload, refused(err)
}

// check holds the adapter against the base, as far as it is there.
func (p *pusher) check(ctx context.Context, upload client.Upload) error {
	found, err := p.client.Check(ctx, upload.ID, p.options.place, p.options.base)
	if err != nil {
		return wrongWords(err)
	}
	p.result.Check = &found
	if !found.Blocks && !found.Ready {
		return nil
	}
	first := p.says.findings(found)
	if found.Blocks {
		return ending{exitRefused, lora.Errorf(lora.Invalid, "It would not work on %s: %s.", p.options.base, first)}
	}
	return nil
}

// refused gives what the dashboard would not take the status of a refusal.
func refused(err error) error {
	if kind := lora.KindOf(err); kind == lora.Invalid || kind == lora.TooLarge {
		return ending{exitRefused, err}
	}
	return err
}

// wrongWords gives a name that the dashboard does not know or take the status of wrong usage.
func wrongWords(err error) error {
	if kind := lora.KindOf(err); kind == lora.Invalid || kind == lora.NotFound {
		return ending{exitUsage, err}
	}
	return err
}

// judge says what the end of a deployment means to a script.
func (p *pusher) judge(job client.Job) error {
	switch verdict := lora.Verdict(job.Verdict); {
	case verdict == lora.VerdictNoEffect:
		return ending{exitNoEffect, lora.Errorf(lora.Conflict, "It is in service and has no effect: %s", job.VerdictReason)}
	case verdict == lora.VerdictUnclear:
		return ending{exitUnclear, lora.Errorf(lora.Conflict, "It is in service, and whether it has an effect is unclear: %s", job.VerdictReason)}
	case verdict == lora.VerdictProven && job.State == lora.JobDone:
		p.result.Outcome, p.result.Message = "proven", job.VerdictReason
		return nil
	case job.State == lora.JobCancelled:
		return ending{exitFailed, lora.Errorf(lora.Conflict, "The job was cancelled. %s", job.Reason)}
	}
	return ending{exitFailed, lora.Errorf(lora.Conflict, "The job failed at %s: %s", job.Step, job.Reason)}
}

// conclude fills in how it ended.
func (p *pusher) conclude(ctx context.Context, err error) {
	if err == nil {
		return
	}
	r := &p.result
	r.Message = lora.Message(err)
	var e ending
	switch {
	case ctx.Err() != nil:
		r.Exit, r.Message = exitStopped, "Stopped. Run the same command again, and it goes on where it stopped."
		if r.Deployment != nil {
			r.Message = "Stopped watching. The job goes on: " + r.Page
		}
	case errors.As(err, &e):
		r.Exit = e.code
	case lora.KindOf(err) == lora.Conflict || lora.KindOf(err) == lora.Limit:
		r.Exit = exitFailed
	default:
		r.Exit = exitUsage
	}
	r.Outcome = map[int]string{
		exitRefused: "refused", exitUsage: "error", exitFailed: "failed", exitNoEffect: "no effect", exitUnclear: "unclear", exitStopped: "stopped",
	}[r.Exit]
}
