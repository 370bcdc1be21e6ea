// Package intake takes adapters in: what a person drops on a page or pushes from a script, from its first byte to a readable
// adapter in the spool. Bytes may stop and go on at any time, from a browser that was closed or a server that was killed; an
// archive is read while it arrives; the disk has a budget; what nobody comes back for is removed.
//
// It knows nothing of HTTP, bases and jobs: a page asks it for the adapter as far as it is here and holds that against a base
// itself.
package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/spool"
)

// States of an upload, as stored.
const (
	Receiving = "receiving" // bytes are missing
	Reading   = "reading"   // all bytes are here and are being read and digested
	Ready     = "ready"     // its files are a version in the spool
	Refused   = "refused"   // nothing in it can be an adapter, or it means harm
	Shipped   = "shipped"   // a deployment was made of it
	Discarded = "discarded" // a person cancelled it, or nobody came back for it
)

// Config is what the desk needs.
type Config struct {
	DB      *db.DB
	Spool   *spool.Spool
	Hub     *live.Hub
	Log     *slog.Logger
	Budget  int64            // bytes that the spool may hold before new uploads are refused; 0 means 100 GB
	KeepFor time.Duration    // how long an upload is kept after the last byte arrived; 0 means 48 hours
	Now     func() time.Time // the clock; nil means time.Now
}

// Desk receives uploads. It is safe for concurrent use.
type Desk struct {
	config Config

	// Readers outlive the request that woke them and end with the desk.
	reading context.Context
	stop    context.CancelFunc
	readers sync.WaitGroup

	mu   sync.Mutex // guards open
	open map[int64]*reception
}

