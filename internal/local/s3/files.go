package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// files keeps parts on disk, one file each, under names that it makes up: no key ever reaches the file system. A file
// becomes part of something by its row in the index, so there is nothing to rename; what has no row is swept at the next
// start. A file that is being read outlives its row until the last reader is done.
type files struct {
	dir string
	log *slog.Logger

	// looking is held for reading between looking a file up in the index and pinning it.
	looking sync.RWMutex

	mu     sync.Mutex      // guards the two below
	pinned map[string]int  // readers by file
	doomed map[string]bool // pinned files to remove with their last reader
}

func openFiles(dir string, log *slog.Logger) (*files, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &files{dir: dir, log: log, pinned: map[string]int{}, doomed: map[string]bool{}}, nil
}

func (f *files) path(name string) string { return filepath.Join(f.dir, name) }

// write makes a file of what fill writes, on disk for good when it returns. When fill fails nothing stays.
func (f *files) write(fill func(w io.Writer) error) (name string, err error) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	name = hex.EncodeToString(id[:])
	file, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	err = fill(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.syncDirectory()
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.path(name)))
	}
	return name, nil
}

// syncDirectory makes the names in the directory as durable as the bytes behind them.
func (f *files) syncDirectory() error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// remove deletes files that the index no longer names. One that stays behind is only wasted space until the next sweep, so
// nobody hears of it but the log.
func (f *files) remove(names []string) { f.unlink(f.unread(names)) }

// unread gives those of names that nobody reads, and dooms the others. Whoever found one of them in the index has pinned it
// once looking is ours, and nobody finds them any more.
func (f *files) unread(names []string) (free []string) {
	f.looking.Lock()
	defer f.looking.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		if f.pinned[name] > 0 {
			f.doomed[name] = true
		} else {
			free = append(free, name)
		}
	}
	return free
}

func (f *files) unlink(names []string) {
	for _, name := range names {
		if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.log.Warn("file of a deleted object stays", "file", name, "err", err)
		}
	}
}

func (f *files) pin(parts []part) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range parts {
		f.pinned[p.file]++
	}
}

func (f *files) unpin(parts []part) {
	var free []string
	f.mu.Lock()
	for _, p := range parts {
		if f.pinned[p.file]--; f.pinned[p.file] > 0 {
			continue
		}
		delete(f.pinned, p.file)
		if f.doomed[p.file] {
			delete(f.doomed, p.file)
			free = append(free, p.file)
		}
	}
	f.mu.Unlock()
	f.unlink(free)
}

// sweep removes the files that known does not name: what a crash left behind. It must run before anything is written.
func (f *files) sweep(ctx context.Context, known func(ctx context.Context, file string) (bool, error)) error {
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		batch, err := dir.ReadDir(256)
		for _, entry := range batch {
			keep, err := known(ctx, entry.Name())
			if err != nil {
				return err
			}
			if !keep && entry.Type().IsRegular() {
				f.unlink([]string{entry.Name()})
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// content reads an object's bytes, or a piece of them. It has one file open at a time.
type content struct {
	files  *files
	parts  []part // all of the object's, pinned until Close
	next   int    // index of the part to open
	skip   int64  // of that part
	left   int64  // bytes still to give
	file   *os.File
	closed bool
}

// piece makes c give length bytes from offset on; both lie within the object.
func (c *content) piece(offset, length int64) {
	c.next, c.left = 0, length
	for c.next < len(c.parts) && offset >= c.parts[c.next].size {
		offset -= c.parts[c.next].size
		c.next++
	}
	c.skip = offset
}

// Read gives the bytes in order.
func (c *content) Read(p []byte) (int, error) {
	for {
		if c.left == 0 || c.closed {
			return 0, io.EOF
		}
		if c.file == nil {
			if err := c.open(); err != nil {
				return 0, err
			}
		}
		n, err := c.file.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
		if err == io.EOF {
			err = c.shut()
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// WriteTo hands file after file to w, which lets an HTTP connection take them without copying.
func (c *content) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for c.left > 0 && !c.closed {
		if c.file == nil {
			if err := c.open(); err != nil {
				return total, err
			}
		}
		n, err := io.Copy(w, io.LimitReader(c.file, c.left))
		total, c.left = total+n, c.left-n
		if err := errors.Join(err, c.shut()); err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *content) open() error {
	if c.next == len(c.parts) {
		return fmt.Errorf("%d bytes of the object are missing on disk: %w", c.left, io.ErrUnexpectedEOF)
	}
	file, err := os.Open(c.files.path(c.parts[c.next].file))
	if err != nil {
		return err
	}
	if _, err := file.Seek(c.skip, io.SeekStart); err != nil {
		return errors.Join(err, file.Close())
	}
	c.file, c.skip = file, 0
	c.next++
	return nil
}

func (c *content) shut() error {
	file := c.file
	c.file = nil
	return file.Close()
}

// Close lets go of the files. It may be called twice.
func (c *content) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	c.files.unpin(c.parts)
	if c.file == nil {
		return nil
	}
	return c.shut()
}
