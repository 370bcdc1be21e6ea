package templates_test

import (
	"time"

	"loradeck/web/templates"
)

// Made-up views: one of every state a page can show.

func madeDeck(icons string) templates.Deck {
	inService := templates.State{Mark: "inservice", Word: "In service"}
	slot := func(id, name, version, mark, word, status string) templates.Slot {
		return templates.Slot{ID: "slot-" + id, Name: name, Href: "/jobs/1", Version: version, Component: name + "-" + version, State: templates.State{Mark: mark, Word: word}, Status: status, Size: "rank 8 · 0.6 MB", RemoveURL: "/deployments/" + id + "/remove"}
	}
	proven := slot("1", "pirate", "v1", "proven", "Proven", "InService")
	proven.About, proven.TryURL, proven.Proof = "Answers like a pirate", "/playground?adapter=pirate", "2.31 nats, 4 min ago"
	notProven := slot("2", "refund-policy", "v4", "inservice", "In service, not proven", "InService")
	notProven.TryURL, notProven.Proof = "/playground", "The base changed since the proof"
	noEffect := slot("3", "tone-formal", "v3", "noeffect", "No effect", "InService")
	noEffect.Note, noEffect.NoteLink = "Answers exactly as the base.", templates.Link{Href: "/jobs/3", Text: "See why"}
	unclear := slot("4", "fr-support", "v1", "unclear", "Unclear", "InService")
	unclear.Note, unclear.NoteLink = "0.14 nats: more than noise, less than proof.", templates.Link{Href: "/jobs/4", Text: "See the proof"}
	creating := slot("5", "json", "v1", "creating", "Creating", "Creating")
	creating.Note, creating.NoteLink, creating.RemoveURL = "SageMaker says Creating, 12 s so far", templates.Link{Href: "/jobs/5", Text: "Watch"}, ""
	failed := slot("6", "sql-helper", "v12", "failed", "Failed", "Failed")
	failed.Note, failed.NoteLink = "Rank 128 is too high for this base.", templates.Link{Href: "/jobs/6", Text: "See the cause"}
	deleting := slot("7", "churn-notes", "v1", "deleting", "Deleting", "Deleting")
	deleting.Note, deleting.NoteLink, deleting.RemoveURL = "SageMaker is deleting it", templates.Link{Href: "/jobs/7", Text: "Watch"}, ""
	gone := slot("8", "old-notes", "v2", "gone", "Gone", "")
	gone.Note = "Was in service and is missing from the endpoint's list since 3 min."
	return templates.Deck{
		Icons:   icons,
		Figures: []templates.Figure{{Label: "Endpoints", Value: "2"}, {Label: "Bases", Value: "2"}, {Label: "Adapters", Value: "8"}, {Label: "Proven", Value: "1", Unit: "of 8"}},
		Needs: []templates.Need{
			{Mark: "failed", Title: "tone-formal v3 changes nothing.", Text: "It answers exactly as the base.", Act: templates.Link{Href: "/jobs/3", Text: "See why"}},
			{Mark: "warn", Title: "eu-west-1 did not answer.", Text: "What is shown of it is 4 min old. Credentials have expired: sign in again with the AWS CLI."},
		},
		Racks: []templates.Rack{
			{ID: "ep-0", Name: "local", Local: true, State: inService, Status: "InService", Specs: []string{"This machine", "000000000000, us-east-1"}, Bases: []templates.Base{
				{
					ID: "base-0-0", Name: "tiny-llama-base", State: inService, Status: "InService", Specs: []string{"LlamaForCausalLM", "float32", "1,024 tokens"}, TryURL: "/playground",
					Limits: &templates.Limits{Batch: templates.Limit{Variable: "SM_VLLM_MAX_LORAS", Most: 4}, Cache: templates.Limit{Variable: "SM_VLLM_MAX_CPU_LORAS", Most: 8}, Rank: templates.Limit{Variable: "SM_VLLM_MAX_LORA_RANK", Most: 64}},
					Slots:  []templates.Slot{proven, notProven, noEffect, unclear, creating, failed, deleting, gone},
					Offers: []templates.Offer{{ID: "offer-json", Name: "json", Title: "JSON answers", Blurb: "Answers every question as a JSON object. A made-up adapter, to see how it goes.", Action: "/samples/json/deploy", Place: "p", Base: "tiny-llama-base"}},
				},
			}},
			{ID: "ep-1", Name: "support-prod", State: templates.State{Mark: "updating", Word: "Updating"}, Status: "Updating", Specs: []string{"eu-west-1", "ml.g6e.12xlarge", "1 instance"}, Note: "Last seen 4 min ago.", Bases: []templates.Base{
				{
					ID: "base-1-0", Name: "qwen25-7b-base", State: templates.State{Mark: "failed", Word: "Failed"}, Status: "Failed", Idle: true,
					Notes: []string{"api_server.py: error: argument --max-lora-rank: invalid choice: 33 (choose from 1, 8, 16, 32, 64, 128, 256, 320, 512)", "No copy of it runs, so nothing on it answers."},
					Limits: &templates.Limits{
						Batch: templates.Limit{Variable: "SM_VLLM_MAX_LORAS", Most: 1}, Cache: templates.Limit{Variable: "SM_VLLM_MAX_CPU_LORAS", Most: 1, Note: " not set: as many as in a batch"},
						Rank: templates.Limit{Variable: "SM_VLLM_MAX_LORA_RANK", Wrong: `SM_VLLM_MAX_LORA_RANK is "33", which vLLM does not take: it takes 1, 8, 16, 32, 64, 128, 256, 320 or 512.`},
					},
				},
				{
					ID: "base-1-1", Name: "llama31-8b-base", State: inService, Status: "InService", TryURL: "/playground", Idle: true, Notes: []string{"No copy of it runs, so nothing on it answers, although it is InService."},
					Slots:  []templates.Slot{{ID: "slot-9", Name: "idle", State: inService, Status: "InService", TryURL: "/playground"}},
					Offers: []templates.Offer{{ID: "offer-idle", Name: "json", Title: "JSON answers", Action: "/samples/json/deploy", Place: "p", Base: "llama31-8b-base"}},
				},
			}},
		},
	}
}

