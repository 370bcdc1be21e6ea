package container

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// longPrompt is the one with which the recorder told old weights from new.
var longPrompt = strings.Repeat("I saw the clock near the old gate; it was bright. ", 8) + "The boat"

// behaviour replays a recorded series of steps whose answers are compared as a whole: which of them are equal is what was
// recorded, not their words.
type behaviour struct {
	url  string
	file map[string]json.RawMessage
}

// uses are the statuses and texts of a recorded list of answers, whatever else an entry holds.
func (b behaviour) uses(t *testing.T, keys ...string) (statuses []int, texts []string) {
	t.Helper()
	for _, key := range keys {
		var list []any
		if err := json.Unmarshal(b.file[key], &list); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		for _, item := range list {
			entry, isList := item.([]any)
			if !isList {
				continue
			}
			if _, named := entry[0].(string); named { // round robin puts the adapter first
				entry = entry[1:]
			}
			statuses, texts = append(statuses, int(entry[0].(float64))), append(texts, entry[1].(string))
		}
	}
	return statuses, texts
}

// ask is the recorder's question.
func (b behaviour) ask(t *testing.T, adapter, prompt string) reply {
	t.Helper()
	return post(t, b.url, "/invocations", adapter, string(compact(map[string]any{"prompt": prompt, "temperature": 0, "max_tokens": 10})))
}

// order numbers texts by their first appearance: lists of one order have the same texts equal.
func order(texts []string) []int {
	var seen []string
	var out []int
	for _, text := range texts {
		at := slices.Index(seen, text)
		if at < 0 {
			at = len(seen)
			seen = append(seen, text)
		}
		out = append(out, at)
	}
	return out
}

// hold compares answers with the recorded ones: statuses, the bodies of what is no answer, and which answers are equal.
func hold(statuses []int, texts []string, got []reply) []string {
	var ours, theirs []string
	var diffs []string
	if len(got) != len(statuses) {
		return []string{fmt.Sprintf("%d answers, recorded %d", len(got), len(statuses))}
	}
	for i, one := range got {
		isAnswer := strings.HasPrefix(one.Body, `{"id"`)
		switch {
		case one.Status != statuses[i]:
			diffs = append(diffs, fmt.Sprintf("answer %d is %d %s, recorded %d %s", i, one.Status, one.Body, statuses[i], texts[i]))
		case !isAnswer && hidden(one.Body) != hidden(texts[i]):
			diffs = append(diffs, fmt.Sprintf("answer %d is %s, recorded %s", i, one.Body, texts[i]))
		case isAnswer:
			ours, theirs = append(ours, textOf(one)), append(theirs, texts[i])
		}
	}
	if !slices.Equal(order(ours), order(theirs)) {
		diffs = append(diffs, fmt.Sprintf("answers %q are not equal and different as recorded %q", ours, theirs))
	}
	return diffs
}

