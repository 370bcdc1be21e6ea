// Package check holds an adapter against a base before anything is shipped: one rule a thing that can go wrong, each with
// what to do about it. The rules are those of vLLM, whose refusals come ten minutes later or never
// (facts/sagemaker-vllm.md §4, numbered A and S there).
//
// It is pure: it reads what peft and the caller found, opens nothing and asks nobody.
package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"loradeck/internal/lora"
	"loradeck/internal/peft"
)

// Level says how bad a finding is.
type Level string

// The levels. Only Block stops a deployment; with Wait there is nothing to deploy yet.
const (
	Pass  Level = "pass"
	Warn  Level = "warn"
	Block Level = "block"
	Wait  Level = "wait" // what it looks at is still on its way
)

// Finding is what one rule found.
type Finding struct {
	Rule   string `json:"rule"` // stable name of the rule
	Level  Level  `json:"level"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Next   string `json:"next,omitempty"` // what to do; "" for a pass
}

// Report is what all rules found, in the rules' order. It is stored as JSON.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Counts gives how many rules passed, warned and blocked.
func (r Report) Counts() (passed, warned, blocked int) {
	for _, f := range r.Findings {
		switch f.Level {
		case Pass:
			passed++
		case Warn:
			warned++
		case Block:
			blocked++
		}
	}
	return passed, warned, blocked
}

// Blocks reports whether the adapter must not be shipped to this base.
func (r Report) Blocks() bool {
	_, _, blocked := r.Counts()
	return blocked > 0
}

// Waiting gives how many rules wait for something that is still on its way.
func (r Report) Waiting() int {
	waiting := 0
	for _, f := range r.Findings {
		if f.Level == Wait {
			waiting++
		}
	}
	return waiting
}

// Refusal gives the blocking findings as sentences, each followed by what to do.
func (r Report) Refusal() string {
	var sentences []string
	for _, f := range r.Findings {
		if f.Level != Block {
			continue
		}
		text := f.Title + "."
		for _, more := range []string{f.Detail, f.Next} {
			if more != "" {
				text += " " + more
			}
		}
		sentences = append(sentences, text)
	}
	return strings.Join(sentences, " ")
}

// Base is what is known of the base component.
type Base struct {
	Name            string
	Settings        lora.Settings
	SettingsTrouble string       // why they could not be read; "" when they were
	Config          *ModelConfig // nil when it could not be read
	ConfigTrouble   string       // why not
}

// ModelConfig is a base's config.json as far as LoRA shapes need it.
type ModelConfig struct {
	ModelType string `json:"model_type"`
	Hidden    int    `json:"hidden_size"`
	Inner     int    `json:"intermediate_size"`
	Layers    int    `json:"num_hidden_layers"`
	Heads     int    `json:"num_attention_heads"`
	KVHeads   int    `json:"num_key_value_heads"`
	HeadDim   int    `json:"head_dim"`
	Vocab     int    `json:"vocab_size"`
	Context   int    `json:"max_position_embeddings"`
}

// ParseModelConfig reads a config.json and fills in what its absence means.
func ParseModelConfig(text []byte) (*ModelConfig, error) {
	var c ModelConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The base's config.json is no JSON of the expected form.")
	}
	if c.Hidden <= 0 || c.Heads <= 0 || c.Layers <= 0 {
		return nil, lora.Errorf(lora.Invalid, "The base's config.json names no hidden size, heads and layers.")
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 {
		c.HeadDim = c.Hidden / c.Heads
	}
	return &c, nil
}

// rule looks at one thing. It says nothing when the thing cannot be seen because another rule has already said why.
type rule struct {
	name    string
	needs   part   // of the adapter, before it can look
	subject string // what it looks at, to be said while it waits
	look    func(peft.Adapter, Base) (Finding, bool)
}

// part is what of an adapter a rule needs.
type part int

const (
	theConfig part = 1 << iota
	theHeader
	theFiles // all names; known early for a folder and late for an archive
)

// missing says whether something of it is still on its way.
func (p part) missing(a peft.Adapter) bool {
	config, weights := errors.Is(a.ConfigTrouble, peft.ErrNotYet), errors.Is(a.WeightsTrouble, peft.ErrNotYet)
	return p&theConfig != 0 && config || p&theHeader != 0 && weights ||
		p&theFiles != 0 && (config && !a.Has(peft.ConfigFile) || weights && !a.Has(peft.WeightsFile))
}

// Run runs all rules. For an adapter that is still arriving, the rules that need what is missing wait and the others judge.
func Run(a peft.Adapter, base Base) Report {
	var report Report
	for _, r := range rules {
		if r.needs.missing(a) {
			report.Findings = append(report.Findings, Finding{Rule: r.name, Level: Wait, Title: r.subject})
			continue
		}
		if finding, says := r.look(a, base); says {
			finding.Rule = r.name
			report.Findings = append(report.Findings, finding)
		}
	}
	return report
}

func pass(format string, args ...any) (Finding, bool) {
	return Finding{Level: Pass, Title: fmt.Sprintf(format, args...)}, true
}

func block(title, detail, next string) (Finding, bool) {
	return Finding{Level: Block, Title: title, Detail: detail, Next: next}, true
}

func warn(title, detail, next string) (Finding, bool) {
	return Finding{Level: Warn, Title: title, Detail: detail, Next: next}, true
}

func silent() (Finding, bool) { return Finding{}, false }
