package intake

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"loradeck/internal/peft"
	"loradeck/internal/spool"
)

// arriving is an adapter's folder whose files may not be whole yet: each has the size it was announced with, and reading past
// what is here gives peft.ErrNotYet. The folder is flat, as PEFT writes it and SageMaker reads it.
type arriving struct {
	files []arrivingFile // sorted by name
	whole bool           // no further file will turn up
}

type arrivingFile struct {
	name string
	size int64
	open func() (*os.File, error) // fs.ErrNotExist while nothing has arrived
}

// Open opens the folder itself or one of its files.
func (a *arriving) Open(name string) (fs.File, error) {
	if name == "." {
		return &folder{left: a.files}, nil
	}
	i, found := slices.BinarySearchFunc(a.files, name, func(f arrivingFile, name string) int { return strings.Compare(f.name, name) })
	if !found {
		err := fs.ErrNotExist
		if !a.whole {
			err = peft.ErrNotYet
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file, err := a.files[i].open()
	if errors.Is(err, fs.ErrNotExist) {
		file, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &part{info: info{a.files[i]}, file: file}, nil
}

// part is one file as far as it is here.
type part struct {
	info
	file *os.File // nil while nothing has arrived
	read int64
}

// Stat gives the announced size.
func (p *part) Stat() (fs.FileInfo, error) { return p.info, nil }

// Read gives what is here and then peft.ErrNotYet, or io.EOF at the announced end.
func (p *part) Read(b []byte) (int, error) {
	if left := p.size - p.read; left <= 0 {
		return 0, io.EOF
	} else if int64(len(b)) > left {
		b = b[:left]
	}
	if p.file == nil {
		return 0, peft.ErrNotYet
	}
	n, err := p.file.Read(b)
	p.read += int64(n)
	if err == io.EOF && n == 0 {
		return 0, peft.ErrNotYet
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Close closes the file.
func (p *part) Close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// folder lists the files.
type folder struct{ left []arrivingFile }

// Stat says that it is a folder.
func (f *folder) Stat() (fs.FileInfo, error) { return folderInfo{}, nil }

// Read fails: a folder has no bytes.
func (f *folder) Read([]byte) (int, error) { return 0, errors.New("a folder cannot be read") }

// Close does nothing.
func (f *folder) Close() error { return nil }

// ReadDir gives up to n entries, all for n <= 0.
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(f.left) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(f.left) {
		n = len(f.left)
	}
	entries := make([]fs.DirEntry, n)
	for i, file := range f.left[:n] {
		entries[i] = fs.FileInfoToDirEntry(info{file})
	}
	f.left = f.left[n:]
	return entries, nil
}

type info struct{ arrivingFile }

// The announced name and size of a regular file.
func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return 0o400 }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return false }
func (i info) Sys() any           { return nil }

type folderInfo struct{}

// The folder itself.
func (folderInfo) Name() string       { return "." }
func (folderInfo) Size() int64        { return 0 }
func (folderInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o500 }
func (folderInfo) ModTime() time.Time { return time.Time{} }
func (folderInfo) IsDir() bool        { return true }
func (folderInfo) Sys() any           { return nil }

// tree is what has been taken out of an archive so far. It is the sink of peft's readers.
type tree struct {
	parts spool.Upload

	mu    sync.Mutex // guards sizes
	sizes map[string]int64
}

func newTree(parts spool.Upload) *tree { return &tree{parts: parts, sizes: map[string]int64{}} }

// clear forgets everything: the archive is read from its beginning.
func (t *tree) clear() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.sizes)
	return t.parts.Clear()
}

// Create makes a file for a member of the given size.
func (t *tree) Create(name string, size int64) (io.WriteCloser, error) {
	file, err := t.parts.Create(name)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sizes[name] = size
	return file, nil
}

// view gives the files of the shallowest folder that holds an adapter's, or of root when that is known.
func (t *tree) view(root string) *arriving {
	t.mu.Lock()
	defer t.mu.Unlock()
	if root == "" {
		root = shallowest(t.sizes)
	}
	view := &arriving{}
	for name, size := range t.sizes {
		if path.Dir(name) == root {
			view.files = append(view.files, arrivingFile{name: path.Base(name), size: size, open: func() (*os.File, error) { return t.parts.OpenTree(name) }})
		}
	}
	view.sort()
	return view
}

func shallowest(sizes map[string]int64) string {
	root := "."
	first := true
	for name := range sizes {
		if dir := path.Dir(name); first || depth(dir) < depth(root) {
			root, first = dir, false
		}
	}
	return root
}

func depth(dir string) int {
	if dir == "." {
		return 0
	}
	return strings.Count(dir, "/") + 1
}

func (a *arriving) sort() {
	slices.SortFunc(a.files, func(x, y arrivingFile) int { return strings.Compare(x.name, y.name) })
}
