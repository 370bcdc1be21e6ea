package s3

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"loradeck/internal/sqlite"
)

// index is what the store knows, in SQLite. It hands back the files that no row names any more; removing them is the
// caller's, after the commit.
type index struct{ db *sqlite.DB }

// object is one key's current content.
type object struct {
	bucket, key string
	size        int64
	etag        string // without quotes
	modified    time.Time
	properties
}

// properties are what a writer fixes when it starts and a finished object keeps.
type properties struct {
	algorithm    algorithm
	checksum     string
	checksumType string
	headers      map[string]string // what the writer sent and every reader gets back, by canonical name
}

// part is one file: a whole object, or a piece of one, or of an upload.
type part struct {
	number   int
	file     string
	size     int64
	etag     string
	checksum string
	modified time.Time
}

// condition guards a write: S3's If-None-Match: * (absent), If-Match: * (present) and If-Match with an ETag.
type condition struct {
	absent, present bool
	etag            string
}

func (c condition) holds(ctx context.Context, tx *sql.Tx, bucket, key string) error {
	if c == (condition{}) {
		return nil
	}
	var etag string
	err := tx.QueryRowContext(ctx, `SELECT etag FROM object WHERE bucket = ? AND key = ?`, bucket, []byte(key)).Scan(&etag)
	missing := errors.Is(err, sql.ErrNoRows)
	switch {
	case err != nil && !missing:
		return err
	case c.absent && !missing:
		return errPreconditionFailed
	case (c.present || c.etag != "") && missing:
		return errNoSuchKey
	case c.etag != "" && c.etag != etag:
		return errPreconditionFailed
	}
	return nil
}

// createBucket reports whether the bucket is new.
func (x index) createBucket(ctx context.Context, name string, now time.Time) (created bool, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO bucket (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING`, name, now.UnixMilli())
		if err != nil {
			return err
		}
		rows, err := result.RowsAffected()
		created = rows == 1
		return err
	})
	return created, err
}

// deleteBucket removes an empty bucket together with what was being uploaded to it.
func (x index) deleteBucket(ctx context.Context, name string) (files []string, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		var full bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM object WHERE bucket = ?)`, name).Scan(&full); err != nil {
			return err
		}
		if full {
			return errBucketNotEmpty
		}
		files, err = column(ctx, tx, `SELECT file FROM part WHERE upload_id IN (SELECT id FROM upload WHERE bucket = ?)`, name)
		if err != nil {
			return err
		}
		for _, query := range []string{`DELETE FROM upload WHERE bucket = ?`, `DELETE FROM finished WHERE bucket = ?`, `DELETE FROM bucket WHERE name = ?`} {
			if _, err := tx.ExecContext(ctx, query, name); err != nil {
				return err
			}
		}
		return nil
	})
	return files, err
}

// hasBucket answers errNoSuchBucket when there is none.
func (x index) hasBucket(ctx context.Context, name string) error {
	return hasBucket(ctx, x.db.Read(), name)
}

// querier is the reading pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func hasBucket(ctx context.Context, q querier, name string) error {
	var there bool
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM bucket WHERE name = ?)`, name).Scan(&there)
	if err == nil && !there {
		return errNoSuchBucket
	}
	return err
}

type bucket struct {
	name    string
	created time.Time
}

func (x index) buckets(ctx context.Context) ([]bucket, error) {
	rows, err := x.db.Read().QueryContext(ctx, `SELECT name, created_at FROM bucket ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []bucket
	for rows.Next() {
		var b bucket
		var created int64
		if err := rows.Scan(&b.name, &created); err != nil {
			return nil, err
		}
		b.created = time.UnixMilli(created)
		all = append(all, b)
	}
	return all, rows.Err()
}

const objectColumns = `key, size, etag, algorithm, checksum, checksum_type, headers, modified_at`

func scanObject(row interface{ Scan(...any) error }, bucket string) (object, error) {
	o := object{bucket: bucket}
	var key, headers []byte
	var modified int64
	if err := row.Scan(&key, &o.size, &o.etag, &o.algorithm, &o.checksum, &o.checksumType, &headers, &modified); err != nil {
		return object{}, err
	}
	o.key, o.modified = string(key), time.UnixMilli(modified).UTC()
	err := json.Unmarshal(headers, &o.headers)
	return o, err
}

// object finds a key's content, or errNoSuchKey or errNoSuchBucket.
func (x index) object(ctx context.Context, bucket, key string) (object, []part, error) {
	// One transaction, or the parts could be those of the object's successor.
	tx, err := x.db.Read().BeginTx(ctx, nil)
	if err != nil {
		return object{}, nil, err
	}
	defer func() { _ = tx.Rollback() }()
	o, err := scanObject(tx.QueryRowContext(ctx, `SELECT `+objectColumns+` FROM object WHERE bucket = ? AND key = ?`, bucket, []byte(key)), bucket)
	if errors.Is(err, sql.ErrNoRows) {
		if err := hasBucket(ctx, tx, bucket); err != nil {
			return object{}, nil, err
		}
		return object{}, nil, errNoSuchKey
	}
	if err != nil {
		return object{}, nil, fmt.Errorf("find %s/%s: %w", bucket, key, err)
	}
	parts, err := scanParts(tx.QueryContext(ctx, `SELECT number, file, size, etag, checksum, modified_at FROM part
		WHERE object_id = (SELECT id FROM object WHERE bucket = ? AND key = ?) ORDER BY number`, bucket, []byte(key)))
	return o, parts, err
}

