package templates

import (
	"strconv"
	"time"
)

// TimeAxis places moments on an axis that begins at Start and is Length long.
type TimeAxis struct {
	Start  time.Time
	Length time.Duration
}

// AxisFor gives an axis that holds everything from start to end, with some room to the right.
func AxisFor(start, end time.Time) TimeAxis {
	length := end.Sub(start)
	return TimeAxis{Start: start, Length: max(length+length/10, time.Second)}
}

// At gives the place of a moment as an SVG length.
func (a TimeAxis) At(t time.Time) string {
	return Percent(float64(t.Sub(a.Start)) / float64(a.Length))
}

// Width gives the length of a span of time as an SVG length that can always be seen.
func (a TimeAxis) Width(d time.Duration) string {
	return Percent(max(float64(d)/float64(a.Length), 0.004))
}

// Ticks gives four to eight marks at round times.
func (a TimeAxis) Ticks() []Tick {
	steps := []time.Duration{
		200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour,
	}
	step := 24 * time.Hour
	for _, s := range steps {
		if a.Length/s < 8 {
			step = s
			break
		}
	}
	var ticks []Tick
	for at := time.Duration(0); at < a.Length && len(ticks) < 10; at += step {
		text := Took(at)
		if at%time.Second == 0 && at < time.Minute {
			text = strconv.Itoa(int(at/time.Second)) + " s"
		}
		ticks = append(ticks, Tick{X: a.At(a.Start.Add(at)), Text: text})
	}
	return ticks
}
