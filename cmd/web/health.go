package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"loradeck/internal/lora"
)

// checkHealth asks the dashboard of these options whether it answers. It speaks to this machine only, so with TLS it does
// not insist that the certificate names it.
func checkHealth(ctx context.Context, o options) error {
	host, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return fmt.Errorf("health of %s: %w", o.addr, err)
	}
	switch host {
	case "", "0.0.0.0", "::":
		host = "127.0.0.1"
	}
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	client := http.Client{
		Timeout:   3 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("health of %s: %w", o.addr, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return lora.Wrap(err, lora.Unavailable, "No dashboard answers at %s.", o.addr)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return lora.Errorf(lora.Unavailable, "The dashboard at %s answers %s.", o.addr, response.Status)
	}
	return nil
}
