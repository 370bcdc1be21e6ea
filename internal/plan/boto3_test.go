package plan_test

import (
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
	"loradeck/internal/plan"
)

// readPython prints the calls of a program's clients, in order, with their arguments. It reads the program and does not run it.
const readPython = `
import ast, json, sys
tree = ast.parse(sys.stdin.buffer.read())
calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
         and isinstance(n.func.value, ast.Name) and n.func.value.id in ("s3", "sm", "smr")]
calls.sort(key=lambda n: n.lineno)
print(json.dumps([{"client": n.func.value.id, "method": n.func.attr, "input": {k.arg: ast.literal_eval(k.value) for k in n.keywords}}
                  for n in calls if not n.args]))
`

func TestTheProgramSaysWhatTheCallsHold(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3 here to read the program; the fuzz target's seeds read its strings")
	}
	spelled := map[string]string{
		"UploadFile": "s3.upload_file", "CreateInferenceComponent": "sm.create_inference_component", "InvokeEndpoint": "smr.invoke_endpoint",
		"DescribeInferenceComponent": "sm.describe_inference_component", "DeleteInferenceComponent": "sm.delete_inference_component",
	}
	names := hostile()
	names["a usual name"] = "redact"
	for what, name := range names {
		for where, place := range places() {
			t.Run(what+" "+where, func(t *testing.T) {
				t.Parallel()
				calls := everything(named(name))
				var want []any
				for _, call := range calls {
					service, method, _ := strings.Cut(spelled[call.Operation], ".")
					want = append(want, map[string]any{"client": service, "method": method, "input": decode(t, call.Input.JSON())})
				}
				text := plan.Boto3(place, calls)
				read := exec.Command(python, "-c", readPython)
				read.Stdin = strings.NewReader(text)
				var complaint bytes.Buffer
				read.Stderr = &complaint
				out, err := read.Output()
				if err != nil {
					t.Fatalf("python: %v\n%s\nof\n%s", err, &complaint, text)
				}
				if diff := cmp.Diff(any(want), decode(t, string(out))); diff != "" {
					t.Errorf("%s\nin\n%s", diff, text)
				}
			})
		}
	}
}

// skeleton gives a program without the content of its strings and without white space, and the strings.
func skeleton(t *testing.T, text string) (bones string, held []string) {
	t.Helper()
	var b strings.Builder
	for text != "" {
		if text[0] == '"' {
			literal, err := strconv.QuotedPrefix(text)
			if err != nil {
				t.Fatalf("a string without an end: %s", text)
			}
			content, err := strconv.Unquote(literal)
			if err != nil {
				t.Fatalf("%s: %v", literal, err)
			}
			held = append(held, content)
			b.WriteString(`""`)
			text = text[len(literal):]
			continue
		}
		if comment := text[0] == '#'; comment {
			line, rest, _ := strings.Cut(text, "\n")
			b.WriteString(line + "\n")
			text = rest
			continue
		}
		if !strings.ContainsRune(" \n", rune(text[0])) {
			b.WriteByte(text[0])
		}
		text = text[1:]
	}
	return b.String(), held
}

// Whatever a name holds, only the content of strings changes, and every character of the program can be seen.
func FuzzBoto3(f *testing.F) {
	for _, name := range hostile() {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.Trim(name, " ") == "" {
			return // nothing to find again
		}
		place := lora.Place{Region: "eu-central-1"}
		text := plan.Boto3(place, everything(named(name)))
		if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
			t.Fatalf("something in it cannot be seen: %q", text)
		}
		bones, held := skeleton(t, text)
		plain, plainHeld := skeleton(t, plan.Boto3(place, everything(named("redact"))))
		if diff := cmp.Diff(plain, bones); diff != "" {
			t.Errorf("the program itself changed: %s", diff)
		}
		want := strings.ToValidUTF8(name, "\uFFFD")
		for i, content := range plainHeld {
			if content == "redact" && held[i] != want {
				t.Errorf("%q instead of %q", held[i], want)
			}
		}
	})
}
