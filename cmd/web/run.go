package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"sync"
	"time"

	"loradeck/internal/cloud"
	"loradeck/internal/compare"
	"loradeck/internal/db"
	"loradeck/internal/handlers"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/levers"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/people"
	"loradeck/internal/spool"
	"loradeck/internal/sqlite"
	"loradeck/internal/watch"
)

// version is set by the build.
var version = "unknown"

// shutdownLimit is how long open requests may take to end after the program was asked to stop.
const shutdownLimit = 10 * time.Second

// run is the program. It returns when ctx ends and everything has stopped in order, or at once with what is wrong.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, getenv)
	if errors.Is(err, errHelp) {
		printUsage(stdout)
		return nil
	}
	if err != nil {
		return err
	}
	switch o.command {
	case "version":
		fmt.Fprintln(stdout, "loradeck", version)
		return nil
	case "health":
		return checkHealth(ctx, o)
	case "push":
		return push(ctx, o.push, stdout, stderr)
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return lora.Wrap(err, lora.Invalid, "The data folder %s cannot be made. Name one that can be written with --data.", o.data)
	}
	unlock, err := sqlite.Lock(o.data)
	if err != nil {
		return err
	}
	defer unlock()
	if o.command == "local" {
		return serveLocal(ctx, o, stdout, log)
	}
	return serveDeck(ctx, o, stdout, log)
}

// serveLocal runs the local platform alone.
func serveLocal(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) error {
	platform, err := startLocal(ctx, o, log)
	if err != nil {
		return err
	}
	defer platform.stop()
	fmt.Fprintln(stdout, "AWS endpoint ", platform.url)
	<-ctx.Done()
	return nil
}

// deck is everything of a running dashboard that must be stopped, in the order it was started.
type deck struct {
	stops []func()
}

func (d *deck) onStop(stop func()) { d.stops = append(d.stops, stop) }

func (d *deck) stop() {
	for i := len(d.stops) - 1; i >= 0; i-- {
		d.stops[i]()
	}
}

// serveDeck runs the dashboard, and the local platform unless it is turned off.
func serveDeck(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) error {
	var d deck
	defer d.stop()

	database, err := db.Open(ctx, filepath.Join(o.data, "loradeck.db"))
	if err != nil {
		return err
	}
	d.onStop(func() { database.Close() })
	files, err := spool.Open(filepath.Join(o.data, "spool"))
	if err != nil {
		return err
	}
	d.onStop(func() { files.Close() })

	gate, err := openGate(o, stdout)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return lora.Wrap(err, lora.Invalid, "Nothing can listen on %s: %v. Name another address with --addr.", o.addr, errors.Unwrap(err))
	}
	d.onStop(func() { listener.Close() })

	places := map[string]*cloud.Place{}
	local := ""
	if o.localAddr != "none" {
		platform, err := startLocal(ctx, o, log)
		if err != nil {
			return err
		}
		d.onStop(platform.stop)
		place, err := cloud.Open(ctx, cloud.Config{
			Name: "local", Region: o.region, Endpoint: platform.url, AccessKey: "local", SecretKey: "local", Local: true,
		})
		if err != nil {
			return fmt.Errorf("reach the local platform: %w", err)
		}
		local = platform.url
		places[place.Identity().ID] = place
	}
	if err := openPlaces(ctx, o.aws, places); err != nil {
		return err
	}
	if len(places) == 0 {
		return lora.Errorf(lora.Invalid, "There is no place to look at: --local-addr is none and no --aws is given. Leave the local platform on or name a region.")
	}
	if err := d.start(ctx, o, places, local, database, files, gate, listener, log); err != nil {
		return err
	}
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	fmt.Fprintf(stdout, "dashboard     %s://%s\n", scheme, listener.Addr())
	if local != "" {
		fmt.Fprintf(stdout, "AWS endpoint  %s\n", local)
	}
	<-ctx.Done()
	return nil
}

