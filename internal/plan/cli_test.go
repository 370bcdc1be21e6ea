package plan_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/plan"
)

// standIn takes the place of the aws command: it writes how many words it was given, the words and its standard input to
// descriptor 3, each ended by a NUL, and fails, which ends every wait.
const standIn = `
sleep() { :; }
aws() {
  printf '%s\0' "$#" "$@" >&3
  case "$*" in *fileb:///dev/stdin*) cat >&3 ;; esac
  printf '\0' >&3
  return 1
}
`

// said is what a shell makes of commands: the words of each and what goes into it.
type said struct {
	words []string
	body  string
}

func runShell(t *testing.T, text string) []said {
	t.Helper()
	path := filepath.Join(t.TempDir(), "said")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	shell := exec.Command("sh")
	shell.Stdin = strings.NewReader(standIn + text)
	shell.ExtraFiles = []*os.File{file}
	var complaint bytes.Buffer
	shell.Stderr = &complaint
	shell.Run() // its status is the last stand-in's; what matters is what was said
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(string(written), "\x00")
	var all []said
	for len(fields) > 1 {
		n, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) < n+2 {
			t.Fatalf("%q\nstderr: %s\nof\n%s", fields, &complaint, text)
		}
		all = append(all, said{words: fields[1 : n+1], body: fields[n+1]})
		fields = fields[n+2:]
	}
	return all
}

func TestTheShellSaysWhatTheCallsHold(t *testing.T) {
	t.Parallel()
	names := hostile()
	names["a usual name"] = "redact"
	names["NUL"] = "a\x00b"
	for what, name := range names {
		for where, place := range places() {
			t.Run(what+" "+where, func(t *testing.T) {
				t.Parallel()
				calls := everything(named(name))
				text := plan.CLI(place, calls)
				check := exec.Command("sh", "-n")
				check.Stdin = strings.NewReader(text)
				if out, err := check.CombinedOutput(); err != nil {
					t.Fatalf("sh: %v, %s", err, out)
				}
				heard := runShell(t, text)
				if len(heard) != len(calls) {
					t.Fatalf("%d commands of %d calls: %q", len(heard), len(calls), heard)
				}
				for i, call := range calls {
					before := 2
					if place.Endpoint != "" {
						before = 4
					}
					judge(t, call, heard[i].words[before:], heard[i].body)
				}
			})
		}
	}
}

// judge compares what one command said with the call it stands for.
func judge(t *testing.T, call plan.Call, words []string, body string) {
	t.Helper()
	inSh := func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD") }
	if words[0] != call.Service {
		t.Errorf("%s: service %s", call.Operation, words[0])
	}
	if call.Operation == "UploadFile" {
		want := []string{"s3", "cp", inSh(call.Input.Text("Filename")), inSh("s3://" + call.Input.Text("Bucket") + "/" + call.Input.Text("Key"))}
		if strings.HasPrefix(want[2], "-") {
			want[2] = "./" + want[2]
		}
		if diff := cmp.Diff(want, words[:4]); diff != "" {
			t.Error(diff)
		}
		extra := decode(t, call.Input.JSON()).(map[string]any)["ExtraArgs"].(map[string]any)
		if words[4] != "--content-type" || words[5] != extra["ContentType"] || words[6] != "--metadata" {
			t.Errorf("upload: %q", words)
		}
		if diff := cmp.Diff(extra["Metadata"], decode(t, words[7])); diff != "" {
			t.Error(diff)
		}
		return
	}
	if words[1] != strings.ToLower(strings.Join(splitAtCapitals(call.Operation), "-")) {
		t.Errorf("%s became %s", call.Operation, words[1])
	}
	if call.Operation == "InvokeEndpoint" {
		want := []string{
			"--endpoint-name", inSh(call.Input.Text("EndpointName")), "--inference-component-name", inSh(call.Input.Text("InferenceComponentName")),
			"--content-type", "application/json", "--accept", "application/json", "--body", "fileb:///dev/stdin", "/dev/stdout",
		}
		if diff := cmp.Diff(want, words[2:]); diff != "" || body != call.Input.Text("Body") {
			t.Errorf("%s\nwith %s", diff, body)
		}
		return
	}
	if words[2] != "--cli-input-json" {
		t.Fatalf("%s: %q", call.Operation, words)
	}
	if diff := cmp.Diff(decode(t, call.Input.JSON()), decode(t, words[3])); diff != "" {
		t.Error(diff)
	}
}

func splitAtCapitals(s string) []string {
	var parts []string
	for _, r := range s {
		if r >= 'A' && r <= 'Z' {
			parts = append(parts, "")
		}
		parts[len(parts)-1] += string(r)
	}
	return parts
}
