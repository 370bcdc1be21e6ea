package internal_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors is the table of ARCHITECTURE.md. A room may import rooms of lower floors; the few that import a room of their own
// floor are named in sideways.
var floors = map[string]int{
	"cmd/web":           5,
	"internal/handlers": 4, "internal/local": 4,
	"internal/jobs": 3, "internal/watch": 3, "internal/compare": 3, "internal/hook": 3, "internal/intake": 3,
	"internal/local/s3": 3, "internal/local/sagemaker": 3, "internal/local/container": 3, "internal/local/demo": 3,
	"internal/local/vllm":  3,
	"internal/local/fault": 2, "internal/levers": 3,
	"internal/cloud": 2, "internal/peft": 2, "internal/check": 2, "internal/plan": 2, "internal/proof": 2, "internal/db": 2, "internal/engine": 2,
	"internal/live": 2, "internal/spool": 2, "internal/people": 2, "internal/client": 2, "web/templates": 2,
	"internal/lora": 1, "internal/safetensors": 1, "internal/sqlite": 1, "web/static": 1,

	// Below their own room: only it and rooms above may use them.
	"internal/jobs/journal": 2, "internal/engine/kernel": 1, "internal/engine/tokenizer": 1, "internal/engine/chat": 1,
}

var sideways = map[string]string{
	"internal/check":        "internal/peft", // the rules read an adapter as peft found it
	"internal/jobs/journal": "internal/db internal/live",
	"web/templates":         "internal/people",
}

// only names who may import what lies outside the module, by prefix.
var only = map[string][]string{
	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream": {"internal/cloud", "internal/local/sagemaker"},
	"github.com/aws/":                 {"internal/cloud"},
	"modernc.org/sqlite":              {"internal/sqlite"},
	"github.com/labstack/echo":        {"internal/handlers", "cmd/web"},
	"github.com/gorilla/websocket":    {"internal/handlers", "cmd/web"},
	"github.com/nikolalohinski/gonja": {"internal/engine/chat"},
}

// never names imports that a room must not have even though their floor would allow it: a shared line would hide a shared
// mistake.
var never = map[string][]string{
	"internal/cloud":           {"internal/local"},
	"internal/levers":          {"internal/local", "internal/cloud", "internal/db"},
	"internal/handlers":        {"internal/local"},
	"internal/local":           {"internal/cloud", "internal/peft", "internal/check", "internal/db", "internal/jobs", "internal/proof"},
	"internal/local/container": {"internal/peft", "internal/check", "internal/cloud", "internal/db"},
	"internal/local/sagemaker": {"internal/peft", "internal/check", "internal/cloud", "internal/db"},
	"internal/local/s3":        {"internal/peft", "internal/check", "internal/cloud", "internal/db"},
	"web/templates":            {"internal/db", "internal/jobs"},
}

func TestRoomsImportLowerFloorsOnly(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "node_modules" || name == "testdata" || path != root && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		room, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		room = filepath.ToSlash(room)
		if strings.HasPrefix(room, "tools/") {
			return nil // a tool may use every room; no room imports a tool
		}
		if floors[room] == 0 {
			t.Errorf("%s is in no floor: add it to the table here and in ARCHITECTURE.md", room)
		}
		seen[room] = true
		return checkImports(t, room, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range floors {
		if !seen[room] {
			t.Errorf("%s stands in the table and is empty", room)
		}
	}
}

func checkImports(t *testing.T, room, path string) error {
	source, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		other, ours := strings.CutPrefix(imported, "loradeck/")
		if !ours {
			checkOutside(t, room, imported)
			continue
		}
		inside := strings.HasPrefix(other, room+"/") || strings.HasPrefix(room, other+"/")
		// lora's nouns and error are under every room, also those of the lowest floor.
		allowed := other == "internal/lora" || floors[other] < floors[room] || inside && floors[other] <= floors[room] || strings.Contains(" "+sideways[room]+" ", " "+other+" ")
		if !allowed {
			t.Errorf("%s (floor %d) imports %s (floor %d)", room, floors[room], other, floors[other])
		}
		for _, bad := range never[room] {
			if other == bad || strings.HasPrefix(other, bad+"/") {
				t.Errorf("%s imports %s, which it must not know", room, other)
			}
		}
	}
	return nil
}

func checkOutside(t *testing.T, room, imported string) {
	t.Helper()
	longest := ""
	for prefix := range only {
		if strings.HasPrefix(imported, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if longest == "" {
		return
	}
	for _, allowed := range only[longest] {
		if room == allowed {
			return
		}
	}
	t.Errorf("%s imports %s; only %s may", room, imported, strings.Join(only[longest], ", "))
}
