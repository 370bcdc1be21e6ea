package peft

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/gzip"

	"loradeck/internal/lora"
)

// Manifest gives the identity of an adapter's content — the sha256, in hex, of the kept files' paths, sizes and sha256 — and
// the kept paths. It depends on nothing else: not on times, on what is left out, or on how it will be packed.
func Manifest(ctx context.Context, fsys fs.FS) (digest string, kept []string, err error) {
	a, err := Inspect(fsys)
	if err != nil {
		return "", nil, err
	}
	whole := sha256.New()
	for _, f := range a.Files {
		if !f.Keep {
			continue
		}
		sum := sha256.New()
		size, err := copyFile(ctx, sum, fsys, f.Path)
		if err != nil {
			return "", nil, fmt.Errorf("digest %s: %w", f.Path, err)
		}
		fmt.Fprintf(whole, "%s\n%d\n%x\n", f.Path, size, sum.Sum(nil))
		kept = append(kept, f.Path)
	}
	return hex.EncodeToString(whole.Sum(nil)), kept, nil
}

// Packed says what Pack wrote.
type Packed struct {
	Digest string // sha256 of the archive, in hex
	Bytes  int64  // its size
}

// Pack writes the kept files as a tar.gz with the files at its root, as SageMaker unpacks it. The same files give the same
// bytes: entries are sorted, and times, owners and modes are fixed.
func Pack(ctx context.Context, w io.Writer, fsys fs.FS) (Packed, error) {
	a, err := Inspect(fsys)
	if err != nil {
		return Packed{}, err
	}
	level, err := levelFor(fsys, a)
	if err != nil {
		return Packed{}, fmt.Errorf("choose a compression level: %w", err)
	}
	sum := &summed{to: w, hash: sha256.New()}
	// Without a large buffer behind it the Huffman coder writes in tiny pieces and loses half its speed (facts/stack.md §5).
	buffer := bufio.NewWriterSize(sum, 1<<20)
	zip, err := gzip.NewWriterLevel(buffer, level)
	if err != nil {
		return Packed{}, fmt.Errorf("pack: %w", err)
	}
	archive := tar.NewWriter(zip)
	for _, f := range a.Files {
		if !f.Keep {
			continue
		}
		if err := addFile(ctx, archive, fsys, f); err != nil {
			return Packed{}, fmt.Errorf("pack %s: %w", f.Path, err)
		}
	}
	for _, end := range []func() error{archive.Close, zip.Close, buffer.Flush} {
		if err := end(); err != nil {
			return Packed{}, fmt.Errorf("end archive: %w", err)
		}
	}
	return Packed{Digest: hex.EncodeToString(sum.hash.Sum(nil)), Bytes: sum.size}, nil
}

func addFile(ctx context.Context, archive *tar.Writer, fsys fs.FS, f File) error {
	err := archive.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: f.Path, Size: f.Size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	})
	if err != nil {
		return err
	}
	size, err := copyFile(ctx, archive, fsys, f.Path)
	if err == nil && size != f.Size {
		err = lora.Errorf(lora.Conflict, "%s changed while it was packed. Try again.", f.Path)
	}
	return err
}

// sampleSize is how much of the weights decides how they are compressed.
const sampleSize = 1 << 20

// levelFor looks at the beginning of the weights alone, so that the same content is always packed the same way. Weights have
// no repeats worth finding; Huffman coding gains a fifth on bfloat16 and little on some others, which are then stored
// (facts/stack.md §5).
func levelFor(fsys fs.FS, a Adapter) (int, error) {
	if !a.Has(WeightsFile) {
		return gzip.HuffmanOnly, nil
	}
	file, err := fsys.Open(WeightsFile)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	sample, err := io.ReadAll(io.LimitReader(file, sampleSize))
	if err != nil {
		return 0, err
	}
	var coded counter
	zip, err := gzip.NewWriterLevel(&coded, gzip.HuffmanOnly)
	if err != nil {
		return 0, err
	}
	if _, err := zip.Write(sample); err != nil {
		return 0, err
	}
	if err := zip.Close(); err != nil {
		return 0, err
	}
	if int64(coded) > int64(len(sample))*97/100 {
		return gzip.NoCompression, nil
	}
	return gzip.HuffmanOnly, nil
}

func copyFile(ctx context.Context, w io.Writer, fsys fs.FS, name string) (int64, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return io.CopyBuffer(struct{ io.Writer }{w}, &reader{ctx, file}, make([]byte, 256<<10))
}

// reader stops reading when its context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

// Read fails once the context has ended.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(p)
}

// counter counts what is written to it.
type counter int64

// Write never fails.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// summed passes on what is written, and hashes and counts it.
type summed struct {
	to   io.Writer
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
	size int64
}

// Write writes to both.
func (s *summed) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	s.hash.Write(p[:n])
	s.size += int64(n)
	return n, err
}