func scanParts(rows *sql.Rows, err error) ([]part, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var parts []part
	for rows.Next() {
		var p part
		var modified int64
		if err := rows.Scan(&p.number, &p.file, &p.size, &p.etag, &p.checksum, &modified); err != nil {
			return nil, err
		}
		p.modified = time.UnixMilli(modified).UTC()
		parts = append(parts, p)
	}
	return parts, rows.Err()
}

// put makes o, whose bytes are in the one file of p, the content of its key.
func (x index) put(ctx context.Context, o object, p part, when condition) (old []string, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		if err := when.holds(ctx, tx, o.bucket, o.key); err != nil {
			return err
		}
		var id int64
		if id, old, err = replace(ctx, tx, o); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO part (file, object_id, number, size, etag, checksum, modified_at) VALUES (?, ?, 1, ?, ?, ?, ?)`,
			p.file, id, p.size, p.etag, p.checksum, o.modified.UnixMilli())
		return err
	})
	return old, err
}

// replace takes away what the key of o holds and inserts o, still without parts.
func replace(ctx context.Context, tx *sql.Tx, o object) (id int64, old []string, err error) {
	if old, err = forget(ctx, tx, o.bucket, o.key); err != nil {
		return 0, nil, err
	}
	if err := hasBucket(ctx, tx, o.bucket); err != nil {
		return 0, nil, err // it went while the bytes came
	}
	headers, err := json.Marshal(o.headers)
	if err != nil {
		return 0, nil, err
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO object (bucket, `+objectColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		o.bucket, []byte(o.key), o.size, o.etag, o.algorithm, o.checksum, o.checksumType, string(headers), o.modified.UnixMilli())
	if err != nil {
		return 0, nil, err
	}
	id, err = result.LastInsertId()
	return id, old, err
}

// forget deletes a key's object, if there is one.
func forget(ctx context.Context, tx *sql.Tx, bucket, key string) (files []string, err error) {
	files, err = column(ctx, tx, `SELECT file FROM part WHERE object_id = (SELECT id FROM object WHERE bucket = ? AND key = ?)`, bucket, []byte(key))
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM object WHERE bucket = ? AND key = ?`, bucket, []byte(key))
	return files, err
}

// removal is a key to delete, if its condition holds.
type removal struct {
	key  string
	when condition
}

// remove deletes keys, those that are not there too. Beside the files that nobody names any more it gives for each key why it
// was left alone, or nil.
func (x index) remove(ctx context.Context, bucket string, removals []removal) (files []string, refused []*fault, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		files, refused = nil, make([]*fault, len(removals))
		for i, one := range removals {
			err := one.when.holds(ctx, tx, bucket, one.key)
			if errors.As(err, &refused[i]) {
				continue
			}
			if err != nil {
				return err
			}
			gone, err := forget(ctx, tx, bucket, one.key)
			if err != nil {
				return err
			}
			files = append(files, gone...)
		}
		return nil
	})
	return files, refused, err
}

// page gives up to limit objects of a bucket in key order: those with the prefix whose keys are not below from.
func (x index) page(ctx context.Context, bucket, prefix, from string, limit int) ([]object, error) {
	query := `SELECT ` + objectColumns + ` FROM object WHERE bucket = ? AND key >= ?`
	args := []any{bucket, []byte(max(prefix, from))}
	if end := after(prefix); end != "" {
		query += ` AND key < ?`
		args = append(args, []byte(end))
	}
	rows, err := x.db.Read().QueryContext(ctx, query+` ORDER BY key LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var objects []object
	for rows.Next() {
		o, err := scanObject(rows, bucket)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, rows.Err()
}

// after gives the lowest key above all keys that begin with prefix, or "" when there is none.
func after(prefix string) string {
	trimmed := prefix
	for strings.HasSuffix(trimmed, "\xff") { // not TrimRight, whose set is characters and no byte
		trimmed = trimmed[:len(trimmed)-1]
	}
	if trimmed == "" {
		return ""
	}
	last := len(trimmed) - 1
	return trimmed[:last] + string([]byte{trimmed[last] + 1})
}

// names reports whether a row names the file.
func (x index) names(ctx context.Context, file string) (there bool, err error) {
	err = x.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM part WHERE file = ?)`, file).Scan(&there)
	return there, err
}

// column gives the only column of a query's rows.
func column(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var values []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}
