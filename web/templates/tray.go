package templates

import (
	"fmt"
)

// Tray is the strip at the bottom of every page: what is running now.
type Tray struct {
	Uploads []TrayUpload
	Jobs    []TrayJob
}

// TrayUpload is one upload that is not deployed yet.
type TrayUpload struct {
	ID    string // of the entry
	Href  string
	Title string
	Now   string // what it is at, in a word or two
	Done  string // bytes, for a progress element
	Total string
}

// TrayJob is one running or queued job.
type TrayJob struct {
	ID    string // of the entry
	Href  string
	Title string
	Now   string // what it is doing, in a word or two
	Done  int    // steps done
	Steps int
	Moves bool // false while it is queued
}

func (j TrayJob) label() string {
	return fmt.Sprintf("%s: %d of %d steps done, %s", j.Title, j.Done, j.Steps, j.Now)
}

func (j TrayJob) tick(i int) string {
	switch {
	case i < j.Done:
		return "done"
	case i == j.Done && j.Moves:
		return "running"
	default:
		return "waiting"
	}
}
