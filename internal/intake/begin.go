package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
)

// Offer is what a person is about to send.
type Offer struct {
	Person string
	Kind   string // "folder" or "archive"
	Name   string // of the folder or the archive; may be empty for loose files
	Files  []OfferedFile
}

// OfferedFile is one file of an offer. Modified is only compared: it helps to tell two drops of equal names and sizes apart.
type OfferedFile struct {
	Path     string // slash-separated, relative to the folder
	Size     int64
	Modified int64 // Unix milliseconds; 0 when unknown
}

const (
	mostFiles = 10_000
	mostPath  = 1024    // bytes
	mostBytes = 1 << 40 // of one file: more than any disk budget here
)

// Begin takes an offer and says which of its files to send. The same offer by the same person, while the first is open, gives
// the open upload back, so that sending goes on where it stopped. Its errors are of kind Invalid when there is no adapter in
// it and Limit when there is no room.
func (d *Desk) Begin(ctx context.Context, o Offer) (Upload, error) {
	files, err := judge(o)
	if err != nil {
		return Upload{}, err
	}
	mark := fingerprint(o)
	same, err := d.config.DB.Read().SameUpload(ctx, db.SameUploadParams{Person: o.Person, Fingerprint: mark})
	if err == nil {
		return d.upload(ctx, same)
	}
	if !db.Missing(err) {
		return Upload{}, fmt.Errorf("look for the same upload: %w", err)
	}
	if err := d.makeRoom(files, o.Kind); err != nil {
		return Upload{}, err
	}
	var row db.Upload
	err = d.config.DB.Write(ctx, func(q *db.Queries) error {
		if row, err = q.SameUpload(ctx, db.SameUploadParams{Person: o.Person, Fingerprint: mark}); err == nil {
			return nil // a second tab was faster
		}
		now := db.Millis(d.config.Now())
		row, err = q.AddUpload(ctx, db.AddUploadParams{Person: o.Person, Kind: o.Kind, Name: proposedName(o), Fingerprint: mark, CreatedAt: now, TouchedAt: now})
		if err != nil {
			return err
		}
		for n, f := range files {
			keep := int64(0)
			if f.Keep {
				keep = 1
			}
			if err := q.AddUploadFile(ctx, db.AddUploadFileParams{UploadID: row.ID, N: int64(n), Path: f.Path, Size: f.Size, Keep: keep, Why: f.Why}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Upload{}, fmt.Errorf("store upload: %w", err)
	}
	d.changed(row.ID)
	if _, err := d.reception(ctx, row.ID); err != nil { // an upload of empty files has all it needs
		return Upload{}, err
	}
	return d.Find(ctx, row.ID)
}

// judge refuses what cannot be sent and says of each file whether serving needs it.
func judge(o Offer) ([]peft.File, error) {
	files := make([]peft.File, 0, len(o.Files))
	for _, f := range o.Files {
		switch {
		case f.Path == "" || len(f.Path) > mostPath || !utf8.ValidString(f.Path) || f.Path != path.Clean(f.Path) || path.IsAbs(f.Path) || strings.HasPrefix(f.Path, ".."):
			return nil, lora.Errorf(lora.Invalid, "%q is no name that a file in a folder can have. Rename it and drop the folder again.", f.Path)
		case f.Size < 0 || f.Size > mostBytes:
			return nil, lora.Errorf(lora.Invalid, "%s has a size of %d bytes, which cannot be. Drop the folder again.", f.Path, f.Size)
		}
		files = append(files, peft.File{Path: f.Path, Size: f.Size})
	}
	slices.SortFunc(files, func(a, b peft.File) int { return strings.Compare(a.Path, b.Path) })
	switch {
	case len(files) == 0:
		return nil, lora.Errorf(lora.Invalid, "There are no files in it. Drop the folder that save_pretrained wrote, or a .zip or .tar.gz of it.")
	case len(files) > mostFiles:
		return nil, lora.Errorf(lora.TooLarge, "There are %d files in it, which is more than %d. Drop the adapter's own folder.", len(files), mostFiles)
	case slices.ContainsFunc(files[1:], duplicateOf(files)):
		return nil, lora.Errorf(lora.Invalid, "A file is named twice. Drop the folder again.")
	case o.Kind == "archive":
		if _, known := peft.ArchiveForm(files[0].Path); len(files) != 1 || !known {
			return nil, lora.Errorf(lora.Invalid, "%s is no archive that can be read here. Pack the adapter as .tar.gz or .zip, or drop its folder.", files[0].Path)
		}
		files[0].Keep = true
		return files, nil
	case o.Kind == "folder":
		_, judged, err := peft.Judge(files)
		return judged, err
	}
	return nil, lora.Errorf(lora.Invalid, "An upload is a folder or an archive, and not %q.", o.Kind)
}

// duplicateOf reports whether a file has the path of the one before it in the sorted list.
func duplicateOf(sorted []peft.File) func(peft.File) bool {
	before := sorted[0].Path
	return func(f peft.File) bool {
		same := f.Path == before
		before = f.Path
		return same
	}
}

// fingerprint tells one drop from another.
func fingerprint(o Offer) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", o.Kind, o.Name)
	lines := make([]string, len(o.Files))
	for i, f := range o.Files {
		lines[i] = fmt.Sprintf("%s\n%d\n%d\n", f.Path, f.Size, f.Modified)
	}
	slices.Sort(lines)
	for _, line := range lines {
		sum.Write([]byte(line))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// makeRoom refuses what would not fit, before a byte is sent. An archive is unpacked beside itself.
func (d *Desk) makeRoom(files []peft.File, kind string) error {
	var needed int64
	for _, f := range files {
		if f.Keep {
			needed += f.Size
		}
	}
	if kind == "archive" {
		needed *= 2
	}
	room, err := d.Room()
	if err != nil {
		return err
	}
	if room.Used+needed > room.Budget {
		return lora.Errorf(lora.Limit, "This needs %s, and uploads already use %s of their %s. Discard an upload or remove an adapter, or start the deck with a larger --upload-budget.",
			lora.Bytes(needed), lora.Bytes(room.Used), lora.Bytes(room.Budget))
	}
	if needed > room.Free {
		return lora.Errorf(lora.Limit, "This needs %s, and the disk has %s left. Make room and drop it again.", lora.Bytes(needed), lora.Bytes(room.Free))
	}
	return nil
}

var (
	notInAdapter  = regexp.MustCompile(`[^a-zA-Z0-9._-]+`)
	checkpointDir = regexp.MustCompile(`(?i)^(checkpoint[-_]?\d*|adapter|lora|output|final|best)$`)
)

// proposedName makes an adapter's name of what was dropped. A checkpoint's folder says nothing, so the one above it speaks.
func proposedName(o Offer) string {
	name := path.Base(strings.ReplaceAll(o.Name, "\\", "/"))
	for _, suffix := range []string{".tar.gz", ".tgz", ".tar", ".zip"} {
		name = strings.TrimSuffix(name, suffix)
	}
	if above := path.Base(path.Dir(o.Name)); checkpointDir.MatchString(name) && above != "." && above != "/" {
		name = above
	}
	name = strings.Trim(notInAdapter.ReplaceAllString(name, "-"), "-._")
	if len(name) > 40 {
		name = strings.Trim(name[:40], "-._")
	}
	if name == "" {
		return "adapter"
	}
	return name
}