// New makes the desk. Close it after the last request.
func New(config Config) *Desk {
	if config.Budget == 0 {
		config.Budget = 100e9
	}
	if config.KeepFor == 0 {
		config.KeepFor = 48 * time.Hour
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	d := &Desk{config: config, open: map[int64]*reception{}}
	d.reading, d.stop = context.WithCancel(context.Background())
	return d
}

// Close stops what is being read and waits for it. It goes on when the same spool is opened again.
func (d *Desk) Close() {
	d.stop()
	d.readers.Wait()
}

// sweepEvery is how often the desk looks for uploads that nobody came back for.
const sweepEvery = 10 * time.Minute

// Run goes on with what the last process left half-read and removes abandoned uploads, until ctx ends.
func (d *Desk) Run(ctx context.Context) {
	if err := d.recover(ctx); err != nil {
		d.config.Log.ErrorContext(ctx, "uploads of the last process could not be taken up", "err", err)
	}
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		if err := d.sweep(ctx); err != nil && ctx.Err() == nil {
			d.config.Log.ErrorContext(ctx, "abandoned uploads could not be removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// recover wakes the readers of open uploads and removes the files of ended ones, whose end a crash may have cut short.
func (d *Desk) recover(ctx context.Context) error {
	ids, err := d.config.Spool.Uploads()
	if err != nil {
		return err
	}
	var troubles []error
	for _, id := range ids {
		row, err := d.config.DB.Read().Upload(ctx, id)
		switch {
		case err == nil && (row.State == Receiving || row.State == Reading):
			_, err = d.reception(ctx, id)
		case err == nil || db.Missing(err):
			err = d.config.Spool.Upload(id).Discard()
		}
		troubles = append(troubles, err)
	}
	return errors.Join(troubles...)
}

func (d *Desk) sweep(ctx context.Context) error {
	rows, err := d.config.DB.Read().UploadsToEnd(ctx, db.Millis(d.config.Now().Add(-d.config.KeepFor)))
	if err != nil {
		return fmt.Errorf("look for abandoned uploads: %w", err)
	}
	var troubles []error
	for _, row := range rows {
		d.config.Log.InfoContext(ctx, "abandoned upload removed", "upload", row.ID)
		troubles = append(troubles, d.Discard(ctx, row.ID))
	}
	return errors.Join(troubles...)
}

// Upload is one drop as it stands now.
type Upload struct {
	ID       int64
	Person   string
	Kind     string // "folder" or "archive"
	Name     string // proposed for the adapter
	State    string
	Reason   string // why it was refused
	Note     string // what is being read
	Digest   string // of its kept files, once it is ready: a version in the spool
	Files    []File // as offered: a folder's files, or the archive
	LeftOut  []peft.LeftOut
	ToSend   int64 // bytes
	Received int64 // bytes
	Created  time.Time
	Touched  time.Time // when something arrived last
	Job      *int64    // the deployment it became
}

// File is one file of an upload.
type File struct {
	N        int64
	Path     string
	Size     int64
	Received int64
	Keep     bool   // it is sent
	Why      string // why it is not
}

// Open reports whether the upload can still go on.
func (u Upload) Open() bool { return u.State == Receiving || u.State == Reading || u.State == Ready }

// Find gives an upload. Its error is of kind NotFound when there is none of that number.
func (d *Desk) Find(ctx context.Context, id int64) (Upload, error) {
	row, err := d.config.DB.Read().Upload(ctx, id)
	if err != nil {
		return Upload{}, db.Found(err, "There is no upload %d. It may belong to another data folder; drop the adapter again.", id)
	}
	return d.upload(ctx, row)
}

// Waiting gives the open uploads, newest first.
func (d *Desk) Waiting(ctx context.Context) ([]Upload, error) {
	rows, err := d.config.DB.Read().OpenUploads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read open uploads: %w", err)
	}
	uploads := make([]Upload, len(rows))
	for i, row := range rows {
		if uploads[i], err = d.upload(ctx, row); err != nil {
			return nil, err
		}
	}
	return uploads, nil
}

func (d *Desk) upload(ctx context.Context, row db.Upload) (Upload, error) {
	u := Upload{
		ID: row.ID, Person: row.Person, Kind: row.Kind, Name: row.Name, State: row.State, Reason: row.Reason, Note: row.Note, Digest: row.Digest,
		Created: db.Time(row.CreatedAt), Touched: db.Time(row.TouchedAt), Job: row.JobID,
	}
	files, err := d.config.DB.Read().UploadFiles(ctx, row.ID)
	if err != nil {
		return u, fmt.Errorf("read the files of upload %d: %w", row.ID, err)
	}
	parts := d.config.Spool.Upload(row.ID)
	for _, f := range files {
		file := File{N: f.N, Path: f.Path, Size: f.Size, Keep: f.Keep != 0, Why: f.Why}
		switch {
		case !file.Keep:
		case row.State == Receiving:
			file.Received = parts.Received(f.N)
		case row.State != Discarded:
			file.Received = f.Size
		}
		if file.Keep {
			u.ToSend += file.Size
			u.Received += file.Received
		}
		u.Files = append(u.Files, file)
	}
	u.LeftOut, err = leftOut(row)
	return u, err
}

// Room is how much the spool holds and may hold.
type Room struct {
	Used   int64 // bytes of everything in the spool
	Budget int64
	Free   int64 // bytes the disk still takes
}

// Room says how much room there is for uploads.
func (d *Desk) Room() (Room, error) {
	used, err := d.config.Spool.Used()
	if err != nil {
		return Room{}, err
	}
	free, err := d.config.Spool.Free()
	if err != nil {
		return Room{}, err
	}
	return Room{Used: used, Budget: d.config.Budget, Free: free}, nil
}

// KeptFor is how long an upload is kept after the last byte arrived.
func (d *Desk) KeptFor() time.Duration { return d.config.KeepFor }

// Shipped gives the write that marks an upload as having become a job. It belongs into the transaction that stores the job, so
// that an upload is deployed once however often the button is pressed.
func (d *Desk) Shipped(id int64) func(ctx context.Context, q *db.Queries, job db.Job) error {
	return func(ctx context.Context, q *db.Queries, job db.Job) error {
		now := db.Millis(d.config.Now())
		changed, err := q.ShipUpload(ctx, db.ShipUploadParams{JobID: &job.ID, EndedAt: &now, ID: id})
		if err != nil {
			return fmt.Errorf("mark upload %d as shipped: %w", id, err)
		}
		if changed == 0 {
			return lora.Errorf(lora.Conflict, "This upload has been deployed or discarded meanwhile. Look at the jobs.")
		}
		return nil
	}
}

// Discard ends an upload and removes what has arrived. An upload that has ended is left as it is.
func (d *Desk) Discard(ctx context.Context, id int64) error {
	row, err := d.config.DB.Read().Upload(ctx, id)
	if err != nil {
		return db.Found(err, "There is no upload %d; it may have been removed already.", id)
	}
	if row.EndedAt != nil {
		return nil
	}
	err = d.config.DB.Write(ctx, func(q *db.Queries) error {
		now := db.Millis(d.config.Now())
		return q.EndUpload(ctx, db.EndUploadParams{EndedAt: &now, ID: id})
	})
	if err != nil {
		return fmt.Errorf("discard upload %d: %w", id, err)
	}
	d.forget(id, true)
	err = d.config.Spool.Upload(id).Discard()
	if row.Digest != "" {
		err = errors.Join(err, d.dropUnused(ctx, row.Digest))
	}
	d.changed(id)
	return err
}

// dropUnused removes a version's files unless an adapter or another upload has the same content.
func (d *Desk) dropUnused(ctx context.Context, digest string) error {
	uses, err := d.config.DB.Read().UsesOfDigest(ctx, digest)
	if err != nil || uses > 0 {
		return err
	}
	return d.config.Spool.Drop(digest)
}

// changed tells the pages that an upload moved.
func (d *Desk) changed(id int64) { d.config.Hub.Changed(live.Upload(id), live.Uploads) }
