package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// report measures one shape and prints what came out.
type report struct {
	shape    shape
	base     string
	rounds   int
	llamacpp peer

	engines map[int]*process // by threads, each with enough adapters for a batch
	peers   map[string]map[int]*process
}

// sameModel is how far a log probability of llama.cpp may be from the engine's: it rounds activations to bfloat16 and keeps keys and values in
// half precision.
const sameModel = 0.05

// heldAdapters is how many adapters the full engine holds.
const heldAdapters = 1000

func (r *report) run() (err error) {
	defer r.stop()
	if err := r.start(); err != nil {
		return err
	}
	c := r.shape.config
	fmt.Printf("\n%s: hidden %d, %d layers, vocabulary %d, bfloat16; prompts of %d tokens, answers of %d after them\n",
		r.shape.name, c.Hidden, c.Layers, c.Vocab, r.shape.prompt, r.shape.answer)
	if err := r.compareScores(); err != nil {
		return err
	}
	best, err := r.speeds()
	if err != nil {
		return err
	}
	if err := r.adapters(best); err != nil {
		return err
	}
	return r.held(best)
}

// threads lists the numbers of threads that are tried: powers of two up to the processors.
func threads() (all []int) {
	for n := 1; n <= runtime.NumCPU(); n *= 2 {
		all = append(all, n)
	}
	return all
}

func (r *report) start() (err error) {
	r.engines, r.peers = map[int]*process{}, map[string]map[int]*process{}
	for _, n := range threads() {
		if r.engines[n], err = startEngine(r.base, n, batch, ""); err != nil {
			return err
		}
	}
	if r.llamacpp.binary == "" {
		return nil
	}
	for _, kind := range r.llamacpp.kinds() {
		r.peers[kind] = map[int]*process{}
		for _, n := range threads() {
			p, greeting, err := r.llamacpp.start(r.base, kind, n, min(r.shape.config.Context, 1024))
			if err != nil {
				return err
			}
			r.peers[kind][n] = p
			if n == 1 {
				fmt.Printf("llama.cpp, %s: %s\n", kind, strings.TrimSpace(greeting))
			}
		}
	}
	return nil
}

func (r *report) stop() {
	for _, p := range r.engines {
		stopped(p)
	}
	for _, kind := range r.peers {
		for _, p := range kind {
			stopped(p)
		}
	}
}

func stopped(p *process) {
	if p == nil {
		return
	}
	if err := p.stop(); err != nil {
		fmt.Fprintf(os.Stderr, "benchengine: %s: %v\n", p.name, err)
	}
}

// compareScores shows that llama.cpp computes the same model: the log probabilities of the engine's twenty likeliest tokens.
func (r *report) compareScores() error {
	for _, kind := range slices.Sorted(maps.Keys(r.peers)) {
		line, err := r.engines[1].ask(fmt.Sprintf("score %d 20", r.shape.prompt))
		if err != nil {
			return err
		}
		question, mine := fmt.Sprintf("score %d", r.shape.prompt), []float64{}
		for _, top := range strings.Fields(line) {
			id, logprob, _ := strings.Cut(top, ":")
			v, err := strconv.ParseFloat(logprob, 64)
			if err != nil {
				return err
			}
			question, mine = question+" "+id, append(mine, v)
		}
		if line, err = r.peers[kind][1].ask(question); err != nil {
			return err
		}
		theirs, furthest := strings.Fields(line), 0.0
		if len(mine) == 0 || len(theirs) != len(mine) {
			return fmt.Errorf("llama.cpp, %s, scored %d of %d tokens: nothing can be compared", kind, len(theirs), len(mine))
		}
		for i, field := range theirs {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return err
			}
			furthest = max(furthest, math.Abs(v-mine[i]))
		}
		fmt.Printf("llama.cpp, %s, and the engine give the 20 likeliest tokens log probabilities at most %.2g apart\n", kind, furthest)
		if !(furthest < sameModel) {
			return fmt.Errorf("llama.cpp, %s, computes another model: nothing can be compared", kind)
		}
	}
	return nil
}

