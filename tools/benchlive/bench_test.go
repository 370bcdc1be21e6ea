package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The measuring itself must lose nothing; how long it takes is for whoever runs it.
func TestFiftySocketsLoseNothing(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "benchlive")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	command := exec.Command(binary, "-sockets", "50", "-seconds", "1")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rows := strings.Split(strings.TrimSpace(string(out)), "\n")
	cells := strings.Split(rows[len(rows)-1], "|")
	if len(cells) != 12 || strings.TrimSpace(cells[1]) != "50" || strings.TrimSpace(cells[8]) != "0" {
		t.Errorf("50 sockets, and the row is %q", rows[len(rows)-1])
	}
}
