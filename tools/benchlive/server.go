package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/handlers"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/live"
	"loradeck/internal/people"
	"loradeck/internal/spool"
)

// saying is how many jobs run at once; the sockets are spread over their pages.
const saying = 4

// serve runs the dashboard, and jobs that say the time rate times a second, once "go" comes on stdin. It prints its address,
// and in the end what it used.
func serve(seconds, rate int) error {
	dir, err := os.MkdirTemp("", "benchlive")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	database, err := db.Open(ctx, filepath.Join(dir, "loradeck.db"))
	if err != nil {
		return err
	}
	defer database.Close()
	hub, log := live.New(), slog.New(slog.NewTextHandler(io.Discard, nil))
	runner := journal.New(journal.Config{DB: database, Hub: hub, Log: log, Kinds: []journal.Kind{{Name: "say", Steps: []journal.Step{{Name: "say", Do: say(seconds, rate)}}}}})
	err = database.Write(ctx, func(q *db.Queries) error {
		if err := q.PutPlace(ctx, db.PutPlaceParams{ID: "p", Name: "bench"}); err != nil {
			return err
		}
		for n := range saying {
			if _, err := runner.Add(ctx, q, journal.NewJob{Kind: "say", Title: "Say " + strconv.Itoa(n), Claim: strconv.Itoa(n), PlaceID: "p"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	pages, err := dashboard(ctx, dir, database, hub, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: pages}
	go server.Serve(listener)
	defer server.Close()
	fmt.Println(listener.Addr())

	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	before, began := cpu(), time.Now()
	go runner.Run(ctx)
	for moving := true; moving; {
		time.Sleep(50 * time.Millisecond)
		active, err := database.Read().ActiveJobs(ctx)
		if err != nil {
			return err
		}
		moving = len(active) > 0
	}
	time.Sleep(2 * time.Second) // the last frames arrive
	return json.NewEncoder(os.Stdout).Encode(usage{CPU: cpu() - before, RSS: rss(), Seconds: time.Since(began).Seconds()})
}

// say makes a step that notes the time, so that the frames of its job's page carry it.
func say(seconds, rate int) func(ctx context.Context, run *journal.Run) error {
	return func(ctx context.Context, run *journal.Run) error {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := seconds * rate; n >= 0; n-- {
			if err := run.Note(ctx, "stamp:%d:%d:", time.Now().UnixNano(), n); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		run.Done(nil, "stamp:%d:0:", time.Now().UnixNano())
		return nil
	}
}

func dashboard(ctx context.Context, dir string, database *db.DB, hub *live.Hub, log *slog.Logger) (http.Handler, error) {
	files, err := spool.Open(filepath.Join(dir, "spool"))
	if err != nil {
		return nil, err
	}
	board, err := compare.New(ctx, compare.Config{DB: database, Hub: hub, Log: log})
	if err != nil {
		return nil, err
	}
	return handlers.New(handlers.Deps{
		DB: database, Hub: hub, Board: board, Gate: people.Alone("bench"), Log: log, Version: "bench",
		Desk: intake.New(intake.Config{DB: database, Spool: files, Hub: hub, Log: log}), Jobs: jobs.New(jobs.Config{DB: database, Spool: files, Hub: hub, Log: log}),
	}), nil
}

// cpu gives the seconds of processor time this process has used.
func cpu() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(used.Utime) + seconds(used.Stime)
}

// rss gives the bytes of memory this process holds now, 0 where /proc is not there.
func rss() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
