package chat

import (
	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/parser"
)

// safeStructures are the statements a chat template may use: all that compute, none that load another file.
func safeStructures() *exec.ControlStructureSet {
	safe := map[string]parser.ControlStructureParser{}
	for _, name := range []string{"if", "for", "set", "macro", "call", "filter", "with", "raw", "do", "break", "continue"} {
		if parse, known := builtins.ControlStructures.Get(name); known {
			safe[name] = parse
		}
	}
	return exec.NewControlStructureSet(safe)
}
