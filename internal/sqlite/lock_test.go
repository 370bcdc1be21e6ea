package sqlite_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"loradeck/internal/lora"
	"loradeck/internal/sqlite"
)

func TestDataDirectoryHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := sqlite.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Lock(dir)
	if lora.KindOf(err) != lora.Conflict {
		t.Fatalf("got %v, want a conflict", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("Process %d ", os.Getpid()), "--data"} {
		if got := lora.Message(err); !strings.Contains(got, want) {
			t.Errorf("%q does not name %q", got, want)
		}
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := sqlite.Lock(dir)
	if err != nil {
		t.Fatalf("the directory is not free again: %v", err)
	}
	if err := again(); err != nil {
		t.Fatal(err)
	}
}
