package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"loradeck/internal/local"
	"loradeck/internal/local/demo"
	"loradeck/internal/lora"
)

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
	url, hosts := reach(listener.Addr(), o)
	platform, err := local.Open(ctx, local.Config{
		Dir: filepath.Join(o.data, "local"), Account: o.account, Region: o.region, Hosts: hosts, Demo: demo.Base(), Bases: o.localBases(), Log: log, Pace: o.pace,
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
	return localPlatform{url: url, stop: func() {
		cancel()
		server.Close()
		running.Wait()
		if err := platform.Close(); err != nil {
			log.WarnContext(ctx, "not closed cleanly", "err", err)
		}
	}}, nil
}

// reach gives the address to call the local platform by, and the host names beside loopback's under which it may be called.
// On loopback there are none: whoever listens elsewhere has asked for it by --local-addr, and names hosts with --host.
func reach(listening net.Addr, o options) (url string, hosts []string) {
	at, ok := listening.(*net.TCPAddr)
	if !ok || at.IP.IsLoopback() {
		return "http://" + listening.String(), nil
	}
	port := strconv.Itoa(at.Port)
	hosts = slices.Clone(o.hosts)
	if at.IP.IsUnspecified() { // every address of this machine: loopback is one
		return "http://" + net.JoinHostPort("127.0.0.1", port), hosts
	}
	hosts = append(hosts, at.IP.String())
	if host, _, err := net.SplitHostPort(o.localAddr); err == nil {
		hosts = append(hosts, strings.ToLower(host)) // it may be a name
	}
	return "http://" + net.JoinHostPort(at.IP.String(), port), hosts
}
