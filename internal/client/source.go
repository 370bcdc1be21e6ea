package client

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"loradeck/internal/lora"
)

// mostFiles is more than any adapter has: a folder with more is the wrong one, and would be walked for minutes.
const mostFiles = 10_000

// Source is an adapter on this machine: the files of a folder, or one archive.
type Source struct {
	Kind  string       `json:"kind"` // "folder" or "archive"
	Name  string       `json:"name"`
	Files []SourceFile `json:"files"`

	root string
}

// SourceFile is one file as it is offered. Sent again unchanged, an upload goes on where it stopped.
type SourceFile struct {
	Path     string `json:"path"` // slash-separated, relative to the folder
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // Unix milliseconds
}

// Read lists what is at path. Which of a folder's files serving needs is the dashboard's to say. Its errors are of kind
// Invalid when there is nothing there.
func Read(path string) (Source, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return Source{}, lora.Wrap(err, lora.Invalid, "%s cannot be found. Name the adapter's folder or archive.", path)
	}
	info, err := os.Stat(absolute)
	if err != nil {
		return Source{}, lora.Wrap(err, lora.Invalid, "%s cannot be found or read. Name the adapter's folder, or a .zip or .tar.gz of it.", path)
	}
	name := filepath.Base(absolute)
	if !info.IsDir() {
		return Source{Kind: "archive", Name: name, Files: []SourceFile{offered(name, info)}, root: filepath.Dir(absolute)}, nil
	}
	s := Source{Kind: "folder", Name: name, Files: []SourceFile{}, root: absolute}
	err = filepath.WalkDir(absolute, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(at) // through links: the Hugging Face cache keeps its files elsewhere
		if err != nil || !info.Mode().IsRegular() {
			return nil // a dangling link, a socket: nothing that could be sent
		}
		relative, err := filepath.Rel(absolute, at)
		if err != nil {
			return err
		}
		if len(s.Files) == mostFiles {
			return lora.Errorf(lora.Invalid, "There are more than %d files in %s. Name the adapter's own folder.", mostFiles, path)
		}
		s.Files = append(s.Files, offered(filepath.ToSlash(relative), info))
		return nil
	})
	if err != nil && lora.KindOf(err) != lora.Invalid {
		err = lora.Wrap(err, lora.Invalid, "The folder %s cannot be read to its end.", path)
	}
	return s, err
}

func offered(path string, info fs.FileInfo) SourceFile {
	return SourceFile{Path: path, Size: info.Size(), Modified: info.ModTime().UnixMilli()}
}

// open opens a file that was offered.
func (s Source) open(path string) (*os.File, error) {
	file, err := os.Open(filepath.Join(s.root, filepath.FromSlash(path)))
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "%s can no longer be read. Look at it, and run the same command again.", path)
	}
	return file, nil
}

// unchanged reports an error when a file is not what was offered any more.
func unchanged(file *os.File, size int64) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", file.Name(), err)
	}
	if info.Size() != size {
		return lora.Errorf(lora.Invalid, "%s has changed while it was being sent. Run the same command again once it is whole.", file.Name())
	}
	return nil
}