// speeds measures answers and prompts, and sets them beside llama.cpp; best is the number of threads at which the engine answered fastest.
func (r *report) speeds() (best int, err error) {
	decode, prefill := fmt.Sprintf("decode %d %d", r.shape.prompt, r.shape.answer), fmt.Sprintf("prefill %d %d", r.shape.prompt, r.shape.prompts)
	for _, what := range []struct {
		name, line string
		tokens     int
		target     float64
	}{{"decode", decode, r.shape.answer, 1.0}, {"prefill", prefill, r.shape.prompts * r.shape.prompt, 1.3}} {
		var all series
		for _, n := range threads() {
			all = append(all, &timed{name: "engine", threads: n, process: r.engines[n], line: what.line, tokens: what.tokens})
			for _, kind := range r.llamacpp.kinds() {
				if p := r.peers[kind][n]; p != nil {
					all = append(all, &timed{name: "llama.cpp, " + kind, threads: n, process: p, line: what.line, tokens: what.tokens})
				}
			}
		}
		if err := all.run(r.rounds); err != nil {
			return 0, err
		}
		all.print(what.name)
		ours := all.fastest("engine")
		if what.name == "decode" {
			best = ours.threads
		}
		for _, kind := range r.llamacpp.kinds() {
			if theirs := all.fastest("llama.cpp, " + kind); theirs != nil {
				ratio(fmt.Sprintf("%s, engine on %d threads to llama.cpp, %s, on %d", what.name, ours.threads, kind, theirs.threads), ours, theirs, what.target)
			}
		}
	}
	return best, nil
}

// adapters measures what one adapter costs, and what eight gain by answering at once.
func (r *report) adapters(threads int) error {
	e := r.engines[threads]
	decode, prefill := fmt.Sprintf("decode %d %d", r.shape.prompt, r.shape.answer), fmt.Sprintf("prefill %d %d", r.shape.prompt, r.shape.prompts)
	timedAs := func(name, line string, tokens int) *timed {
		return &timed{name: name, threads: threads, process: e, line: line, tokens: tokens}
	}
	all := series{
		timedAs("decode, base", decode, r.shape.answer), timedAs("decode, adapter", decode+" adapter=3", r.shape.answer),
		timedAs("prefill, base", prefill, r.shape.prompts*r.shape.prompt), timedAs("prefill, adapter", prefill+" adapter=3", r.shape.prompts*r.shape.prompt),
		timedAs("eight adapters, in turn", fmt.Sprintf("inturn 16 %d", r.shape.answer), batch*r.shape.answer),
		timedAs("eight adapters, at once", fmt.Sprintf("together 16 %d", r.shape.answer), batch*r.shape.answer),
	}
	if err := all.run(r.rounds); err != nil {
		return err
	}
	all.print(fmt.Sprintf("adapters of rank %d on all linears", rank))
	ratio("decode, adapter to base", all[1], all[0], r.shape.targets.adapterDecode)
	ratio("prefill, adapter to base", all[3], all[2], r.shape.targets.adapterPrefill)
	ratio("eight adapters, at once to in turn", all[5], all[4], r.shape.targets.atOnce)
	return nil
}

// held measures whether 1,000 adapters in memory slow the one that answers.
func (r *report) held(threads int) error {
	modules := r.shape.heldModules
	one, err := startEngine(r.base, threads, 1, modules)
	if err != nil {
		return err
	}
	defer stopped(one)
	full, err := startEngine(r.base, threads, heldAdapters, modules)
	if err != nil {
		return err
	}
	defer stopped(full)
	decode := fmt.Sprintf("decode %d %d adapter=", r.shape.prompt, r.shape.answer)
	all := series{
		{name: "decode, 1 held", threads: threads, process: one, line: decode + "0", tokens: r.shape.answer},
		{name: fmt.Sprintf("decode, %d held", heldAdapters), threads: threads, process: full, line: decode + "500", tokens: r.shape.answer},
	}
	if err := all.run(r.rounds); err != nil {
		return err
	}
	if modules == "" {
		modules = "all linears"
	}
	all.print(fmt.Sprintf("adapters of rank %d on %s", rank, modules))
	ratio(fmt.Sprintf("decode, %d held to 1", heldAdapters), all[1], all[0], 0.95)
	return nil
}
