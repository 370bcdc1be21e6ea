package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"loradeck/internal/client"
	"loradeck/internal/lora"
)

// teller says how a push goes on: a bar on a terminal, a line now and then elsewhere.
type teller struct {
	to  io.Writer
	bar bool

	total   int64 // bytes to send
	began   time.Time
	from    int64 // bytes that were there when it began
	drawn   time.Time
	shown   int64             // bytes on the bar
	said    int64             // tenths of the total that have been told, without a bar
	onBar   bool              // the bar stands on the line
	told    map[string]string // states of the job's steps, as told
	blocked bool              // trouble was told and has not passed
}

const (
	barWidth = 30
	barEach  = 100 * time.Millisecond
)

func newTeller(to io.Writer, plain bool) *teller {
	t := &teller{to: to, told: map[string]string{}}
	if file, is := to.(*os.File); is && !plain {
		info, err := file.Stat()
		t.bar = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return t
}

// line says a sentence on a line of its own.
func (t *teller) line(format string, args ...any) {
	t.clear()
	fmt.Fprintf(t.to, format+"\n", args...)
}

// clear takes the bar away.
func (t *teller) clear() {
	if t.onBar {
		fmt.Fprint(t.to, "\r\x1b[K")
		t.onBar = false
	}
}

// begin says what is about to be sent.
func (t *teller) begin(u client.Upload) {
	kept := 0
	for _, f := range u.Files {
		if f.Keep {
			kept++
		}
	}
	t.total, t.from, t.began = u.ToSend, u.Received, time.Now()
	text := fmt.Sprintf("%d of %d files, %s", kept, len(u.Files), lora.Bytes(u.ToSend))
	if u.Received > 0 {
		text += fmt.Sprintf("; %s are there already", lora.Bytes(u.Received))
	}
	t.line("Sending %s", text)
	if t.total > 0 {
		t.said = 10 * u.Received / t.total
	}
}

// sent draws how much has left this machine.
func (t *teller) sent(bytes int64) {
	if t.total == 0 {
		return
	}
	if !t.bar {
		if tenth := 10 * bytes / t.total; tenth > t.said {
			t.said, t.blocked = tenth, false
			t.line("%d %%, %s of %s", 10*tenth, lora.Bytes(bytes), lora.Bytes(t.total))
		}
		return
	}
	now := time.Now()
	if bytes == t.shown || now.Sub(t.drawn) < barEach && bytes < t.total {
		return
	}
	t.drawn, t.shown, t.onBar, t.blocked = now, bytes, true, false
	full := int(barWidth * bytes / t.total)
	text := fmt.Sprintf("[%s%s] %3d %%  %s of %s", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*bytes/t.total, lora.Bytes(bytes), lora.Bytes(t.total))
	if spent := now.Sub(t.began).Seconds(); spent > 1 && bytes > t.from {
		rate := float64(bytes-t.from) / spent
		text += fmt.Sprintf("  %s/s  about %s left", lora.Bytes(int64(rate)), (time.Duration(float64(t.total-bytes)/rate) * time.Second).String())
	}
	fmt.Fprint(t.to, "\r\x1b[K"+text)
}

// trouble says, once until something moves again, that it is waited for.
func (t *teller) trouble(err error) {
	if t.blocked {
		return
	}
	t.blocked = true
	t.line("%s Trying again; nothing that has arrived is lost.", lora.Message(err))
}

// findings says what the check found, and gives the first that blocks.
func (t *teller) findings(found client.Check) (first string) {
	passed := 0
	for _, f := range found.Findings {
		switch f.Level {
		case "pass":
			passed++
		case "block":
			if first == "" {
				first = f.Title
			}
			t.line("blocks: %s. %s", f.Title, strings.TrimSpace(f.Detail+" "+f.Next))
		case "warn":
			t.line("warning: %s. %s", f.Title, strings.TrimSpace(f.Detail+" "+f.Next))
		}
	}
	t.line("Checked: %d of %d rules passed", passed, len(found.Findings))
	return first
}

// steps says which steps of a job have moved.
func (t *teller) steps(job client.Job) {
	t.blocked = false
	for _, s := range job.Steps {
		if s.State == "waiting" || s.State == t.told[s.Name] {
			continue
		}
		t.told[s.Name] = s.State
		if s.State != "running" && s.Note != "" {
			t.line("%s: %s, %s", s.Name, s.State, s.Note)
		} else {
			t.line("%s: %s", s.Name, s.State)
		}
	}
}
