package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"loradeck/internal/check"
	"loradeck/internal/cloud"
	"loradeck/internal/db"
	"loradeck/internal/engine/chat"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
	"loradeck/internal/proof"
)

const (
	unknownLimit = 90 * time.Second // "does not exist" right after InService is waited for so long (facts §2.6)
	answerTokens = 64               // of each greedy answer kept for people
	maxSamples   = 3                // of the adapter's own prompts
	maxTokenizer = 16 << 20         // bytes of a base's tokenizer_config.json; large vocabularies list every token
)

// prove asks base and adapter in turn, judges, and stores the proof with the end of the step. Probes of one base run one job
// at a time: with SM_VLLM_MAX_LORAS=1 several would stall its tenants.
func (j *Jobs) prove(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	leave, err := j.awaitTurn(ctx, run, d.Base)
	if err != nil {
		return err
	}
	defer leave()

	p := prover{jobs: j, run: run, deploy: d}
	for _, do := range []func(context.Context) error{p.look, p.awaitAnswer, p.ask} {
		if err := do(ctx); err != nil {
			return p.explained(err)
		}
	}
	result := proof.Judge(p.set, p.base, p.adapter, proof.DefaultLimits())
	result.Requests = p.requests
	if err := p.answers(ctx, &result); err != nil {
		return p.explained(err)
	}
	if result.Adapter == "" && result.Verdict != lora.VerdictFailed {
		result.Verdict, result.Reason = lora.VerdictFailed, "The adapter's answer to a question is empty."
	}
	return p.store(ctx, result)
}

// awaitTurn waits until no other proof on the base is under way, or the step's context ends. Call leave afterwards.
func (j *Jobs) awaitTurn(ctx context.Context, run *journal.Run, base string) (leave func(), err error) {
	j.mu.Lock()
	key := run.Job.PlaceID + " " + base
	if j.proving[key] == nil {
		j.proving[key] = make(chan struct{}, 1)
	}
	turn := j.proving[key]
	j.mu.Unlock()
	leave = func() { <-turn }
	select {
	case turn <- struct{}{}:
		return leave, nil
	default:
	}
	mine := false
	err = run.Wait(ctx, "waiting for another proof on "+base, func() {
		select {
		case turn <- struct{}{}:
			mine = true
		case <-ctx.Done():
		}
	})
	switch {
	case err != nil && mine:
		leave()
		return nil, err
	case err != nil:
		return nil, err
	case !mine:
		return nil, context.Cause(ctx)
	}
	return leave, nil
}

// prover is one proof under way.
type prover struct {
	jobs *Jobs
	run  *journal.Run
	deploy
	template      *chat.Template // of the base; nil when it has none or it cannot be read
	set           proof.Set
	base, adapter [][]proof.Scores
	baseSeen      lora.Component // as described before the first and after the last request
	adapterSeen   lora.Component
	requests      int
	asked         time.Time // when the newest request was sent
}

// explained says of an engine that died what that means for the adapter. Asking again cannot help: the engine comes back
// without it.
func (p *prover) explained(err error) error {
	if answer, isModel := cloud.AsModelError(err); isModel && answer.Died() {
		return lora.Wrap(err, lora.Conflict, "The engine of %s died while %s was proven. It comes back without its adapters: look at the base's log for what ended it, then remove every adapter on it and deploy it again.", p.Base, p.Component)
	}
	return err
}

// look describes base and adapter, so that the proof can say what it is a proof of, and makes the probe texts.
func (p *prover) look(ctx context.Context) error {
	var err error
	if p.adapterSeen, err = p.place.Component(ctx, p.Component); err != nil {
		return fmt.Errorf("describe %s: %w", p.Component, err)
	}
	if p.baseSeen, err = p.place.Component(ctx, p.Base); err != nil {
		return fmt.Errorf("describe %s: %w", p.Base, err)
	}
	model, err := p.place.Model(ctx, p.baseSeen.ModelName)
	if err != nil {
		return fmt.Errorf("describe the model of %s: %w", p.Base, err)
	}
	tokens := 0
	if text, err := p.place.ModelConfig(ctx, model); err == nil {
		if config, err := check.ParseModelConfig(text); err == nil {
			tokens = config.Context
		}
	}
	if set := lora.SettingsFrom(model.Environment).Context; set > 0 && (tokens == 0 || set < tokens) {
		tokens = set
	}
	p.template = p.readTemplate(ctx, model)
	p.set = proof.Probes(p.chatText(proof.ChatPrompt), tokens)
	return nil
}

