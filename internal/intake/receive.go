package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/spool"
)

// reception is what the desk keeps in memory of an open upload: who is writing which file, and who waits for bytes.
type reception struct {
	parts spool.Upload
	tree  *tree // of an archive: what was taken out so far; nil for a folder

	ctx  context.Context // ends with the upload or the desk
	stop context.CancelFunc

	mu      sync.Mutex // guards the fields below
	turns   map[int64]*turn
	arrived chan struct{} // closed and made anew when something arrived
	begun   bool          // a reader is at work
	shown   time.Time     // when pages were last told of progress
}

// turn is the right to write one file. Who comes later asks the one before to go.
type turn struct {
	taken chan struct{} // holds a value while somebody has it
	leave func()        // asks the one who has it to stop waiting for bytes
}

// ErrLocked is returned when another request keeps writing a file although it was asked to stop.
var ErrLocked = errors.New("another request is writing this file")

const (
	handover  = 3 * time.Second        // how long the one before may take to leave
	shownEach = 250 * time.Millisecond // pages hear of progress so often
	piece     = 256 << 10              // bytes written at a time
)

// reception gives the state in memory of an open upload and starts its reader when there is something to read.
func (d *Desk) reception(ctx context.Context, id int64) (*reception, error) {
	d.mu.Lock()
	r, there := d.open[id]
	d.mu.Unlock()
	if there {
		return r, nil
	}
	u, err := d.Find(ctx, id)
	if err != nil {
		return nil, err
	}
	if u.State != Receiving && u.State != Reading {
		return nil, over(u)
	}
	r = &reception{parts: d.config.Spool.Upload(id), turns: map[int64]*turn{}, arrived: make(chan struct{})}
	r.ctx, r.stop = context.WithCancel(d.reading)
	if u.Kind == "archive" {
		r.tree = newTree(r.parts)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if other, there := d.open[id]; there {
		return other, nil
	}
	d.open[id] = r
	d.read(r, u)
	return r, nil
}

// over says why nothing more is taken for an upload.
func over(u Upload) error {
	switch u.State {
	case Refused:
		return lora.Errorf(lora.Invalid, "This upload was refused: %s", u.Reason)
	case Discarded:
		return lora.Errorf(lora.NotFound, "This upload was cancelled or given up, and its files were removed. Drop the adapter again.")
	}
	return lora.Errorf(lora.Conflict, "This upload is complete already.")
}

// forget drops what is kept in memory of an upload. With hurry, whoever is still sending is asked to stop; when all has arrived
// that must not be done, for it would break a connection that has only its answer to wait for.
func (d *Desk) forget(id int64, hurry bool) {
	d.mu.Lock()
	r, there := d.open[id]
	delete(d.open, id)
	d.mu.Unlock()
	if !there {
		return
	}
	r.stop()
	if !hurry {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.turns {
		if t.leave != nil {
			t.leave()
		}
	}
}

// file finds a file of an upload that is to be sent.
func (d *Desk) file(ctx context.Context, id, n int64) (db.UploadFile, error) {
	f, err := d.config.DB.Read().UploadFile(ctx, db.UploadFileParams{UploadID: id, N: n})
	if err != nil {
		return f, db.Found(err, "Upload %d has no file %d.", id, n)
	}
	if f.Keep == 0 {
		return f, lora.Errorf(lora.Invalid, "%s is left out (%s), so it need not be sent.", f.Path, f.Why)
	}
	return f, nil
}

// Offset says how much of a file is here, and its size. Whoever is writing the file is asked to stop first, so that the answer
// stays true.
func (d *Desk) Offset(ctx context.Context, id, n int64) (offset, size int64, err error) {
	f, err := d.file(ctx, id, n)
	if err != nil {
		return 0, 0, err
	}
	r, err := d.reception(ctx, id)
	if err == nil {
		offset, err = r.received(ctx, n)
	}
	if err == nil && r.ctx.Err() != nil { // it ended meanwhile, and its files may have gone
		_, err = d.reception(ctx, id)
	}
	switch {
	case lora.KindOf(err) == lora.Conflict:
		return f.Size, f.Size, nil // complete, and read already
	case err != nil:
		return 0, 0, err
	}
	return offset, f.Size, nil
}

// received says how much of a file is here while nobody writes it.
func (r *reception) received(ctx context.Context, n int64) (int64, error) {
	release, err := r.take(ctx, n, nil)
	if err != nil {
		return 0, err
	}
	defer release()
	return r.parts.Received(n), nil
}

// Append writes body at the given offset of a file, which must be where the file ends now (else the error is ErrOffset), and
// gives the new end, also with an error: what was written stays. Its errors are of kind TooLarge for more bytes than were
// offered and Limit for a full disk. One request writes a file at a time: leave is called when
// another one comes for it, and makes body's reads fail.
func (d *Desk) Append(ctx context.Context, id, n, offset int64, body io.Reader, leave func()) (end int64, err error) {
	f, err := d.file(ctx, id, n)
	if err != nil {
		return 0, err
	}
	r, err := d.reception(ctx, id)
	if err != nil {
		return 0, err
	}
	release, err := r.take(ctx, n, leave)
	if err != nil {
		return 0, err
	}
	defer release()
	if end = r.parts.Received(n); end != offset {
		return end, ErrOffset
	}
	if err := d.touch(ctx, id); err != nil {
		return end, err
	}
	out, err := r.parts.Append(n)
	if err != nil {
		return end, noRoom(err)
	}
	written, err := d.copy(r, id, out, io.LimitReader(body, f.Size-offset))
	end += written
	if err == nil {
		err = beyond(body, end == f.Size, f)
	}
	if err == nil && end == f.Size {
		err = out.Sync() // a finished file survives a power cut; what was cut off is sent again
	}
	err = noRoom(errors.Join(err, out.Close()))
	// The request may be over, but what it brought is here.
	if touchErr := d.touch(context.WithoutCancel(ctx), id); err == nil {
		err = touchErr
	}
	r.announce()
	d.changed(id)
	return end, err
}

// ErrOffset is returned when a piece does not begin where the file ends.
var ErrOffset = errors.New("the file does not end there")

// copy writes what arrives and tells readers and pages of it.
func (d *Desk) copy(r *reception, id int64, out io.Writer, body io.Reader) (written int64, err error) {
	buffer := make([]byte, piece)
	for {
		n, readErr := body.Read(buffer)
		if n > 0 {
			m, err := out.Write(buffer[:n])
			written += int64(m)
			if err != nil {
				return written, err
			}
			r.announce()
			if r.due(d.config.Now()) {
				d.changed(id)
			}
		}
		switch {
		case readErr == io.EOF:
			return written, nil
		case readErr != nil:
			return written, lora.Wrap(readErr, lora.Unavailable, "The connection was cut. Sending goes on where it stopped.")
		case r.ctx.Err() != nil:
			return written, lora.Errorf(lora.Unavailable, "The upload was ended. Look at its page.")
		}
	}
}

// beyond refuses bytes after the end that was offered.
func beyond(body io.Reader, whole bool, f db.UploadFile) error {
	if !whole {
		return nil
	}
	if n, _ := io.ReadFull(body, make([]byte, 1)); n > 0 {
		return lora.Errorf(lora.TooLarge, "%s was offered with %d bytes and more are being sent. It has changed since; drop it again.", f.Path, f.Size)
	}
	return nil
}

// noRoom names a full disk for what it is.
func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) {
		return lora.Wrap(err, lora.Limit, "The disk under the data folder is full. What has arrived is kept; make room, and sending goes on.")
	}
	return err
}

