package s3

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// rememberFinished is how long a completed upload may be completed again.
const rememberFinished = 7 * 24 * time.Hour

// completion is a request to complete an upload.
type completion struct {
	target
	id   string
	wish []completedPart
	when condition
}

// parts stands for what was asked for: a repetition that names other parts is no repetition.
func (c completion) parts() string {
	text := sha256.New()
	for _, p := range c.wish {
		fmt.Fprintf(text, "%d %s\n", p.PartNumber, strings.Trim(p.ETag, `"`))
	}
	return hex.EncodeToString(text.Sum(nil))
}

// finish notes that an upload has become o, and forgets those of long ago.
func finish(ctx context.Context, tx *sql.Tx, c completion, o object) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM finished WHERE finished_at < ?`, o.modified.Add(-rememberFinished).UnixMilli()); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO finished (id, bucket, key, parts, etag, algorithm, checksum, checksum_type, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.id, c.bucket, []byte(c.key), c.parts(), o.etag, o.algorithm, o.checksum, o.checksumType, o.modified.UnixMilli())
	return err
}

// finished gives the object that an upload became when it was completed by the same request before: what its answer tells of
// it, even where the key has another content by now. Otherwise it answers errNoSuchUpload.
func finished(ctx context.Context, tx *sql.Tx, c completion) (object, error) {
	o := object{bucket: c.bucket, key: c.key}
	err := tx.QueryRowContext(ctx, `SELECT etag, algorithm, checksum, checksum_type FROM finished WHERE id = ? AND bucket = ? AND key = ? AND parts = ?`,
		c.id, c.bucket, []byte(c.key), c.parts()).Scan(&o.etag, &o.algorithm, &o.checksum, &o.checksumType)
	if errors.Is(err, sql.ErrNoRows) {
		return object{}, errNoSuchUpload
	}
	return o, err
}