// start wires the rooms and starts what runs by itself. What was started last stops first: pages, then comparisons and
// jobs, then the watchers. Local is the local platform's address, "" for none.
func (d *deck) start(ctx context.Context, o options, places map[string]*cloud.Place, local string, database *db.DB, files *spool.Spool, gate *people.Gate, listener net.Listener, log *slog.Logger) error {
	hub := live.New()
	watchers := map[string]*watch.Watcher{}
	speakers := map[string]compare.Speaker{}
	for id, place := range places {
		who := place.Identity()
		err := database.Write(ctx, func(q *db.Queries) error {
			return q.PutPlace(ctx, db.PutPlaceParams{
				ID: who.ID, Name: who.Name, Account: who.Account, Region: who.Region, Local: asInt(who.Local), Bucket: "loradeck-" + who.Account + "-" + who.Region,
			})
		})
		if err != nil {
			return fmt.Errorf("store place %s: %w", who.Name, err)
		}
		watchers[id] = watch.New(place, database, hub, log)
		speakers[id] = place
	}
	heard := func(ctx context.Context, id, base, component string, answer error) {
		if w, there := watchers[id]; there {
			w.Heard(ctx, base, component, answer)
		}
	}
	board, err := compare.New(ctx, compare.Config{DB: database, Hub: hub, Log: log, Places: speakers, Heard: heard})
	if err != nil {
		return err
	}
	ended, err := d.startHook(ctx, o, database, hub, listener.Addr(), log)
	if err != nil {
		return err
	}
	work := jobs.New(jobs.Config{DB: database, Spool: files, Hub: hub, Log: log, Places: places, Ended: ended, Heard: heard, Moved: func(id string) {
		if w, there := watchers[id]; there {
			w.Poke()
		}
	}})

	desk := intake.New(intake.Config{DB: database, Spool: files, Hub: hub, Log: log, Budget: o.uploadBudget, KeepFor: o.uploadKeep})
	d.onStop(desk.Close)
	d.background(ctx, desk.Run)
	for _, w := range watchers {
		d.background(ctx, func(ctx context.Context) { w.Run(ctx) })
	}
	d.background(ctx, func(ctx context.Context) {
		if err := work.Run(ctx); err != nil {
			log.ErrorContext(ctx, "jobs stopped", "err", err)
		}
	})
	d.onStop(board.Close)

	var panel *levers.Panel
	if local != "" {
		panel = levers.NewPanel(levers.New(local), hub)
		d.background(ctx, panel.Run)
	}
	pages := handlers.New(handlers.Deps{
		DB: database, Hub: hub, Jobs: work, Desk: desk, Board: board, Gate: gate, Levers: panel, Log: log, Samples: samples(),
		Hosts: o.hosts, BehindProxy: o.behindProxy, Version: version,
	})
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	go func() {
		var err error
		if o.tlsCert != "" {
			err = server.ServeTLS(listener, o.tlsCert, o.tlsKey)
		} else {
			err = server.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			log.Error("dashboard stopped", "err", err)
		}
	}()
	d.onStop(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
		defer cancel()
		if err := pages.Close(ctx); err != nil { // Shutdown would not end the sockets
			log.Warn("some sockets did not close", "err", err)
		}
		hub.Close()
		if err := server.Shutdown(ctx); err != nil {
			server.Close()
		}
	})
	return nil
}

// background runs something until the deck stops, and makes the stop wait for it.
func (d *deck) background(ctx context.Context, run func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() { run(ctx) })
	d.onStop(func() { cancel(); done.Wait() })
}

// openGate says who may come in: on loopback the system's user, elsewhere the people of the token file.
func openGate(o options, stdout io.Writer) (*people.Gate, error) {
	if o.tokenFile == "" {
		name := ""
		if me, err := user.Current(); err == nil {
			name = me.Username
		}
		return people.Alone(name), nil
	}
	if o.makeToken {
		made, err := people.MakeFile(o.tokenFile)
		if err != nil {
			return nil, err
		}
		if made {
			fmt.Fprintf(stdout, "token file    %s (made now; it holds the first admin's token)\n", o.tokenFile)
		}
	}
	key, err := people.Key(filepath.Join(o.data, "session.key"))
	if err != nil {
		return nil, err
	}
	return people.FromFile(o.tokenFile, key, time.Now)
}

func asInt(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
