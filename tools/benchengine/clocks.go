package main

import (
	"fmt"
	"strconv"
	"syscall"
	"time"
)

// clocks are two readings, or what lies between two: seconds on the wall, and seconds of all processors that the process had. On a machine
// that does other things too, the second tells more of what the work costs.
type clocks struct{ wall, cpu float64 }

var processStart = time.Now()

func readClocks() clocks {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it fails for wrong arguments only
	}
	return clocks{time.Since(processStart).Seconds(), time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()}
}

func (c clocks) elapsed() clocks {
	now := readClocks()
	return clocks{now.wall - c.wall, now.cpu - c.cpu}
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