// readTemplate reads the base's chat template from its S3 prefix. A base without one is scored on a generic conversation.
func (p *prover) readTemplate(ctx context.Context, model lora.Model) *chat.Template {
	config, err := p.place.ModelFile(ctx, model, "tokenizer_config.json", maxTokenizer)
	if err != nil {
		return nil
	}
	jinja, err := p.place.ModelFile(ctx, model, "chat_template.jinja", maxTokenizer)
	if err != nil {
		jinja = nil
	}
	template, err := chat.FromFiles(config, jinja)
	if err != nil {
		p.jobs.config.Log.InfoContext(ctx, "chat template of a base not used", "component", p.Base, "err", err)
		return nil
	}
	return template
}

// chatText renders one question, ready to be answered, or gives "" without a template.
func (p *prover) chatText(question string) string {
	if p.template == nil {
		return ""
	}
	text, err := p.template.Render(chat.Conversation{Messages: []chat.Message{{Role: "user", Content: question}}, AddGenerationPrompt: true})
	if err != nil {
		return ""
	}
	return text
}

// awaitAnswer waits until the container knows the adapter: the control plane says InService before it does.
func (p *prover) awaitAnswer(ctx context.Context) error {
	begun := time.Now()
	for {
		_, err := p.complete(ctx, p.Component, []string{p.set.Texts[0].Cuts[0]}, 0)
		if err == nil {
			return nil
		}
		if !notYet(err) {
			return fmt.Errorf("ask %s: %w", p.Component, err)
		}
		away := lora.KindOf(err) == lora.Unavailable // nobody is there to know it: a base without copies, or one that is not ready
		if time.Since(begun) > p.patience() {
			if away {
				return fmt.Errorf("ask %s: %w", p.Component, err)
			}
			return lora.Wrap(err, lora.Conflict, "The service says InService, but asking it gives: %s The adapter was refused when it was loaded, or the engine has started anew since and forgotten it. Look at the base's log, then remove the adapter and deploy it again.", answered(err))
		}
		note := "in service, but the container does not know it yet"
		if away {
			note = "in service, but nothing answers for it yet"
		}
		if err := p.run.Note(ctx, "%s", note); err != nil {
			return err
		}
		if err := p.jobs.pause(ctx, p.place); err != nil {
			return err
		}
	}
}

// answered tells what a component answered, without what to do about it.
func answered(err error) string {
	if answer, isModel := cloud.AsModelError(err); isModel {
		return answer.Sentence()
	}
	return ended(lora.Message(err))
}

// notYet reports whether err is what a component that has just come into service answers until it is ready: its container does
// not know the adapter, or the runtime does not know the component (facts §2.6).
func notYet(err error) bool {
	if answer, isModel := cloud.AsModelError(err); isModel {
		return answer.Unknown()
	}
	kind := lora.KindOf(err)
	return kind == lora.NotFound || kind == lora.Unavailable
}

// patience is shorter on the local platform, which registers an adapter before it says InService.
func (p *prover) patience() time.Duration {
	if p.place.Identity().Near {
		return 5 * time.Second
	}
	return unknownLimit
}

// ask runs the rounds, and no more of them once the adapter is known to be broken: with some versions of vLLM it spoils what the
// base answers next (recordings, nan.json).
func (p *prover) ask(ctx context.Context) error {
	prompts := p.set.Prompts()
	rounds := proof.Rounds(len(prompts))
	for i, round := range rounds {
		who, component := "base", p.Base
		if round.Adapter {
			who, component = "adapter", p.Component
		}
		if err := p.run.Note(ctx, "asking the %s, round %d of %d", who, i+1, len(rounds)); err != nil {
			return err
		}
		scores := make([]proof.Scores, len(prompts))
		for _, batch := range round.Batches {
			texts := make([]string, len(batch))
			for k, prompt := range batch {
				texts[k] = prompts[prompt]
			}
			answers, err := p.complete(ctx, component, texts, proof.Logprobs)
			if round.Adapter && broken(err) {
				p.adapter = append(p.adapter, slices.Repeat([]proof.Scores{{"": math.NaN()}}, len(prompts)))
				return nil
			}
			if broken(err) {
				return lora.Wrap(err, lora.KindOf(err), "Nothing on %s can be proven: the base itself fails, without any adapter. %s Look for the reason in its container's log; weights that hold NaN answer so.", p.Base, answered(err))
			}
			if err != nil {
				return fmt.Errorf("score %s: %w", component, err)
			}
			for k, prompt := range batch {
				scores[prompt] = readScores(answers[k])
			}
		}
		if round.Adapter {
			p.adapter = append(p.adapter, scores)
		} else {
			p.base = append(p.base, scores)
		}
	}
	return nil
}

