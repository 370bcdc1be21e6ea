package peft

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"loradeck/internal/lora"
)

// Sink takes the members of an archive that serving needs. The path is clean, relative and slash-separated, and comes once;
// size is what the archive declares.
type Sink interface {
	Create(path string, size int64) (io.WriteCloser, error)
}

// ArchiveLimits bounds what an archive may make of itself. A zero member stands for its default.
type ArchiveLimits struct {
	Entries  int   // members, 10,000
	Unpacked int64 // bytes of all members, 16 GiB
	Ratio    int64 // unpacked to packed bytes, 200; judged from 64 MiB unpacked on
	Name     int   // bytes of a member's name, 512
}

// judgedFrom is where the ratio begins to count: a small file of zeros is no bomb.
const judgedFrom = 64 << 20

// Unpacked says what was taken out of an archive.
type Unpacked struct {
	Root    string    // folder in the sink that holds the adapter, "." for the top
	LeftOut []LeftOut // members that were not written, paths relative to Root where they lie below it
}

// LeftOut is a member of an archive that was not taken.
type LeftOut struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	Why  string `json:"why"`
}

// ArchiveForm tells by a file's name how it is packed: "tar.gz" (also .tgz and a plain .tar) or "zip".
func ArchiveForm(name string) (form string, ok bool) {
	lower := strings.ToLower(name)
	for _, suffix := range []string{".tar.gz", ".tgz", ".tar"} {
		if strings.HasSuffix(lower, suffix) {
			return "tar.gz", true
		}
	}
	return "zip", strings.HasSuffix(lower, ".zip")
}

// UnpackTarGz reads a tar, gzipped or plain, as a stream and writes the members that serving needs to the sink. It waits as long
// as r does. Seen is called with a member's path when it is begun and when it is whole. Its errors are of kind Invalid for an
// archive that is damaged, hostile or holds no adapter, and TooLarge for one beyond the limits.
func UnpackTarGz(ctx context.Context, r io.Reader, into Sink, limits ArchiveLimits, seen func(path string)) (Unpacked, error) {
	if seen == nil {
		seen = func(string) {}
	}
	p := newPicker(into, limits)
	packed := &meter{Reader: &reader{ctx, r}}
	plain, err := gunzip(packed)
	if err != nil {
		return Unpacked{}, damaged(ctx, err)
	}
	members := tar.NewReader(&bounded{Reader: plain, packed: packed, limits: p.limits})
	for {
		header, err := members.Next()
		if err == io.EOF {
			return p.end()
		}
		if err != nil {
			return Unpacked{}, damaged(ctx, err)
		}
		name, keep, err := p.tarMember(header)
		if err != nil {
			return Unpacked{}, err
		}
		if !keep {
			continue
		}
		if err := p.write(ctx, name, header.Size, members, func() { seen(name) }); err != nil {
			return Unpacked{}, damaged(ctx, err)
		}
		seen(name)
	}
}

// gunzip takes the gzip off when there is one.
func gunzip(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	magic, err := buffered.Peek(2)
	if err != nil {
		return nil, err
	}
	if magic[0] != 0x1f || magic[1] != 0x8b {
		return buffered, nil
	}
	return gzip.NewReader(buffered)
}

func (p *picker) tarMember(h *tar.Header) (name string, keep bool, err error) {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return "", false, nil
	case tar.TypeDir:
		_, err := p.clean(h.Name)
		return "", false, err
	case tar.TypeReg:
	default:
		return "", false, hostile(h.Name, "is a link or a device")
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return "", false, hostile(h.Name, "has holes that unpacking would fill")
		}
	}
	return p.member(h.Name, h.Size)
}

// UnpackZip reads a zip and writes the members that serving needs to the sink. A zip has its directory at the end, so all of it
// must be here. Its errors are those of UnpackTarGz.
func UnpackZip(ctx context.Context, r io.ReaderAt, size int64, into Sink, limits ArchiveLimits) (Unpacked, error) {
	p := newPicker(into, limits)
	archive, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are judged one by one below, with a sentence each
		return Unpacked{}, damaged(ctx, err)
	}
	if len(archive.File) > p.limits.Entries {
		return Unpacked{}, tooMany(p.limits)
	}
	if err := apart(archive.File); err != nil {
		return Unpacked{}, err
	}
	for _, f := range archive.File {
		name, keep, err := p.zipMember(f)
		if err != nil {
			return Unpacked{}, err
		}
		if !keep {
			continue
		}
		if err := p.unzip(ctx, name, f); err != nil {
			return Unpacked{}, damaged(ctx, err)
		}
	}
	return p.end()
}

