package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/spool"
)

// errChanged says that an upload was ended by somebody else while it was read.
var errChanged = errors.New("the upload was ended meanwhile")

// retryRead is how long reading waits after trouble that is not the adapter's: a full disk, mostly.
const retryRead = 5 * time.Second

// read starts the upload's reader, once. It ends when the upload is ready, refused or discarded, or with the desk.
func (d *Desk) read(r *reception, u Upload) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun {
		return
	}
	r.begun = true
	d.readers.Go(func() {
		for {
			err := d.readAll(r, u)
			switch {
			case err == nil || r.ctx.Err() != nil || errors.Is(err, errChanged):
				return
			case lora.KindOf(err) == lora.Invalid || lora.KindOf(err) == lora.TooLarge:
				if err := d.refuse(r, u.ID, err); err != nil {
					d.config.Log.ErrorContext(r.ctx, "a refusal could not be stored", "upload", u.ID, "err", err)
				}
				return
			}
			d.config.Log.WarnContext(r.ctx, "an upload could not be read; it is tried again", "upload", u.ID, "err", err)
			d.note(r.ctx, u.ID, Reading, lora.Message(err))
			if !rest(r.ctx, retryRead) {
				return
			}
		}
	})
}

func rest(ctx context.Context, pause time.Duration) (goOn bool) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// readAll reads an upload to its end, waiting for bytes as long as it takes, and keeps it.
func (d *Desk) readAll(r *reception, u Upload) error {
	if u.Kind == "folder" {
		for _, f := range u.Files {
			if err := r.await(f); err != nil {
				return err
			}
		}
		return d.keep(r, u, u.folder(r.parts, true), nil, func(name string) spool.Source { return u.source(name) })
	}
	if err := r.tree.clear(); err != nil {
		return err
	}
	unpacked, err := d.unpack(r, u)
	if err != nil {
		return err
	}
	if err := r.await(u.Files[0]); err != nil { // an archive's last bytes may be padding that no member needs
		return err
	}
	view := r.tree.view(unpacked.Root)
	view.whole = true
	return d.keep(r, u, view, unpacked.LeftOut, func(name string) spool.Source {
		return spool.Source{Name: name, Tree: path.Join(unpacked.Root, name)}
	})
}

// unpack takes the kept members out of an archive: of a tar as they stream past, of a zip once all of it is here, since its
// directory stands at the end.
func (d *Desk) unpack(r *reception, u Upload) (peft.Unpacked, error) {
	archive := u.Files[0]
	form, _ := peft.ArchiveForm(archive.Path)
	if form == "zip" {
		if err := r.await(archive); err != nil {
			return peft.Unpacked{}, err
		}
		d.note(r.ctx, u.ID, Reading, "unpacking")
	}
	file, err := r.open(archive.N)
	if err != nil {
		return peft.Unpacked{}, err
	}
	defer file.Close()
	if form == "zip" {
		return peft.UnpackZip(r.ctx, file, archive.Size, r.tree, peft.ArchiveLimits{})
	}
	return peft.UnpackTarGz(r.ctx, &follower{reception: r, file: file, size: archive.Size}, r.tree, peft.ArchiveLimits{}, func(string) { d.changed(u.ID) })
}

// keep digests the adapter's files, makes them a version in the spool, and says that the upload is ready.
func (d *Desk) keep(r *reception, u Upload, files *arriving, out []peft.LeftOut, source func(name string) spool.Source) error {
	d.note(r.ctx, u.ID, Reading, "digesting")
	digest, kept, err := peft.Manifest(r.ctx, files)
	if err != nil {
		return err
	}
	sources := make([]spool.Source, len(kept))
	for i, name := range kept {
		sources[i] = source(name)
	}
	if err := r.parts.Keep(r.ctx, digest, sources); err != nil {
		return noRoom(err)
	}
	list, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("upload %d: %w", u.ID, err)
	}
	err = d.end(u.ID, false, func(ctx context.Context, q *db.Queries, now int64) (int64, error) {
		return q.UploadReady(ctx, db.UploadReadyParams{Digest: digest, LeftOut: string(list), TouchedAt: now, ID: u.ID})
	})
	if err != nil {
		return err
	}
	return r.parts.Discard()
}

// refuse ends an upload with the reason and removes what arrived: it can be of no use.
func (d *Desk) refuse(r *reception, id int64, why error) error {
	err := d.end(id, true, func(ctx context.Context, q *db.Queries, now int64) (int64, error) {
		return q.RefuseUpload(ctx, db.RefuseUploadParams{Reason: lora.Message(why), LeftOut: "[]", TouchedAt: now, ID: id})
	})
	return errors.Join(err, r.parts.Discard())
}