// compareBehaviour replays what the recorder did with one slot and two places in memory: five adapters in turn, files
// replaced under a registered name, refusals beside traffic, fifty adapters. Left out is what hurts: stale prefix caches,
// mixed batches of the CPU build, files that vanish.
func compareBehaviour(t *testing.T, counted *tally, dir string) {
	url := served(t, counted.version, dir, nil, nil)
	b := behaviour{url: url}
	readRecording(t, counted.version, "behaviour", dir, &b.file)
	check := func(name string, got ...reply) {
		t.Helper()
		statuses, texts := b.uses(t, name)
		counted.check(t, "behaviour/"+name, hold(statuses, texts, got))
	}
	menu := func(name string) string { return filepath.Join(dir, "menu", name) }

	var loaded, turns, six []reply
	for i, name := range []string{"ok_good", "ok_qv_only", "ok_rank16", "ok_q_only_packed", "ok_rank3"} {
		loaded = append(loaded, register(t, b.url, fmt.Sprintf("e%d", i), menu(name)))
	}
	check("evict_register", loaded...)
	counted.check(t, "behaviour/evict_models_listed", b.list(t, "evict_models_listed"))
	for i := range 15 {
		turns = append(turns, b.ask(t, fmt.Sprintf("e%d", i%5), "The boat"))
	}
	check("evict_round_robin", turns...)
	for range 6 {
		six = append(six, b.ask(t, "e0", "The boat"))
	}
	check("evict_same_adapter_six_times", six...)
	for i := range 5 {
		unregister(t, b.url, fmt.Sprintf("e%d", i))
	}
	compareSwap(t, b, check, menu, dir)

	check("load_under_load", register(t, b.url, "u0", menu("ok_rank16")), register(t, b.url, "u1", menu("ok_rank16")), register(t, b.url, "u2", menu("ok_rank16")))
	b.refused(t, counted, "bad_load_under_load", register(t, b.url, "bad", menu("a20_bigger_base")))
	for _, name := range []string{"u0", "u1", "u2", "sw2", "o1", "o2", "o3"} {
		unregister(t, b.url, name)
	}
	register(t, b.url, "g1", menu("ok_good"))
	register(t, b.url, "g2", menu("ok_rank16"))
	check("a20_before", b.ask(t, "g1", "The boat"), b.ask(t, "g2", "The boat"))
	b.refused(t, counted, "a20_refused", register(t, b.url, "bad20", menu("a20_bigger_base")))
	check("a20_after", b.ask(t, "g1", "The boat"), b.ask(t, "g2", "The boat"), b.ask(t, "g1", "The boat"))
	var fifty []int
	for i := range 50 {
		fifty = append(fifty, register(t, b.url, fmt.Sprintf("k%d", i), menu("ok_good")).Status)
	}
	b.equal(t, counted, "fifty_adapters", fifty)
	b.equal(t, counted, "fifty_listed", len(registered(t, b.url)))
	check("fifty_use_first_and_last", b.ask(t, "k0", "The boat"), b.ask(t, "k49", "The boat"))
}

// refused compares a single recorded refusal: a status, a body and a time.
func (b behaviour) refused(t *testing.T, counted *tally, name string, got reply) {
	t.Helper()
	var want []any
	if err := json.Unmarshal(b.file[name], &want); err != nil {
		t.Fatal(err)
	}
	counted.check(t, "behaviour/"+name, hold([]int{int(want[0].(float64))}, []string{want[1].(string)}, []reply{got}))
}

// equal compares a value with the recorded one.
func (b behaviour) equal(t *testing.T, counted *tally, name string, got any) {
	t.Helper()
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Compact(&want, b.file[name]); err != nil {
		t.Fatal(err)
	}
	var diffs []string
	if want.String() != string(text) {
		diffs = append(diffs, fmt.Sprintf("%s, recorded %s", text, want.String()))
	}
	counted.check(t, "behaviour/"+name, diffs)
}

// list compares the names that a server lists with the recorded ones.
func (b behaviour) list(t *testing.T, name string) []string {
	t.Helper()
	var want, got []string
	if err := json.Unmarshal(b.file[name], &want); err != nil {
		t.Fatal(err)
	}
	for _, model := range registered(t, b.url) {
		got = append(got, model.ID)
	}
	if !slices.Equal(got, want) {
		return []string{fmt.Sprintf("lists %v, recorded %v", got, want)}
	}
	return nil
}

// compareSwap replaces an adapter's files: a registered name keeps its weights until it has been evicted.
func compareSwap(t *testing.T, b behaviour, check func(string, ...reply), menu func(string) string, dir string) {
	swap := filepath.Join(dir, "swap")
	place := func(name string) {
		t.Helper()
		if err := os.RemoveAll(swap); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(swap, os.DirFS(menu(name))); err != nil {
			t.Fatal(err)
		}
	}
	place("ok_good")
	check("swap_1_load_good", register(t, b.url, "sw", swap), b.ask(t, "sw", longPrompt), b.ask(t, "sw", longPrompt))
	place("ok_zero_b")
	check("swap_2_files_replaced_no_reload", b.ask(t, "sw", longPrompt))
	check("swap_3_register_again", register(t, b.url, "sw", swap), b.ask(t, "sw", longPrompt))
	unregister(t, b.url, "sw")
	place("ok_good")
	register(t, b.url, "sw2", swap)
	before := b.ask(t, "sw2", longPrompt)
	place("ok_zero_b")
	for _, name := range []string{"o1", "o2", "o3"} {
		register(t, b.url, name, menu("ok_qv_only"))
		b.ask(t, name, "The boat")
	}
	after := b.ask(t, "sw2", longPrompt)
	check("swap_5_evict_then_reread", before, after, b.ask(t, "sw2", "The boat"))
	if base := b.ask(t, "", longPrompt); textOf(after) != textOf(base) || textOf(before) == textOf(base) {
		t.Errorf("an evicted adapter whose B is zero now answers %s, the base %s", textOf(after), textOf(base))
	}
}

