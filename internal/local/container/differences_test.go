package container

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
)

// recordedVersions are the versions of vLLM that were recorded and are played.
var recordedVersions = []string{"0.11.2", "0.27.1", "0.32.0"}

// difference is an exchange that is answered otherwise than recorded, and why.
type difference struct {
	exchange string // GROUP/NAME
	versions string // those it holds for, "" is all
	reason   string
}

// differences are all that the container does otherwise on purpose. The conformance run fails on any other difference, and
// when one of these turns out equal.
var differences = []difference{
	{"ping/version", "0.11.2", "the container names the vLLM it plays, not the CPU build that was recorded"},
	{"adapter-invocations/chat-header-spaces", "", "Go trims blanks around a header's value; SageMaker never sends any"},
	{"behaviour/swap_1_load_good", "0.27.1", "the recorder had left the name taken"},
	{"behaviour/evict_models_listed", "0.27.1", "the recorder had left four names there"},
	{"behaviour/fifty_listed", "0.27.1", "the recorder had left names there"},
	{"nan/after", "0.27.1 0.32.0", "on its CPU build the next answer of the base was spoiled once; here none is"},
	{"load/a11_bin_good", "", "pickles are never read here"},
	{"load/a11_pt_good", "", "pickles are never read here"},
	{"load/a11_bin_pickle", "", "pickles are never read here, so the words of the unpickler are not said"},
	{"load/a11_bin_garbage", "", "pickles are never read here, so the words of the unpickler are not said"},
	{"load/a11_bin_module_not_in_cfg", "", "pickles are never read here"},
	{"load/a11_bin_cfg_extra_module", "0.27.1 0.32.0", "pickles are never read here"},
}

// ofTheCPU are what a real server on a CPU does otherwise than it did when it was recorded: its code for LoRA on the ends of a base
// reads beyond its slots, and what it finds there is chance (recordings, CPU caveat).
var ofTheCPU = []difference{
	{"use/a17_embed_ok", "", "LoRA on the embedding is chance on a CPU"},
	{"use/a17_lm_head_ok", "", "LoRA on the head is chance on a CPU"},
}

// tally counts the exchanges of one version and holds them to the list of differences.
type tally struct {
	version string
	real    bool // a real vLLM answers, which differs in less: the menu made here holds no pickles, so these load nowhere

	mu              sync.Mutex
	compared, equal int
	seen            map[string]bool // exchanges that were compared
	met             map[string]bool // differences that were seen
}

// check takes in one exchange and what was found different in it.
func (c *tally) check(t *testing.T, exchange string, diffs []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compared++
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[exchange] = true
	if len(diffs) == 0 {
		c.equal++
		return
	}
	if c.met == nil {
		c.met = map[string]bool{}
	}
	if d, expected := c.expected(exchange); expected {
		c.met[d.exchange] = true
		return
	}
	t.Errorf("%s, %s:\n\t%s", c.version, exchange, strings.Join(diffs, "\n\t"))
}

// expected is the difference that an exchange has in this version.
func (c *tally) expected(exchange string) (difference, bool) {
	known := differences
	if c.real {
		known = slices.Concat(differences, ofTheCPU)
	}
	i := slices.IndexFunc(known, func(d difference) bool { return c.holds(d) && d.exchange == exchange })
	if i < 0 {
		return difference{}, false
	}
	return known[i], true
}

func (c *tally) holds(d difference) bool {
	return d.versions == "" || slices.Contains(strings.Fields(d.versions), c.version)
}

// report says what was counted, and fails for differences that have gone: those of groups the version was recorded for.
func (c *tally) report(t *testing.T, groups map[string]bool) {
	t.Helper()
	var gone []string
	for _, d := range differences {
		group, _, _ := strings.Cut(d.exchange, "/")
		if c.holds(d) && groups[group] && !c.met[d.exchange] && !c.real {
			gone = append(gone, d.exchange+" ("+d.reason+")")
		}
	}
	sort.Strings(gone)
	for _, exchange := range gone {
		t.Errorf("%s: %s is answered as recorded now; take it out of the differences", c.version, exchange)
	}
	t.Logf("%s: %d exchanges, %d equal, %d different with a reason", c.version, c.compared, c.equal, c.compared-c.equal)
}