// end stores how reading ended, unless somebody ended the upload first, and forgets what was kept in memory of it.
func (d *Desk) end(id int64, hurry bool, write func(ctx context.Context, q *db.Queries, now int64) (int64, error)) error {
	ctx := context.Background() // what was read is stored even when the desk closes now
	err := d.config.DB.Write(ctx, func(q *db.Queries) error {
		changed, err := write(ctx, q, db.Millis(d.config.Now()))
		if err == nil && changed == 0 {
			err = errChanged
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("end the reading of upload %d: %w", id, err)
	}
	d.forget(id, hurry)
	d.changed(id)
	return nil
}

// note says what is being done with an upload whose bytes are all here. That it cannot be stored stops nothing.
func (d *Desk) note(ctx context.Context, id int64, state, note string) {
	err := d.config.DB.Write(ctx, func(q *db.Queries) error {
		return q.NoteUpload(ctx, db.NoteUploadParams{State: state, Note: note, ID: id})
	})
	if err != nil && ctx.Err() == nil {
		d.config.Log.WarnContext(ctx, "note on an upload not stored", "upload", id, "err", err)
	}
	d.changed(id)
}

// Adapter reads an upload's adapter as far as it is here. What is still on its way is a trouble that wraps peft.ErrNotYet. Its
// errors are of kind Invalid for an upload that was refused.
func (d *Desk) Adapter(ctx context.Context, id int64) (peft.Adapter, error) {
	u, err := d.Find(ctx, id)
	if err != nil {
		return peft.Adapter{}, err
	}
	var a peft.Adapter
	switch {
	case u.Digest != "":
		files, err := d.config.Spool.Version(u.Digest)
		if err != nil {
			return a, err
		}
		a, err = peft.Inspect(files)
		if err != nil {
			return a, err
		}
	case u.Open():
		if a, err = d.soFar(ctx, u); err != nil {
			return a, err
		}
	default:
		return a, over(u)
	}
	root := u.root()
	for _, f := range u.Files {
		if !f.Keep {
			a.Files = append(a.Files, peft.File{Path: strings.TrimPrefix(f.Path, root), Size: f.Size, Why: f.Why})
		}
	}
	for _, out := range u.LeftOut {
		a.Files = append(a.Files, peft.File{Path: out.Path, Size: out.Size, Why: out.Why})
	}
	return a, nil
}

// root is the folder of the kept files, with a slash at its end, or "" for the top.
func (u Upload) root() string {
	for _, f := range u.Files {
		if dir := path.Dir(f.Path); f.Keep && u.Kind == "folder" && dir != "." {
			return dir + "/"
		}
	}
	return ""
}

// soFar reads an upload that is not complete.
func (d *Desk) soFar(ctx context.Context, u Upload) (peft.Adapter, error) {
	r, err := d.reception(ctx, u.ID)
	if err != nil {
		return peft.Adapter{}, err
	}
	files := u.folder(r.parts, true)
	if r.tree != nil {
		files = r.tree.view("")
	}
	if len(files.files) == 0 {
		return peft.Adapter{ConfigTrouble: peft.ErrNotYet, WeightsTrouble: peft.ErrNotYet}, nil
	}
	return peft.Inspect(files)
}

// folder gives the kept files of a dropped folder under the names they have in the adapter.
func (u Upload) folder(parts spool.Upload, whole bool) *arriving {
	view := &arriving{whole: whole}
	for _, f := range u.Files {
		if f.Keep {
			view.files = append(view.files, arrivingFile{name: path.Base(f.Path), size: f.Size, open: func() (*os.File, error) { return parts.Open(f.N) }})
		}
	}
	view.sort()
	return view
}

// source says which part file holds the file of that name.
func (u Upload) source(name string) spool.Source {
	for _, f := range u.Files {
		if f.Keep && path.Base(f.Path) == name {
			return spool.Source{Name: name, Part: f.N}
		}
	}
	return spool.Source{Name: name}
}

func leftOut(row db.Upload) ([]peft.LeftOut, error) {
	var out []peft.LeftOut
	if err := json.Unmarshal([]byte(row.LeftOut), &out); err != nil {
		return nil, fmt.Errorf("read what upload %d left out: %w", row.ID, err)
	}
	return out, nil
}

// await waits until all of a file is here. A file of no bytes is never sent, so it is made here.
func (r *reception) await(f File) error {
	if !f.Keep {
		return nil
	}
	if f.Size == 0 {
		empty, err := r.parts.Append(f.N)
		if err != nil {
			return err
		}
		return empty.Close()
	}
	for {
		more := r.next()
		if r.parts.Received(f.N) >= f.Size {
			return nil
		}
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-more:
		}
	}
}

// open opens a part file as soon as there is one.
func (r *reception) open(n int64) (*os.File, error) {
	for {
		more := r.next()
		file, err := r.parts.Open(n)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return file, err
		}
		select {
		case <-r.ctx.Done():
			return nil, r.ctx.Err()
		case <-more:
		}
	}
}

// follower reads a file while it grows, up to the size it was announced with.
type follower struct {
	*reception
	file *os.File
	size int64
	read int64
}

// Read waits for bytes rather than ending early.
func (f *follower) Read(p []byte) (int, error) {
	for {
		more := f.next()
		n, err := f.file.Read(p)
		f.read += int64(n)
		if n > 0 {
			return n, nil
		}
		if err != nil && err != io.EOF {
			return 0, err
		}
		if f.read >= f.size {
			return 0, io.EOF
		}
		select {
		case <-f.ctx.Done():
			return 0, f.ctx.Err()
		case <-more:
		}
	}
}
