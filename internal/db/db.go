// Package db is the app's memory: places as last seen, adapters and their versions, deployments, jobs with every step and
// attempt, proofs and comparisons, in one SQLite file.
//
// The queries are SQL files under queries/, turned into Go by sqlc (generated files are committed; `make generate`). The
// package knows no AWS, no page and no rule of what a job does: it stores and finds. Times are Unix milliseconds.
package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"loradeck/internal/lora"
	"loradeck/internal/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is the open database. It is safe for concurrent use.
type DB struct {
	file *sqlite.DB
	read *Queries
}

// Open opens or creates the database at path and brings its schema up to date. Job history must survive a power cut, so
// every commit is synced.
func Open(ctx context.Context, path string) (*DB, error) {
	file, err := sqlite.Open(ctx, path, sqlite.Durable())
	if err != nil {
		return nil, err
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err == nil {
		err = file.Migrate(ctx, steps)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bring %s up to date: %w", path, err), file.Close())
	}
	return &DB{file: file, read: New(file.Read())}, nil
}

// Close closes the file. The database must not be used afterwards.
func (d *DB) Close() error { return d.file.Close() }

// Read gives the queries on the readers' connections; writing through it fails.
func (d *DB) Read() *Queries { return d.read }

// Write runs do in one transaction on the only writing connection. An error or a panic rolls everything back. Do must not
// call the network, render or notify: whoever waits for the writer waits for do.
func (d *DB) Write(ctx context.Context, do func(q *Queries) error) error {
	return d.file.Write(ctx, func(tx *sql.Tx) error { return do(New(tx)) })
}

// Found turns the driver's "no rows" into a NotFound error with the given sentence and passes every other error on.
func Found(err error, format string, args ...any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return lora.Wrap(err, lora.NotFound, format, args...)
	}
	return err
}

// Missing reports whether err says that a query for one row found none.
func Missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// Millis gives t as the tables keep it, and 0 for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time gives back what Millis stored.
func Time(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}
