package templates

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/lora"
)

// State is a state as it is drawn: Mark picks colour and shape (a data-state), Word says it.
type State struct {
	Mark string
	Word string
}

// Link is a place to go and what to call it.
type Link struct {
	Href string
	Text string
}

// Fact is one labelled value of a facts list. Mono marks what one could paste into a terminal.
type Fact struct {
	Label string
	Value string
	Href  string // when the value is a link
	Mono  bool
}

// Figure is one number of a page's head.
type Figure struct {
	Label string
	Value string
	Unit  string // small print after the value, may be empty
}

// icon gives the name of the state's symbol in the sprite.
func (s State) icon() string {
	switch s.Mark {
	case "done":
		return "s-proven"
	case "running":
		return "s-creating"
	case "waiting":
		return "s-queued"
	case "drifted":
		return "s-warn"
	case "cancelled", "skipped":
		return "s-stopped"
	default:
		return "s-" + s.Mark
	}
}

// turning reports whether the state's symbol spins.
func (s State) turning() bool {
	return s.Mark == "creating" || s.Mark == "running" || s.Mark == "updating"
}

// Count writes n with a thousands separator: 1,024.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return sign + out.String()
}

// Plural writes a count with its noun: "1 adapter", "3 adapters".
func Plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(int64(n)) + " " + one + "s"
}

// Took writes how long something lasted: 8 ms, 0.4 s, 26 s, 1:37, 2:03:09.
func Took(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 60*time.Second:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	}
}

// Ago writes how long before now t was, coarsely: "just now", "40 s ago", "5 min ago", "3 h ago", else the date.
func Ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return t.Format("2 Jan 2006")
	}
}

// In writes how long after now t is, in whole seconds and never too early: "in 24 s", "in 1:37", and "now" once it has come.
func In(now, t time.Time) string {
	d := (t.Sub(now) + time.Second - 1).Truncate(time.Second)
	switch {
	case d <= 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("in %d s", int(d.Seconds()))
	}
	return "in " + Took(d)
}

// Clock writes the time of day, with the date when that is not today's.
func Clock(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	t = t.In(now.Location())
	if now.Format(time.DateOnly) == t.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2 Jan 15:04")
}

// Nats writes a difference of log probabilities with the digits that a verdict turns on.
func Nats(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "not a number"
	}
	return fmt.Sprintf("%.3f", v)
}

// Percent writes a share of 0..1 as an SVG length: "37.50%".
func Percent(share float64) string {
	if math.IsNaN(share) {
		share = 0
	}
	return strconv.FormatFloat(100*min(max(share, 0), 1), 'f', 2, 64) + "%"
}

// ScreenState draws a deployment's state: the words of the deck with the shape and colour that belong to them.
func ScreenState(s lora.State) State {
	marks := map[lora.State]State{
		lora.StateQueued:    {"queued", "Queued"},
		lora.StateChecking:  {"creating", "Checking"},
		lora.StatePacking:   {"creating", "Packing"},
		lora.StateUploading: {"creating", "Uploading"},
		lora.StateCreating:  {"creating", "Creating"},
		lora.StateProving:   {"creating", "Proving"},
		lora.StateNotProven: {"inservice", "In service, not proven"},
		lora.StateProven:    {"proven", "Proven"},
		lora.StateNoEffect:  {"noeffect", "No effect"},
		lora.StateUnclear:   {"unclear", "Unclear"},
		lora.StateFailed:    {"failed", "Failed"},
		lora.StateUpdating:  {"updating", "Updating"},
		lora.StateDeleting:  {"deleting", "Deleting"},
		lora.StateGone:      {"gone", "Gone"},

		lora.StateCancelling: {"deleting", "Cancelling"},
	}
	if drawn, known := marks[s]; known {
		return drawn
	}
	return State{Mark: "warn", Word: string(s)}
}

// ServiceState draws the service's status of an endpoint or a base. The service's own word is always shown beside it.
func ServiceState(s lora.Status) State {
	switch s {
	case lora.StatusInService:
		return State{"inservice", "In service"}
	case lora.StatusCreating:
		return State{"creating", "Creating"}
	case lora.StatusUpdating:
		return State{"updating", "Updating"}
	case lora.StatusDeleting:
		return State{"deleting", "Deleting"}
	case lora.StatusFailed:
		return State{"failed", "Failed"}
	}
	return State{"warn", "Needs a look"}
}

// VerdictState draws what a proof concluded.
func VerdictState(v lora.Verdict) State {
	switch v {
	case lora.VerdictProven:
		return ScreenState(lora.StateProven)
	case lora.VerdictNoEffect:
		return ScreenState(lora.StateNoEffect)
	case lora.VerdictUnclear:
		return ScreenState(lora.StateUnclear)
	}
	return ScreenState(lora.StateFailed)
}
