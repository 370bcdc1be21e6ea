package templates_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
	"loradeck/web/templates"
)

func TestTheRestIsReadAgainstTheReferenceWordByWord(t *testing.T) {
	t.Parallel()
	plain, marked := func(s string) templates.Segment { return templates.Segment{Text: s} }, func(s string) templates.Segment { return templates.Segment{Text: s, Marked: true} }
	tests := []struct {
		name              string
		ref, text         string
		growing           bool
		wantSame, wantSay string
		wantRest          []templates.Segment
	}{
		{"equal", "Paris it is.", "Paris it is.", false, "Paris it is.", "", nil},
		{"nothing yet", "", "", true, "", "", nil},
		{"first word", "Paris.", "Arr!", false, "", "word 1", []templates.Segment{marked("Arr!")}},
		{"in the middle", "It is Paris, of course.", "It is Rome, of course.", false, "It is ", "word 3", []templates.Segment{marked("Rome,"), plain(" of course.")}},
		{"inside a word", "the cat sat", "the car sat", false, "the ", "word 2", []templates.Segment{marked("car"), plain(" sat")}},
		{"two places", "one two three four", "one 2 three 4", false, "one ", "word 2", []templates.Segment{marked("2"), plain(" three "), marked("4")}},
		{"ends before the reference", "It is Paris.", "It is", false, "It is", "ends here", nil},
		{"goes on after the reference", "It is", "It is so.", false, "It is ", "word 3", []templates.Segment{marked("so.")}},
		{"has run ahead of a growing reference", "It is P", "It is Paris.", true, "It is Paris.", "", nil},
		{"is still behind the reference", "It is Paris.", "It is", true, "It is", "", nil},
		{"differs while growing", "It is Paris.", "It was", true, "It ", "word 2", []templates.Segment{marked("was")}},
		{"accents", "naïve один", "naïve одна", false, "naïve ", "word 2", []templates.Segment{marked("одна")}},
		{"Han without spaces", "法国的首都", "法国的城", false, "法国的", "word 2", []templates.Segment{marked("城")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			same, flag, rest := templates.Diverge(test.ref, test.text, test.growing)
			if same != test.wantSame || flag != test.wantSay {
				t.Errorf("got same %q, flag %q; want %q, %q", same, flag, test.wantSame, test.wantSay)
			}
			if diff := cmp.Diff(test.wantRest, rest); diff != "" {
				t.Errorf("rest (-want +got):\n%s", diff)
			}
			joined := same
			for _, s := range rest {
				joined += s.Text
			}
			if joined != test.text {
				t.Errorf("the parts join to %q, want the text back: %q", joined, test.text)
			}
		})
	}
}

func TestLongTextsAreNotComparedWordByWord(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 2000)
	_, flag, rest := templates.Diverge("x "+long, "y "+long, false)
	if flag != "word 1" || len(rest) != 1 || rest[0].Marked {
		t.Errorf("got flag %q and %d segments, want word 1 and one plain segment", flag, len(rest))
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	got := []string{
		lora.Bytes(512), lora.Bytes(640_000), lora.Bytes(999_950), lora.Bytes(167_800_000),
		templates.Count(0), templates.Count(1024), templates.Count(-1234567),
		templates.Took(8 * time.Millisecond), templates.Took(400 * time.Millisecond), templates.Took(26 * time.Second), templates.Took(97 * time.Second), templates.Took(2*time.Hour + 3*time.Minute + 9*time.Second),
		templates.Ago(now, now.Add(-2*time.Second)), templates.Ago(now, now.Add(-40*time.Second)), templates.Ago(now, now.Add(-5*time.Minute)), templates.Ago(now, time.Time{}),
		templates.In(now, now.Add(23001*time.Millisecond)), templates.In(now, now.Add(97*time.Second)), templates.In(now, now), templates.In(now, now.Add(-time.Hour)),
		templates.Clock(now, now.Add(-time.Hour)), templates.Clock(now, now.AddDate(0, 0, -1)),
		templates.Percent(0.375), templates.Percent(2), templates.Plural(1, "adapter"), templates.Plural(3, "adapter"),
	}
	want := []string{
		"512 B", "640.0 KB", "1.0 MB", "167.8 MB",
		"0", "1,024", "-1,234,567",
		"8 ms", "0.4 s", "26 s", "1:37", "2:03:09",
		"just now", "40 s ago", "5 min ago", "never",
		"in 24 s", "in 1:37", "now", "now",
		"11:00:00", "22 Nov 12:00",
		"37.50%", "100.00%", "1 adapter", "3 adapters",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAxisHasAFewRoundMarks(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, length := range []time.Duration{0, 700 * time.Millisecond, 9 * time.Second, 34 * time.Second, 5 * time.Minute, 3 * time.Hour, 100 * time.Hour} {
		ticks := templates.AxisFor(start, start.Add(length)).Ticks()
		if len(ticks) < 2 || len(ticks) > 10 {
			t.Errorf("%v: got %d ticks, want 2 to 10", length, len(ticks))
		}
	}
}
