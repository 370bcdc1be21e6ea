package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

// localPace is how long the local platform takes for each change of state: long enough to be seen, short enough not to wait.
const localPace = 250 * time.Millisecond

// localPlatform is the running local platform.
type localPlatform struct {
	url  string
	stop func()
}

// startLocal opens the local platform, serves it at --local-addr, and provisions a new one in the background.
func startLocal(ctx context.Context, o options, log *slog.Logger) (localPlatform, error) {
	log = log.With("part", "local platform")
	if !loopback(o.localAddr) {
		log.WarnContext(ctx, "others can reach the local platform: it verifies no signature", "addr", o.localAddr)
	}
	listener, err := net.Listen("tcp", o.localAddr)
	if err != nil {
		return localPlatform{}, lora.Wrap(err, lora.Invalid, "The local platform cannot listen on %s: %v. Name another address with --local-addr, or none.", o.localAddr, errors.Unwrap(err))
	}
	platform, err := local.Open(ctx, local.Config{
		Dir: filepath.Join(o.data, "local"), Account: o.account, Region: o.region, Hosts: o.hosts, Demo: demo.Base(), Log: log, Pace: localPace,
	})
	if err != nil {
		return localPlatform{}, errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: platform, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "stopped", "err", err)
		}
	})
	running.Go(func() {
		if err := platform.Provision(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "not provisioned; it is tried again at the next start", "err", err)
		}
	})
	return localPlatform{url: "http://" + listener.Addr().String(), stop: func() {
		cancel()
		server.Close()
		running.Wait()
		if err := platform.Close(); err != nil {
			log.WarnContext(ctx, "not closed cleanly", "err", err)
		}
	}}, nil
}
