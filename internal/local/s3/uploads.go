package s3

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"
)

// upload is an unfinished multipart upload.
type upload struct {
	id, bucket, key string
	declared        bool // the writer chose the algorithm
	created         time.Time
	properties
}

func (x index) createUpload(ctx context.Context, u upload) error {
	headers, err := json.Marshal(u.headers)
	if err != nil {
		return err
	}
	return x.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO upload (id, bucket, key, algorithm, declared, checksum_type, headers, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			u.id, u.bucket, []byte(u.key), u.algorithm, u.declared, u.checksumType, string(headers), u.created.UnixMilli())
		return err
	})
}

const uploadColumns = `id, bucket, key, algorithm, declared, checksum_type, headers, created_at`

// upload finds an unfinished upload of exactly this key, or errNoSuchUpload or errNoSuchBucket.
func (x index) upload(ctx context.Context, q querier, bucket, key, id string) (upload, error) {
	u, err := scanUpload(q.QueryRowContext(ctx, `SELECT `+uploadColumns+` FROM upload WHERE id = ? AND bucket = ? AND key = ?`, id, bucket, []byte(key)))
	if errors.Is(err, sql.ErrNoRows) {
		if err := hasBucket(ctx, q, bucket); err != nil {
			return upload{}, err
		}
		return upload{}, errNoSuchUpload
	}
	return u, err
}

func scanUpload(row interface{ Scan(...any) error }) (upload, error) {
	var u upload
	var key, headers []byte
	var created int64
	if err := row.Scan(&u.id, &u.bucket, &key, &u.algorithm, &u.declared, &u.checksumType, &headers, &created); err != nil {
		return upload{}, err
	}
	u.key, u.created = string(key), time.UnixMilli(created).UTC()
	err := json.Unmarshal(headers, &u.headers)
	return u, err
}

// uploads gives up to limit unfinished uploads in the order of key and id, those behind (key, id).
func (x index) uploads(ctx context.Context, bucket, prefix, key, id string, limit int) ([]upload, error) {
	query := `SELECT ` + uploadColumns + ` FROM upload WHERE bucket = ? AND (key, id) > (?, ?) AND key >= ?`
	args := []any{bucket, []byte(key), id, []byte(prefix)}
	if end := after(prefix); end != "" {
		query += ` AND key < ?`
		args = append(args, []byte(end))
	}
	rows, err := x.db.Read().QueryContext(ctx, query+` ORDER BY key, id LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []upload
	for rows.Next() {
		u, err := scanUpload(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, rows.Err()
}

// putPart gives an upload a part; a part of the same number makes room.
func (x index) putPart(ctx context.Context, u upload, p part) (old []string, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := x.upload(ctx, tx, u.bucket, u.key, u.id); err != nil {
			return err // aborted or completed while the bytes came
		}
		if old, err = column(ctx, tx, `SELECT file FROM part WHERE upload_id = ? AND number = ?`, u.id, p.number); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM part WHERE upload_id = ? AND number = ?`, u.id, p.number); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO part (file, upload_id, number, size, etag, checksum, modified_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			p.file, u.id, p.number, p.size, p.etag, p.checksum, p.modified.UnixMilli())
		return err
	})
	return old, err
}

// parts gives up to limit parts of an upload with numbers above behind; a negative limit gives all.
func (x index) parts(ctx context.Context, q querier, id string, behind, limit int) ([]part, error) {
	return scanParts(q.QueryContext(ctx, `SELECT number, file, size, etag, checksum, modified_at FROM part
		WHERE upload_id = ? AND number > ? ORDER BY number LIMIT ?`, id, behind, limit))
}

// abort forgets an upload and its parts.
func (x index) abort(ctx context.Context, bucket, key, id string) (files []string, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := x.upload(ctx, tx, bucket, key, id); err != nil {
			return err
		}
		if files, err = column(ctx, tx, `SELECT file FROM part WHERE upload_id = ?`, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM upload WHERE id = ?`, id)
		return err
	})
	return files, err
}

// complete turns an upload into an object in one transaction: assemble picks the parts from those that came and says what
// object they make. The object takes over the files of its parts, so no byte is copied. Completed again, an upload gives the
// object that it became.
func (x index) complete(ctx context.Context, c completion, assemble func(u upload, have []part) (object, []part, error)) (o object, old []string, err error) {
	err = x.db.Write(ctx, func(tx *sql.Tx) error {
		u, err := x.upload(ctx, tx, c.bucket, c.key, c.id)
		if errors.Is(err, errNoSuchUpload) {
			o, err = finished(ctx, tx, c)
			return err
		}
		if err != nil {
			return err
		}
		have, err := x.parts(ctx, tx, c.id, 0, -1)
		if err != nil {
			return err
		}
		var chosen []part
		if o, chosen, err = assemble(u, have); err != nil {
			return err
		}
		if err := c.when.holds(ctx, tx, c.bucket, c.key); err != nil {
			return err
		}
		if old, err = handOver(ctx, tx, c.id, o, have, chosen); err != nil {
			return err
		}
		return finish(ctx, tx, c, o)
	})
	return o, old, err
}

// handOver makes chosen parts of an upload the content of o and ends the upload.
func handOver(ctx context.Context, tx *sql.Tx, id string, o object, have, chosen []part) (old []string, err error) {
	objectID, replaced, err := replace(ctx, tx, o)
	if err != nil {
		return nil, err
	}
	for _, p := range chosen {
		if _, err := tx.ExecContext(ctx, `UPDATE part SET object_id = ?, upload_id = NULL WHERE file = ?`, objectID, p.file); err != nil {
			return nil, err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM upload WHERE id = ?`, id)
	return append(replaced, leftOut(have, chosen)...), err
}

func leftOut(have, chosen []part) (files []string) {
	taken := map[string]bool{}
	for _, p := range chosen {
		taken[p.file] = true
	}
	for _, p := range have {
		if !taken[p.file] {
			files = append(files, p.file)
		}
	}
	return files
}
