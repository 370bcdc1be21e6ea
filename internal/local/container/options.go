package container

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// optionTables are the options of each vLLM that is played, as its own parser has them (tools/vllm/options.py): a line each, with
// the names, what the value is, and the choices.
//
//go:embed options/*.txt
var optionTables embed.FS

// option is one option of vLLM's command line.
type option struct {
	names   []string // "--tensor-parallel-size", "-tp"; the first is the one that settings go by
	kind    string   // of its value: "int", "choice", … with "optional-" before it, "+" behind it for several and "?" for one or none
	choices []string
}

// flagKinds take no value: a flag has a --no- form beside it, a switch has none.
const (
	flagKind   = "flag"
	switchKind = "switch"
)

// options are those of the version that is played.
func (d dialect) options() []option {
	text, err := optionTables.ReadFile("options/" + d.version + ".txt")
	if err != nil {
		panic(fmt.Sprintf("container: no options of vLLM %s: %v", d.version, err)) // every dialect has its table
	}
	var out []option
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		out = append(out, option{names: strings.Split(fields[0], "/"), kind: fields[1], choices: fields[2:]})
	}
	return out
}

// spellings are the names under which an option is found, with the --no- form of each long one behind it.
func (o option) spellings() []string {
	var out []string
	for _, name := range o.names {
		out = append(out, name)
		if long, ok := strings.CutPrefix(name, "--"); ok && o.kind == flagKind {
			out = append(out, "--no-"+long)
		}
	}
	return out
}

// find looks an option up by its name or, as Python does, by the beginning of exactly one name. Nil means that there is none.
func find(options []option, name string) (found *option, spelled string, err error) {
	var alike []string
	for i, o := range options {
		for _, spelling := range o.spellings() {
			if spelling == name {
				return &options[i], spelling, nil
			}
			if strings.HasPrefix(spelling, name) {
				alike = append(alike, spelling)
				found, spelled = &options[i], spelling
			}
		}
	}
	if len(alike) > 1 {
		return nil, "", argumentError("ambiguous option: %s could match %s", name, strings.Join(alike, ", "))
	}
	return found, spelled, nil
}

// take judges the values that stand behind an option, and gives those that it leaves over.
func (o option) take(values []string) (left []string, err error) {
	shown := strings.Join(o.names, "/")
	many := strings.HasSuffix(o.kind, "+")
	switch {
	case o.kind == flagKind || o.kind == switchKind:
		return values, nil
	case len(values) == 0 && strings.HasSuffix(o.kind, "?"):
		return nil, nil
	case len(values) == 0 && many:
		return nil, argumentError("argument %s: expected at least one argument", shown)
	case len(values) == 0:
		return nil, argumentError("argument %s: expected one argument", shown)
	case !many:
		values, left = values[:1], values[1:]
	}
	for _, value := range values {
		if what := o.wrong(value); what != "" {
			return nil, argumentError("argument %s: %s", shown, what)
		}
	}
	return left, nil
}

// pythonInt is a number as int() takes it.
var pythonInt = regexp.MustCompile(`^\s*[+-]?\d+(_\d+)*\s*$`)

// wrong says in Python's words what is wrong with a value, "" when nothing is.
func (o option) wrong(value string) string {
	kind, optional := strings.CutPrefix(strings.TrimSuffix(o.kind, "+"), "optional-")
	good, called := true, kind
	switch kind {
	case "int", "int-choice":
		good, called = pythonInt.MatchString(value), "int"
	case "float":
		_, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		good = err == nil
	case "readable", "readable-or-auto":
		called = map[string]string{"readable": "human_readable_int", "readable-or-auto": "human_readable_int_or_auto"}[kind]
		if binaryDecimal.MatchString(value) {
			return fmt.Sprintf("Decimals are not allowed with binary suffixes like %s. Did you mean to use %s instead?", value[len(value)-1:], strings.ToLower(value))
		}
		_, good = readableInt(value)
		good = good || kind == "readable-or-auto" && value == "auto"
	case "loads":
		good = json.Valid([]byte(value))
	}
	switch {
	case !good && optional && (called == "int" || called == "float"):
		return fmt.Sprintf("Value %s cannot be converted to <class '%s'>.", value, called)
	case !good && optional:
		return fmt.Sprintf("Value %s cannot be converted to <function %s>.", value, called) // and an address in memory
	case !good:
		return fmt.Sprintf("invalid %s value: %s", called, reprText(value))
	case kind == "choice" && !slices.Contains(o.choices, value):
		quoted := make([]string, len(o.choices))
		for i, choice := range o.choices {
			quoted[i] = reprText(choice)
		}
		return fmt.Sprintf("invalid choice: %s (choose from %s)", reprText(value), strings.Join(quoted, ", "))
	case kind == "int-choice" && !slices.Contains(o.choices, strconv.Itoa(readInt(value))):
		return fmt.Sprintf("invalid choice: %d (choose from %s)", readInt(value), strings.Join(o.choices, ", "))
	}
	return ""
}

// readInt reads what pythonInt matches.
func readInt(text string) int {
	n, _ := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(text), "_", ""))
	return n
}

var (
	readable      = regexp.MustCompile(`^(\d+(?:\.\d+)?)([kKmMgG])$`)
	binaryDecimal = regexp.MustCompile(`^\d+\.\d+[KMG]$`)
)

// readableInt reads "4096", "8k" (8000), "25.6k" and "8K" (8192).
func readableInt(text string) (int, bool) {
	m := readable.FindStringSubmatch(text)
	if m == nil {
		return readInt(text), pythonInt.MatchString(text)
	}
	unit := map[string]int{"k": 1e3, "m": 1e6, "g": 1e9, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[m[2]]
	if strings.ToUpper(m[2]) == m[2] {
		n, err := strconv.Atoi(m[1])
		return n * unit, err == nil
	}
	f, err := strconv.ParseFloat(m[1], 64)
	return int(f * float64(unit)), err == nil
}