func (p *picker) zipMember(f *zip.File) (name string, keep bool, err error) {
	mode := f.Mode()
	switch {
	case strings.HasSuffix(f.Name, "/") || mode.IsDir():
		_, err := p.clean(strings.TrimSuffix(f.Name, "/"))
		return "", false, err
	case mode&fs.ModeType != 0:
		return "", false, hostile(f.Name, "is a link or a device")
	case f.Flags&1 != 0:
		return "", false, lora.Errorf(lora.Invalid, "%s is encrypted. Pack the adapter without a password.", shown(f.Name))
	case f.UncompressedSize64 > 1<<62:
		return "", false, tooLarge(p.limits)
	}
	size := int64(f.UncompressedSize64)
	if size > judgedFrom && uint64(size) > f.CompressedSize64*uint64(p.limits.Ratio) {
		return "", false, bomb(p.limits)
	}
	return p.member(f.Name, size)
}

func (p *picker) unzip(ctx context.Context, name string, f *zip.File) error {
	member, err := f.Open()
	if err != nil {
		return err
	}
	defer member.Close()
	return p.write(ctx, name, int64(f.UncompressedSize64), member, func() {})
}

// apart refuses members that share bytes: a few kilobytes can be made to unpack to petabytes that way.
func apart(files []*zip.File) error {
	type extent struct{ begin, end int64 }
	extents := make([]extent, 0, len(files))
	for _, f := range files {
		begin, err := f.DataOffset()
		if err != nil {
			return lora.Wrap(err, lora.Invalid, "The archive is damaged: %s is not where its directory says. Pack the adapter again.", shown(f.Name))
		}
		extents = append(extents, extent{begin, begin + int64(f.CompressedSize64)})
	}
	slices.SortFunc(extents, func(a, b extent) int { return cmp.Compare(a.begin, b.begin) })
	for i, e := range extents {
		if e.end < e.begin || (i > 0 && e.begin < extents[i-1].end) {
			return lora.Errorf(lora.Invalid, "Members of the archive share the same bytes, which no packer does. Pack the adapter again.")
		}
	}
	return nil
}

// write copies a member to the sink and holds it to the size that was declared.
func (p *picker) write(ctx context.Context, name string, size int64, from io.Reader, begun func()) error {
	file, err := p.into.Create(name, size)
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	begun()
	n, err := io.CopyBuffer(struct{ io.Writer }{file}, &reader{ctx, io.LimitReader(from, size+1)}, make([]byte, 256<<10))
	if err == nil && n != size {
		err = fmt.Errorf("%s holds %d bytes and not %d: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	return errors.Join(err, file.Close())
}

// damaged turns what a reader of archives reports into a sentence. Trouble that is not the archive's passes through.
func damaged(ctx context.Context, err error) error {
	var written *fs.PathError
	var known *lora.Error
	if ctx.Err() != nil || errors.As(err, &written) || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return lora.Wrap(err, lora.Invalid, "The archive ends in the middle. Pack the adapter again and compare the sizes.")
	}
	return lora.Wrap(err, lora.Invalid, "The archive cannot be read: %v. Pack the adapter again as .tar.gz or .zip.", err)
}

// meter counts what is read.
type meter struct {
	io.Reader
	read int64
}

// Read counts.
func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	m.read += int64(n)
	return n, err
}

// bounded is an unpacked stream that ends with an error when it grows beyond the limits.
type bounded struct {
	io.Reader
	packed *meter
	limits ArchiveLimits
	read   int64
}

// Read fails once more has come out than the limits allow.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	// Each member's own header and padding count too, so a little more than the members' bytes is let through.
	if b.read > b.limits.Unpacked+int64(b.limits.Entries)<<10 {
		return 0, tooLarge(b.limits)
	}
	if b.read > judgedFrom && b.read > b.packed.read*b.limits.Ratio {
		return 0, bomb(b.limits)
	}
	return n, err
}
