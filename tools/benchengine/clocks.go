package main

import (
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// clocks are what something took: seconds on the wall, and seconds of all processors that the process had. On a machine that does other
// things too, the second tells more of what the work costs.
type clocks struct{ wall, cpu float64 }

// moment is when a measurement begins.
type moment struct {
	at  time.Time
	cpu time.Duration
}

func now() moment {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it fails for wrong arguments only
	}
	return moment{time.Now(), time.Duration(usage.Utime.Nano() + usage.Stime.Nano())}
}

// elapsed is what has passed since m.
func (m moment) elapsed() clocks {
	end := now()
	return clocks{end.at.Sub(m.at).Seconds(), (end.cpu - m.cpu).Seconds()}
}

func (c clocks) times(f float64) clocks { return clocks{c.wall * f, c.cpu * f} }

// String is the form in which the processes tell it.
func (c clocks) String() string { return fmt.Sprintf("%.9f %.9f", c.wall, c.cpu) }

func parseClocks(wall, cpu string) (c clocks, err error) {
	if c.wall, err = strconv.ParseFloat(wall, 64); err != nil {
		return c, err
	}
	c.cpu, err = strconv.ParseFloat(cpu, 64)
	return c, err
}
