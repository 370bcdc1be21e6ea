// Package sqlite opens SQLite files the way every room here wants them: write-ahead log, one writer whose transactions take
// the write lock at their start, and a few readers beside it. It also brings schemas up to date and gives a data directory
// to one process at a time.
//
// It is the only package that imports a SQL driver, and it knows no table: rooms bring their migrations and their SQL.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite" // registers itself under the name "sqlite"
	codes "modernc.org/sqlite/lib"
)

// readers is how many connections read at once: enough for a page and its sockets, few enough that their page caches stay
// small (16 MB each at most).
const readers = 4

// DB is an open file. It is safe for concurrent use.
type DB struct {
	path   string
	writer *sql.DB
	reader *sql.DB
}

// Option changes how Open opens the file.
type Option func(*options)

type options struct{ synchronous string }

// Durable makes every commit reach the disk before it returns, so that a power cut loses nothing that was said to be
// stored. Without it a killed process loses nothing, a power cut may lose the last commits, and commits are about four
// times faster.
func Durable() Option { return func(o *options) { o.synchronous = "FULL" } }

// Open opens the file at path, and creates it (readable by its owner alone) and its directory when they are missing. The
// caller closes it.
func Open(ctx context.Context, path string, opts ...Option) (*DB, error) {
	o := options{synchronous: "NORMAL"}
	for _, opt := range opts {
		opt(&o)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	// busy_timeout comes first: switching to WAL may itself have to wait for another process.
	writer, err := connect(ctx, path, 1, url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + o.synchronous + ")", "foreign_keys(1)", "cache_size(-16000)",
	}})
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	// A read-only connection cannot make the write-ahead log, so the readers come after the writer.
	reader, err := connect(ctx, path, readers, url.Values{"mode": {"ro"}, "_pragma": {
		"busy_timeout(5000)", "query_only(1)", "cache_size(-16000)",
	}})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s for reading: %w", path, err), writer.Close())
	}
	return &DB{path: path, writer: writer, reader: reader}, nil
}

// create makes the file before SQLite does, which would let everyone on the machine read it.
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// connect opens a pool of the given size and proves it with one connection.
func connect(ctx context.Context, path string, size int, query url.Values) (*sql.DB, error) {
	name := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	pool, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// Write runs do in one transaction that holds the write lock from its start, so what do reads cannot change before it
// writes. An error from do, or a panic in it, rolls everything back. Writers queue: do must not wait for anything but the
// database, and must not call Write.
func (d *DB) Write(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := d.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit this does nothing
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// Full reports whether err says that the disk has no room for what was to be written.
func Full(err error) bool {
	var failed *driver.Error
	return errors.As(err, &failed) && failed.Code()&0xff == codes.SQLITE_FULL
}

// Read gives the readers' connections. They see what is committed; a statement that writes fails.
func (d *DB) Read() *sql.DB { return d.reader }

// Close closes all connections after the statements in flight are done.
func (d *DB) Close() error {
	// The writer last: closing it folds the log back into the file, which needs the readers gone.
	return errors.Join(d.reader.Close(), d.writer.Close())
}
