// Package spool keeps adapters' files and their packed archives on disk, under names made of their digests, so that what a
// job reads is what was checked and a crash finds its half-done work again. What is still being uploaded lies beside them
// under the upload's number.
//
// It knows nothing of what the files mean: peft reads them, jobs packs them. Whatever has a digest for its name is whole; what
// is being made has a temporary name and is removed at the next Open. Only uploads stay half-done across a restart.
package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"loradeck/internal/lora"
)

// Spool is a directory with versions/DIGEST/…, archives/DIGEST.tar.gz and uploads/NUMBER/…. Digests are 64 lower-case hex
// digits.
type Spool struct{ root *os.Root }

// Open opens or creates the spool in dir and removes what the last process left unfinished.
func Open(dir string) (*Spool, error) {
	for _, part := range []string{"versions", "archives", "uploads", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o700); err != nil {
			return nil, fmt.Errorf("open spool: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := errors.Join(root.RemoveAll("tmp"), root.Mkdir("tmp", 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("clean spool: %w", err), root.Close())
	}
	return &Spool{root: root}, nil
}

// Close releases the directory.
func (s *Spool) Close() error { return s.root.Close() }

// Keep copies the named files of source into versions/DIGEST. A version that is there already is left as it is: the digest
// says its content is the same.
func (s *Spool) Keep(ctx context.Context, digest string, source fs.FS, files []string) error {
	final, err := name("versions", digest, "")
	if err != nil {
		return err
	}
	if _, err := s.root.Stat(final); err == nil {
		return nil
	}
	staging, err := s.stage()
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.copyIn(filepath.Join(staging, filepath.FromSlash(file)), source, file); err != nil {
			return fmt.Errorf("keep %s: %w", file, err)
		}
	}
	return s.settle(staging, final)
}

// settle gives a staged version its name, unless another has come first: then that one has the same content.
func (s *Spool) settle(staging, final string) error {
	if err := s.root.Rename(staging, final); err != nil {
		if _, missing := s.root.Stat(final); missing != nil {
			return fmt.Errorf("keep %s: %w", final, err)
		}
	}
	return nil
}

// Version gives the kept files of a version.
func (s *Spool) Version(digest string) (fs.FS, error) {
	dir, err := name("versions", digest, "")
	if err != nil {
		return nil, err
	}
	if _, err := s.root.Stat(dir); err != nil {
		return nil, lora.Wrap(err, lora.NotFound, "The files of this version are no longer in the data folder. Add the adapter again.")
	}
	return fs.Sub(s.root.FS(), filepath.ToSlash(dir))
}

// PutArchive stores what write produces under the digest that write returns, once it has returned without error. It gives
// that digest.
func (s *Spool) PutArchive(write func(w io.Writer) (digest string, err error)) (digest string, err error) {
	staging, err := s.stage()
	if err != nil {
		return "", err
	}
	temporary := filepath.Join(staging, "archive")
	file, err := s.root.Create(temporary)
	if err != nil {
		return "", fmt.Errorf("create archive: %w", err)
	}
	digest, err = write(file)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("write archive: %w", err)
	}
	final, err := name("archives", digest, ".tar.gz")
	if err != nil {
		return "", err
	}
	if err := s.root.Rename(temporary, final); err != nil {
		return "", fmt.Errorf("store archive %s: %w", digest, err)
	}
	return digest, nil
}

// Archive opens a stored archive for reading at any offset.
func (s *Spool) Archive(digest string) (*os.File, error) {
	path, err := name("archives", digest, ".tar.gz")
	if err != nil {
		return nil, err
	}
	file, err := s.root.Open(path)
	if err != nil {
		return nil, lora.Wrap(err, lora.NotFound, "The packed archive is no longer in the data folder. Start the deployment again.")
	}
	return file, nil
}

// HasArchive reports whether the archive of that digest and size is stored.
func (s *Spool) HasArchive(digest string, size int64) bool {
	path, err := name("archives", digest, ".tar.gz")
	if err != nil {
		return false
	}
	info, err := s.root.Stat(path)
	return err == nil && info.Size() == size
}

// stage makes an empty directory of its own under tmp.
func (s *Spool) stage() (string, error) {
	for n := 0; ; n++ {
		dir := filepath.Join("tmp", fmt.Sprint(n))
		err := s.root.Mkdir(dir, 0o700)
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("stage in the spool: %w", err)
		}
	}
}

func (s *Spool) copyIn(target string, source fs.FS, file string) error {
	in, err := source.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := s.root.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	out, err := s.root.Create(target)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func name(part, digest, suffix string) (string, error) {
	if !digestForm.MatchString(digest) {
		return "", fmt.Errorf("spool: %q is no sha256 digest", digest)
	}
	return filepath.Join(part, digest+suffix), nil
}
