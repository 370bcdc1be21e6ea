package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Upload is the part of the spool that one upload fills: its part files, numbered as their owner numbers them, and the tree of
// what was taken out of an archive. A part file's size is how much of the file is here; that stands nowhere else.
type Upload struct {
	spool *Spool
	dir   string
}

// Upload gives the upload of that number, which need not exist yet.
func (s *Spool) Upload(id int64) Upload {
	return Upload{spool: s, dir: filepath.Join("uploads", strconv.FormatInt(id, 10))}
}

// Append opens a part file for writing at its end and creates it when it is not there.
func (u Upload) Append(part int64) (*os.File, error) {
	if err := u.spool.root.MkdirAll(u.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open %s: %w", u.part(part), err)
	}
	file, err := u.spool.root.OpenFile(u.part(part), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", u.part(part), err)
	}
	return file, nil
}

// Open opens a part file for reading at any offset. One that nothing has arrived for yet is an fs.ErrNotExist.
func (u Upload) Open(part int64) (*os.File, error) { return u.spool.root.Open(u.part(part)) }

// Received is how many bytes of a part file are here.
func (u Upload) Received(part int64) int64 {
	info, err := u.spool.root.Stat(u.part(part))
	if err != nil {
		return 0
	}
	return info.Size()
}

// Clear forgets what was taken out of the upload's archive.
func (u Upload) Clear() error {
	if err := u.spool.root.RemoveAll(u.tree()); err != nil {
		return fmt.Errorf("clear %s: %w", u.tree(), err)
	}
	return nil
}

// Create makes a file of the tree. The name is clean, relative and slash-separated.
func (u Upload) Create(name string) (io.WriteCloser, error) {
	target := filepath.Join(u.tree(), filepath.FromSlash(name))
	if err := u.spool.root.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	file, err := u.spool.root.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	return file, nil
}

// OpenTree opens a file of the tree.
func (u Upload) OpenTree(name string) (*os.File, error) {
	return u.spool.root.Open(filepath.Join(u.tree(), filepath.FromSlash(name)))
}

// Source says where a version's file comes from: a part file, or a name in the tree.
type Source struct {
	Name string // in the version: clean, relative, slash-separated
	Part int64  // when Tree is ""
	Tree string
}

// Keep makes a version of an upload's files by linking them, so that gigabytes are not copied and a crash on the way leaves the
// upload as it was. A version of that digest that is there already is left as it is.
func (u Upload) Keep(ctx context.Context, digest string, files []Source) error {
	final, err := name("versions", digest, "")
	if err != nil {
		return err
	}
	if _, err := u.spool.root.Stat(final); err == nil {
		return nil
	}
	staging, err := u.spool.stage()
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := u.part(file.Part)
		if file.Tree != "" {
			from = filepath.Join(u.tree(), filepath.FromSlash(file.Tree))
		}
		to := filepath.Join(staging, filepath.FromSlash(file.Name))
		err := errors.Join(u.spool.root.MkdirAll(filepath.Dir(to), 0o700), u.spool.sync(from))
		if err == nil {
			err = u.spool.root.Link(from, to)
		}
		if err != nil {
			return fmt.Errorf("keep %s: %w", file.Name, err)
		}
	}
	return u.spool.settle(staging, final)
}

// Discard removes whatever the upload has on disk. What became a version stays.
func (u Upload) Discard() error {
	if err := u.spool.root.RemoveAll(u.dir); err != nil {
		return fmt.Errorf("discard %s: %w", u.dir, err)
	}
	return nil
}

// Uploads gives the numbers of the uploads that have something on disk.
func (s *Spool) Uploads() ([]int64, error) {
	dir, err := s.root.Open("uploads")
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list uploads: %w", err)
	}
	var ids []int64
	for _, name := range names {
		if id, err := strconv.ParseInt(name, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Drop removes a version's files. Its archive, when it was packed, is removed with DropArchive.
func (s *Spool) Drop(digest string) error { return s.drop("versions", digest, "") }

// DropArchive removes a packed archive.
func (s *Spool) DropArchive(digest string) error { return s.drop("archives", digest, ".tar.gz") }

func (s *Spool) drop(part, digest, suffix string) error {
	path, err := name(part, digest, suffix)
	if err != nil {
		return err
	}
	if err := s.root.RemoveAll(path); err != nil {
		return fmt.Errorf("drop %s: %w", path, err)
	}
	return nil
}

// Used counts the bytes of everything in the spool. A file with two names counts twice: it is about to have one.
func (s *Spool) Used() (int64, error) {
	var used int64
	err := fs.WalkDir(s.root.FS(), ".", func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we looked
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if info, err := entry.Info(); err == nil {
			used += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count the spool: %w", err)
	}
	return used, nil
}

// Free gives the bytes that the disk under the spool still takes from us.
func (s *Spool) Free() (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(s.root.Name(), &stat); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil
}

func (s *Spool) sync(file string) error {
	f, err := s.root.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (u Upload) part(n int64) string { return filepath.Join(u.dir, strconv.FormatInt(n, 10)+".part") }

func (u Upload) tree() string { return filepath.Join(u.dir, "tree") }
