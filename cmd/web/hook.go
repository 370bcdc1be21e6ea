package main

import (
	"context"
	"log/slog"
	"net"

	"loradeck/internal/db"
	"loradeck/internal/hook"
	"loradeck/internal/live"
)

// ender is told of the end of a job in the transaction that stores it.
type ender func(ctx context.Context, q *db.Queries, job db.Job) error

// startHook starts what sends events to the webhook, and gives what stores them; nil when no webhook was asked for.
func (d *deck) startHook(ctx context.Context, o options, database *db.DB, hub *live.Hub, at net.Addr, log *slog.Logger) (ender, error) {
	if o.webhook == "" {
		return nil, nil
	}
	secret := o.webhookSecret
	if o.webhookSecretFile != "" {
		var err error
		if secret, err = hook.ReadSecret(o.webhookSecretFile); err != nil {
			return nil, err
		}
	}
	h, err := hook.New(hook.Config{DB: database, Hub: hub, Log: log, URL: o.webhook, Secret: secret, Deck: deckURL(o, at)})
	if err != nil {
		return nil, err
	}
	d.background(ctx, h.Run)
	return h.Ended, nil
}

// deckURL is where browsers find the dashboard that listens at the given address: by the first of its names, or on loopback.
func deckURL(o options, at net.Addr) string {
	host, scheme := at.String(), "http"
	if o.tlsCert != "" || o.behindProxy {
		scheme = "https"
	}
	if len(o.hosts) > 0 {
		host = o.hosts[0]
		if _, port, err := net.SplitHostPort(at.String()); err == nil && !o.behindProxy {
			host = net.JoinHostPort(host, port)
		}
	}
	return scheme + "://" + host
}
