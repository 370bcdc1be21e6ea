package spool_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"loradeck/internal/lora"
	"loradeck/internal/spool"
)

var digest = strings.Repeat("ab", 32)

func open(t *testing.T, dir string) *spool.Spool {
	t.Helper()
	s, err := spool.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestKeptFilesAreThereAfterReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := fstest.MapFS{"a.json": {Data: []byte("{}")}, "sub/b": {Data: []byte("b")}, "left-out": {Data: []byte("no")}}
	for range 2 { // keeping twice is keeping once
		if err := open(t, dir).Keep(context.Background(), digest, source, []string{"a.json", "sub/b"}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := open(t, dir).Version(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(kept, "a.json", "sub/b"); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat(kept, "left-out"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that was not named is there: %v", err)
	}
}

func TestUnfinishedArchiveLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	broken := errors.New("disk full")
	_, err := s.PutArchive(func(w io.Writer) (string, error) {
		io.WriteString(w, "half")
		return "", broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the writer's error", err)
	}
	open(t, dir)
	left, _ := os.ReadDir(filepath.Join(dir, "tmp"))
	archives, _ := os.ReadDir(filepath.Join(dir, "archives"))
	if len(left)+len(archives) != 0 {
		t.Errorf("left behind: %v %v", left, archives)
	}
	if _, err := s.Archive(digest); lora.KindOf(err) != lora.NotFound {
		t.Errorf("missing archive: got %v, want not found", err)
	}
}

func TestNamesThatAreNoDigestAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for _, bad := range []string{"", "..", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("a", 63)} {
		if _, err := s.Version(bad); err == nil {
			t.Errorf("version %q was accepted", bad)
		}
		if _, err := s.Archive(bad); err == nil {
			t.Errorf("archive %q was accepted", bad)
		}
	}
}