func (d *Desk) touch(ctx context.Context, id int64) error {
	err := d.config.DB.Write(ctx, func(q *db.Queries) error {
		return q.TouchUpload(ctx, db.TouchUploadParams{TouchedAt: db.Millis(d.config.Now()), ID: id})
	})
	if err != nil {
		return fmt.Errorf("touch upload %d: %w", id, err)
	}
	return nil
}

// take waits for the turn to write a file, after asking the one who has it to leave. It is given up with ErrLocked.
func (r *reception) take(ctx context.Context, n int64, leave func()) (release func(), err error) {
	r.mu.Lock()
	t, there := r.turns[n]
	if !there {
		t = &turn{taken: make(chan struct{}, 1)}
		r.turns[n] = t
	}
	if t.leave != nil {
		t.leave()
	}
	r.mu.Unlock()
	timer := time.NewTimer(handover)
	defer timer.Stop()
	select {
	case t.taken <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		return nil, ErrLocked
	}
	r.setLeave(t, leave)
	return func() {
		r.setLeave(t, nil)
		<-t.taken
	}, nil
}

func (r *reception) setLeave(t *turn, leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.leave = leave
}

// announce wakes whoever waits for bytes.
func (r *reception) announce() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// next gives a channel that is closed when something arrives after this call.
func (r *reception) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.arrived
}

// due reports whether pages should hear of progress again.
func (r *reception) due(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.shown) < shownEach {
		return false
	}
	r.shown = now
	return true
}