// compareNaN uses an adapter of broken numbers: with logprobs it fails, without them the answer is empty, and nobody else is
// harmed.
func compareNaN(t *testing.T, counted *tally, dir string) {
	url := served(t, counted.version, dir, nil, nil)
	var file struct {
		With    []any `json:"nan_with_logprobs"`
		Without []any `json:"nan_without_logprobs"`
		After   [][]any
	}
	readRecording(t, counted.version, "nan", dir, &file)
	register(t, url, "nan", filepath.Join(dir, "menu", "x1_nan"))
	register(t, url, "good", filepath.Join(dir, "good"))
	const plain, scored = `{"prompt": "The boat", "temperature": 0, "max_tokens": 8}`, `{"prompt": "The boat", "temperature": 0, "max_tokens": 8, "logprobs": 1}`
	base := textOf(post(t, url, "/invocations", "", plain))

	got := post(t, url, "/invocations", "nan", scored)
	counted.check(t, "nan/with-logprobs", hold([]int{int(file.With[0].(float64))}, []string{file.With[1].(string)}, []reply{got}))
	got = post(t, url, "/invocations", "nan", plain)
	var diffs []string
	if want := fmt.Sprintf(`"text":%q`, file.Without[0]); got.Status != 200 || !strings.Contains(got.Body, want) || !strings.Contains(got.Body, `"finish_reason":"length"`) {
		diffs = append(diffs, fmt.Sprintf("%d %s", got.Status, got.Body))
	}
	counted.check(t, "nan/without-logprobs", diffs)
	diffs = nil
	for i, one := range file.After {
		adapter := strings.TrimPrefix(one[0].(string), "base")
		answer := post(t, url, "/invocations", adapter, scored)
		_, wasAnswered := one[1].([]any)[0].(string)
		if (answer.Status == 200) != wasAnswered || adapter == "" && answer.Status == 200 && textOf(answer) != base {
			diffs = append(diffs, fmt.Sprintf("answer %d after it: %d %s", i, answer.Status, textOf(answer)))
		}
	}
	counted.check(t, "nan/after", diffs)
}

// TestTargetModulesDropTheOthersAsRecorded restricts adapters to down_proj: one that has it answers in part, one that does not
// answers as the base.
func TestTargetModulesDropTheOthersAsRecorded(t *testing.T) {
	t.Parallel()
	const version = "0.32.0"
	dir := unpackData(t)
	buildMenu(t, dir, "ok_good", "ok_qv_only")
	var file map[string]json.RawMessage
	readRecording(t, version, "lora-target-modules", dir, &file)
	server := httptest.NewServer(startVersion(t, version, dir, nil, map[string]string{"SM_VLLM_LORA_TARGET_MODULES": "down_proj"}))
	defer server.Close()
	b := behaviour{url: server.URL}
	base := textOf(b.ask(t, "", "The boat"))
	for _, name := range []string{"ok_good", "ok_qv_only"} {
		if got := register(t, b.url, name, filepath.Join(dir, "menu", name)); got.Status != 200 {
			t.Fatal(got.Body)
		}
		want := string(file[name+"_equals_base"]) == "true"
		if got := textOf(b.ask(t, name, "The boat")); (got == base) != want {
			t.Errorf("%s answers %s, the base %s; recorded as equal: %t", name, got, base, want)
		}
	}
}