func madeLanes(failed bool) templates.Lanes {
	start := time.Date(2026, 11, 23, 14, 2, 11, 0, time.UTC)
	axis := templates.AxisFor(start, start.Add(34*time.Second))
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	lane := func(mark, word, name, note string, from, to float64) templates.Lane {
		return templates.Lane{
			State: templates.State{Mark: mark, Word: word}, Name: name, Note: note, Took: templates.Took(at(to).Sub(at(from))),
			Bars: []templates.Span{{Mark: mark, X: axis.At(at(from)), Width: axis.Width(at(to).Sub(at(from))), Title: templates.Took(at(to).Sub(at(from)))}},
		}
	}
	create := lane("done", "done", "Create", "accepted", 9, 12)
	create.Tries = "2 attempts"
	create.Bars = []templates.Span{{Mark: "failed", X: axis.At(at(6)), Width: axis.Width(time.Second), Title: "throttled"}, create.Bars[0]}
	wait := lane("running", "running", "In service", "SageMaker says Creating", 12, 34)
	wait.Current = true
	last := templates.Lane{State: templates.State{Mark: "waiting", Word: "waiting"}, Name: "Prove", Took: ""}
	now := axis.At(at(34))
	if failed {
		wait = lane("done", "done", "In service", "after 14 s", 12, 26)
		last = lane("failed", "failed", "Prove", "48 of 48 cuts answered", 26, 34)
		last.Reason = "The adapter answers exactly as the base: every tensor name starts with base_model.model.language_model, a part this base does not have."
		now = ""
	}
	return templates.Lanes{Ticks: axis.Ticks(), Now: now, Rows: []templates.Lane{
		lane("done", "done", "Check", "14 passed, 1 warning", 0, 0.2), lane("done", "done", "Pack", "2 files into one archive, 0.6 MB", 0.2, 2), lane("done", "done", "Upload", "1 part, checksum matches", 2, 5), create, wait, last,
	}}
}