// broken reports whether the container failed to write an answer. vLLM does so when scores are NaN, which JSON does not have
// (recordings/vllm-0.11.2/nan.json: 500; later versions 400 "Out of range float values"). The base has answered before it, so
// it is the adapter.
func broken(err error) bool {
	answer, isModel := cloud.AsModelError(err)
	return isModel && (answer.Status == 500 && !answer.Died() || strings.Contains(answer.Message, "Out of range float"))
}

func (p *prover) complete(ctx context.Context, component string, prompts []string, logprobs int) ([]cloud.Completion, error) {
	p.asking()
	answers, err := p.place.Complete(ctx, lora.Target{Endpoint: p.Endpoint, Component: component}, cloud.CompletionRequest{Prompts: prompts, MaxTokens: 1, Logprobs: logprobs})
	if err != nil {
		p.jobs.config.Heard(ctx, p.run.Job.PlaceID, p.Base, component, err)
	}
	return answers, err
}

// asking counts a request that is about to be sent.
func (p *prover) asking() {
	p.requests++
	p.asked = time.Now()
}

// readScores takes the first generated token's alternatives. Null, which servers write for NaN, makes the scores unusable and
// is left out here: Judge then finds a prompt without scores.
func readScores(c cloud.Completion) proof.Scores {
	if len(c.Top) == 0 {
		return nil
	}
	scores := proof.Scores{}
	for token, value := range c.Top[0] {
		if value == nil {
			return nil
		}
		scores[token] = *value
	}
	return scores
}

// answers keeps what base and adapter say greedily to one question and to the adapter's own prompts, for people to read.
func (p *prover) answers(ctx context.Context, result *proof.Result) error {
	result.Prompt = proof.ChatPrompt
	var err error
	if result.Base, result.Adapter, err = p.both(ctx, result.Prompt); err != nil {
		return err
	}
	var prompts []string
	if err := json.Unmarshal([]byte(p.version.Prompts), &prompts); err != nil {
		return fmt.Errorf("read the prompts of version %d: %w", p.version.ID, err)
	}
	for _, prompt := range prompts[:min(len(prompts), maxSamples)] {
		if prompt == result.Prompt {
			continue
		}
		sample := proof.Sample{Prompt: prompt}
		if sample.Base, sample.Adapter, err = p.both(ctx, prompt); err != nil {
			return err
		}
		result.Samples = append(result.Samples, sample)
	}
	result.Requests = p.requests
	return nil
}

func (p *prover) both(ctx context.Context, prompt string) (base, adapter string, err error) {
	request := cloud.GenerateRequest{Prompt: prompt, MaxTokens: answerTokens}
	if p.template != nil {
		request = cloud.GenerateRequest{Messages: []cloud.Message{{Role: "user", Content: prompt}}, MaxTokens: answerTokens}
	}
	for component, text := range map[string]*string{p.Base: &base, p.Component: &adapter} {
		p.asking()
		if *text, err = p.place.Generate(ctx, lora.Target{Endpoint: p.Endpoint, Component: component}, request); err != nil {
			p.jobs.config.Heard(ctx, p.run.Job.PlaceID, p.Base, component, err)
			return "", "", fmt.Errorf("ask %s: %w", component, err)
		}
	}
	return base, adapter, nil
}

// store keeps the proof with the end of the step, unless base or adapter changed meanwhile.
func (p *prover) store(ctx context.Context, result proof.Result) error {
	for _, seen := range []lora.Component{p.baseSeen, p.adapterSeen} {
		now, err := p.place.Component(ctx, seen.Name)
		if err != nil {
			return fmt.Errorf("describe %s again: %w", seen.Name, err)
		}
		if !now.Modified.Equal(seen.Modified) || !now.Created.Equal(seen.Created) {
			return lora.Errorf(lora.Unavailable, "%s changed while it was proven. It is proven again.", seen.Name)
		}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("store proof: %w", err)
	}
	p.run.OnCommit(func(ctx context.Context, q *db.Queries) error {
		_, err := q.PutProof(ctx, db.PutProofParams{
			DeploymentID: p.Deployment, JobID: p.run.Job.ID, ComponentARN: p.adapterSeen.ARN, ComponentCreatedAt: db.Millis(p.adapterSeen.Created),
			ComponentModifiedAt: db.Millis(p.adapterSeen.Modified), BaseModifiedAt: db.Millis(p.baseSeen.Modified), Digest: p.version.ArchiveDigest,
			ProbeSet: result.Set, Verdict: string(result.Verdict), Reason: result.Reason, Result: string(text), CreatedAt: db.Millis(p.asked),
		})
		return err
	})
	p.run.Done(nil, "%s, effect %.3f nats, noise %.3f", result.Verdict, result.Effect, result.Noise)
	if result.Verdict == lora.VerdictFailed {
		return lora.Errorf(lora.Invalid, "The proof failed. %s", result.Reason)
	}
	return nil
}
