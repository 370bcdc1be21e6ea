package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"loradeck/internal/lora"
	"loradeck/internal/sqlite"
)

const counterSQL = `-- +goose Up
CREATE TABLE counter (name TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT;
INSERT INTO counter (name, n) VALUES ('a', 0);
`

func schema(files ...string) fs.FS {
	set := fstest.MapFS{}
	for i, text := range files {
		set[fmt.Sprintf("%05d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(text)}
	}
	return set
}

func open(t *testing.T, path string, opts ...sqlite.Option) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func newCounter(t *testing.T) *sqlite.DB {
	t.Helper()
	db := open(t, filepath.Join(t.TempDir(), "x.db"))
	if err := db.Migrate(t.Context(), schema(counterSQL)); err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t *testing.T, db *sqlite.DB) int {
	t.Helper()
	var n int
	if err := db.Read().QueryRowContext(t.Context(), `SELECT n FROM counter WHERE name = 'a'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func increment(ctx context.Context, db *sqlite.DB) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT n FROM counter WHERE name = 'a'`).Scan(&n); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE counter SET n = ? WHERE name = 'a'`, n+1)
		return err
	})
}

func TestWritersThatReadFirstNeitherFailNorLoseAnUpdate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	first, second := open(t, path), open(t, path) // two pools: what the lock inside the file must keep apart
	if err := first.Migrate(t.Context(), schema(counterSQL)); err != nil {
		t.Fatal(err)
	}
	const each, times = 8, 25
	var group sync.WaitGroup
	for i := range each {
		db := []*sqlite.DB{first, second}[i%2]
		group.Go(func() {
			for range times {
				if err := increment(t.Context(), db); err != nil {
					t.Errorf("increment: %v", err)
					return
				}
			}
		})
		group.Go(func() {
			for range times {
				var n int
				if err := db.Read().QueryRowContext(t.Context(), `SELECT n FROM counter`).Scan(&n); err != nil {
					t.Errorf("read beside writers: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := count(t, first); got != each*times {
		t.Errorf("got %d increments, want %d", got, each*times)
	}
}

func TestErrorAndPanicRollBack(t *testing.T) {
	t.Parallel()
	db := newCounter(t)
	broken := errors.New("broken")
	for _, fail := range []func() error{func() error { return broken }, func() error { panic(broken) }} {
		got := func() (err error) {
			defer func() {
				if caught := recover(); caught != nil {
					err = caught.(error)
				}
			}()
			return db.Write(t.Context(), func(tx *sql.Tx) error {
				if _, err := tx.ExecContext(t.Context(), `UPDATE counter SET n = 99`); err != nil {
					return err
				}
				return fail()
			})
		}()
		if !errors.Is(got, broken) {
			t.Errorf("got %v, want the cause", got)
		}
		if n := count(t, db); n != 0 {
			t.Errorf("got %d, want the change undone", n)
		}
	}
	if err := increment(t.Context(), db); err != nil {
		t.Errorf("the writer is not free again: %v", err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	db := newCounter(t)
	if _, err := db.Read().ExecContext(t.Context(), `UPDATE counter SET n = 1`); err == nil {
		t.Error("a reader wrote")
	}
}

func TestReopenedFileKeepsItsDataAndMigratesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd ?#% name", "x.db")
	for round, opts := range [][]sqlite.Option{nil, {sqlite.Durable()}} {
		db, err := sqlite.Open(t.Context(), path, opts...)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := db.Migrate(t.Context(), schema(counterSQL)); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
		if err := increment(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if got := count(t, db); got != round+1 {
			t.Errorf("round %d: got %d, want %d", round, got, round+1)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, want the owner alone", info.Mode())
	}
}

func TestRoomsThatShareAFileKeepTheirVersionsApart(t *testing.T) {
	t.Parallel()
	db := newCounter(t)
	other := schema("-- +goose Up\nCREATE TABLE other (id INTEGER PRIMARY KEY) STRICT;\n")
	for range 2 {
		if err := db.MigrateSet(t.Context(), "other", other); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Read().ExecContext(t.Context(), `SELECT id FROM other`); err != nil {
		t.Errorf("the second set was not applied: %v", err)
	}
}

func TestBrokenMigrationLeavesNoHalf(t *testing.T) {
	t.Parallel()
	db := newCounter(t)
	half := "-- +goose Up\nCREATE TABLE half (id INTEGER PRIMARY KEY);\nCREATE NONSENSE;\n"
	if err := db.Migrate(t.Context(), schema(counterSQL, half)); err == nil {
		t.Fatal("a broken migration was applied")
	}
	if _, err := db.Read().ExecContext(t.Context(), `SELECT id FROM half`); err == nil {
		t.Error("half of a migration stayed")
	}
}

func TestFileOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	db := newCounter(t)
	newer := schema(counterSQL, "-- +goose Up\nCREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;\n")
	if err := db.Migrate(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), schema(counterSQL)); lora.KindOf(err) != lora.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
}