func madeJob(icons string) templates.Job {
	return templates.Job{
		Icons: icons, ID: 12, Title: "Deploy json v1", State: templates.State{Mark: "running"}, Summary: "Running, 4 of 6 steps done", Base: templates.Link{Href: "/", Text: "tiny-llama-base"}, Where: "local",
		Figures: []templates.Figure{{Label: "Elapsed", Value: "34 s"}, {Label: "Attempts", Value: "2", Unit: "on create"}}, Lanes: madeLanes(false),
		Checks:  &templates.Checks{Look: []templates.Check{{State: templates.State{Mark: "warn", Word: "Warning"}, Title: "The chat template in this folder is not used", Detail: "The server renders chats with the base's own.", Next: "Compare both before shipping."}}, Passed: []string{"Rank 8 fits", "All 56 tensors belong to this base"}},
		About:   []templates.Fact{{Label: "Adapter", Value: "json v1"}, {Label: "Component", Value: "json-v1-tiny-llama-base", Mono: true}, {Label: "Rank and size", Value: "rank 8, 0.6 MB"}, {Label: "Digest", Value: "c81e57a044d0c81e57a044d0c81e57a044d0c81e57a044d0c81e57a044d044d0", Mono: true}},
		Tries:   []templates.Try{{State: templates.State{Mark: "failed", Word: "failed"}, Text: "Create, attempt 1:", Outcome: "throttled, trying again in 5 s", When: "14:02:17"}, {State: templates.State{Mark: "done", Word: "done"}, Text: "Create, attempt 2:", Outcome: "done", When: "14:02:20"}},
		Webhook: []templates.Try{{State: templates.State{Mark: "queued", Word: "waiting"}, Text: "job.failed:", Outcome: "answered 500; attempt 2 of 8 at 14:02:40"}},
	}
}

func madeFailedJob(icons string) templates.Job {
	j := madeJob(icons)
	j.ID, j.Title, j.State, j.Summary = 9, "Deploy tone-formal v3", templates.State{Mark: "failed"}, "Failed at step 6 of 6, prove"
	j.Lanes = madeLanes(true)
	j.Failure = &templates.Failure{Title: "The adapter is in service but changes nothing", Cause: "Every tensor name starts with base_model.model.language_model, a part this base does not have. vLLM ignores such tensors without an error.", Now: "The component tone-formal-v3 exists and answers exactly as the base.", Next: []templates.Link{{Href: "/deployments/9/remove", Text: "Remove tone-formal v3"}, {Href: "/playground", Text: "Compare it yourself"}}}
	return j
}

func madeProvenJob(icons string) templates.Job {
	j := madeJob(icons)
	j.ID, j.Title, j.State, j.Summary = 8, "Deploy pirate v1", templates.State{Mark: "proven"}, "Proven"
	j.Lanes = madeLanes(false)
	j.Lanes.Now = ""
	effect := func(name string, v float64) templates.Effect {
		return templates.Effect{Name: name, Nats: templates.Nats(v), Width: templates.Percent(v / 3), Mark: "proven", Says: "differs", Lines: []templates.Tick{{X: templates.Percent(0.12 / 3), Text: "differs from here on"}}}
	}
	low := effect("Chinese", 0.08)
	low.Mark, low.Says = "waiting", "too close"
	together := effect("All together", 1.412)
	together.Lines = []templates.Tick{{X: templates.Percent(0.08 / 3), Text: "no effect up to here"}, {X: templates.Percent(0.2 / 3), Text: "proven from here on"}}
	j.Proof = &templates.Proof{
		Verdict: templates.State{Mark: "proven", Word: "Proven"}, Sentence: "Differs from the base by 1.412 nats on average, 58 times its own noise, on 5 of 6 texts.", Age: "4 min ago",
		Noise: "0.024", NoEffect: "0.080", Proven: "0.200", TextLine: "0.120, on 4 of 6 texts",
		Texts: []templates.Effect{effect("Prose", 1.2), effect("Code", 0.9), effect("JSON", 2.8), low, effect("Question", 1.9), effect("Chat", 2.4)}, Together: &together,
		Prompt: "What is the capital of France?", Base: "The capital of France is Paris.", Adapter: "Arr, the capital o' France be Paris, matey!",
		CompareURL: "/playground?adapter=pirate",
	}
	return j
}

func madeJobs(icons string) templates.Jobs {
	row := func(title, mark, word, step string) templates.JobRow {
		return templates.JobRow{ID: "row-" + title, Href: "/jobs/1", Title: title, State: templates.State{Mark: mark, Word: word}, Step: step, Where: "local", When: "14:02:11", Took: "34 s"}
	}
	return templates.Jobs{Icons: icons, Older: "/jobs?before=3", Rows: []templates.JobRow{row("Remove churn-notes v1", "queued", "Queued", ""), row("Deploy json v1", "running", "Running", "in service"), row("Deploy pirate v1", "proven", "Proven", ""), row("Deploy tone-formal v3", "failed", "Failed", "prove"), row("Remove old v1", "done", "Done", "")}}
}

func madePlayground(icons string) templates.Playground {
	base := "The capital of France is Paris. It lies on the river Seine."
	text := "The capital o' France be Paris, matey! It lies on the Seine."
	same, flag, rest := templates.Diverge(base, text, false)
	num := func(v, u string) templates.Measure { return templates.Measure{Value: v, Unit: u} }
	return templates.Playground{
		Icons:  icons,
		Recent: []templates.Past{{Href: "/comparisons/3", Text: "What is the capital of France? And what of the question that goes on and on until it fills the whole line of a phone?", When: "14:02:11"}},
		Form: templates.Compose{
			Bases: []templates.Choice{{Text: "tiny-llama-base", Href: "/playground", Chosen: true}, {Text: "qwen25-7b-base", Href: "/playground?base=q"}}, Base: "p/tiny-llama-base", Chat: true, Text: "What is the capital of France?",
			Adapters:  []templates.Choice{{Value: "a", Text: "pirate v1", Note: "proven", Chosen: true}, {Value: "b", Text: "json v1", Note: "in service, not proven", Chosen: true}, {Value: "c", Text: "fr-support v1", Note: "creating: cannot answer yet", Off: true}},
			MaxTokens: "128", Temperature: "0", TopP: "1", Seed: "7", Tries: []templates.Link{{Href: "/playground?text=a", Text: "Who painted the Mona Lisa?"}, {Href: "/playground?text=b", Text: "What is the capital of France?"}},
		},
		Run: &templates.Run{ID: 4, State: templates.State{Mark: "running"}, Summary: "Answering, 1 of 3 done", When: "14:10:02", StopURL: "/comparisons/4/stop", Panes: []templates.Pane{
			{N: 0, Key: "A", Label: "tiny-llama-base", Ref: true, State: templates.State{Mark: "done", Word: "Done"}, TTFT: num("12", "ms"), Speed: num("411.0", "tok/s"), In: num("42", "tok"), Out: num("16", "tok"), Same: base, Note: "stopped by itself"},
			{N: 1, Key: "B", Label: "pirate v1", State: templates.State{Mark: "running", Word: "Answering"}, Moving: true, TTFT: num("14", "ms"), Same: same, Flag: flag, Rest: rest},
			{N: 2, Key: "C", Label: "json-extract-with-a-long-name v1", State: templates.State{Mark: "failed", Word: "Failed"}, Note: "The model does not exist in the container. Prove the deployment again, or remove it."},
		}},
	}
}

func madeRemove(icons string) templates.Ask {
	return templates.Ask{
		Icons: icons, Path: templates.Link{Href: "/", Text: "Deck"}, Verb: "Remove", Name: "pirate v1", Action: "/remove", Back: templates.Link{Href: "/", Text: "Keep it"},
		Will:  []string{"The inference component pirate-v1-tiny-llama-base on endpoint local is deleted.", "Requests that name it fail from then on."},
		Stays: []string{"Its artifact stays in s3://loradeck-000000000000/adapters/….tar.gz, so it can be deployed again without an upload.", "The base tiny-llama-base keeps serving, and so do its other adapters.", "This deck keeps the job, the proof and the comparisons."},
	}
}
