// Package client speaks /api/v1 to a running dashboard: it offers an adapter from this machine, sends its files by tus 1.0,
// has it checked and deployed, and watches the job. A network that is cut or a dashboard that is restarted is waited for, within
// bounds, and nothing that has arrived is sent again.
//
// It knows no page and no rule of what an adapter is. What the dashboard refuses comes back as a lora.Error with its kind and
// its sentence.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"loradeck/internal/lora"
)

// Config is which dashboard to speak to, and how patiently.
type Config struct {
	URL   string // http://127.0.0.1:8080
	Token string // of a person in its token file; "" on loopback

	Piece    int64           // most bytes of one request, 0 for 64 MiB
	Patience time.Duration   // how long trouble may last before it is given up, 0 for 5 minutes
	Pause    time.Duration   // before trying again the first time, 0 for 250 ms; it doubles up to 10 s
	Trouble  func(err error) // is told of trouble before each pause; nil for nobody
}

const (
	longestPause = 10 * time.Second
	stall        = 2 * time.Minute // nothing moves for so long on a network that is lost
	mostAnswer   = 16 << 20        // bytes: the names of ten thousand files
)

// Client speaks to one dashboard. It is safe for concurrent use.
type Client struct {
	config  Config
	base    *url.URL
	http    *http.Client
	reached atomic.Bool // it has answered once, so that it is worth waiting for
}

// New makes a client. Its errors are of kind Invalid: an address that is none, or a token that would be sent in the clear.
func New(config Config) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(config.URL, "/"))
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "" || base.User != nil || base.RawQuery != "":
		return nil, lora.Errorf(lora.Invalid, "%q is no address of a dashboard; use the form http://127.0.0.1:8080.", config.URL)
	case config.Token != "" && base.Scheme == "http" && !thisMachine(base.Hostname()):
		return nil, lora.Errorf(lora.Invalid, "The token would go to %s unencrypted. Use its https address; http is for this machine only.", base.Hostname())
	case strings.ContainsAny(config.Token, " \t\r\n"):
		return nil, lora.Errorf(lora.Invalid, "The token has white space in it. Use the third word of your line in the token file.")
	}
	if config.Piece == 0 {
		config.Piece = 64 << 20
	}
	if config.Patience == 0 {
		config.Patience = 5 * time.Minute
	}
	if config.Pause == 0 {
		config.Pause = 250 * time.Millisecond
	}
	if config.Trouble == nil {
		config.Trouble = func(error) {}
	}
	return &Client{config: config, base: base, http: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
			ResponseHeaderTimeout: stall, ExpectContinueTimeout: time.Second, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}}, nil
}

func thisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Link gives the full address of a page, as answers name it.
func (c *Client) Link(page string) string { return c.base.String() + page }

// request makes a request; path is as the API gives it, from the root.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if c.config.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.config.Token)
	}
	return r, nil
}

// send sends a request. No answer is an error of kind Unavailable.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	response, err := c.http.Do(r)
	if err != nil {
		if cause := context.Cause(r.Context()); cause != nil {
			err = cause
		}
		return nil, lora.Wrap(err, lora.Unavailable, "No dashboard answers at %s. Start it, or name its address with --url.", c.base)
	}
	c.reached.Store(true)
	return response, nil
}

// ask sends JSON, nil for none, until it is answered, and reads the answer into value. What it asks for must be the same when
// it is asked twice.
func (c *Client) ask(ctx context.Context, method, path string, body, value any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	once := func() error {
		r, err := c.request(ctx, method, path, nil)
		if err != nil {
			return err
		}
		if body != nil {
			r.Header.Set("Content-Type", "application/json")
			r.ContentLength, r.Body = int64(len(text)), io.NopCloser(bytes.NewReader(text))
		}
		response, err := c.send(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode/100 != 2 {
			return c.refusal(response)
		}
		if err := json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(value); err != nil {
			return lora.Wrap(err, lora.Unavailable, "The answer of %s broke off or is not a dashboard's.", c.base)
		}
		return nil
	}
	trouble := c.patience()
	for {
		err := once()
		if err == nil {
			return nil
		}
		if err := trouble.again(ctx, err); err != nil {
			return err
		}
	}
}

// refusal reads an error that the dashboard, or something before it, answers with.
func (c *Client) refusal(response *http.Response) error {
	var told struct {
		Error struct {
			Kind    lora.Kind `json:"kind"`
			Message string    `json:"message"`
		} `json:"error"`
	}
	err := json.NewDecoder(io.LimitReader(response.Body, mostAnswer)).Decode(&told)
	if err == nil && told.Error.Message != "" {
		return lora.Errorf(told.Error.Kind, "%s", told.Error.Message)
	}
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return lora.Errorf(lora.Unavailable, "%s answers %s.", c.base, response.Status)
	}
	return lora.Errorf(lora.NotFound, "%s answers %s, which no dashboard would. Look at --url.", c.base, response.Status)
}

// patience bounds how long one thing is tried again.
type patience struct {
	client *Client
	since  time.Time // zero while there is no trouble
	pause  time.Duration
}

func (c *Client) patience() *patience { return &patience{client: c} }

// moved ends the trouble there was.
func (p *patience) moved() { p.since = time.Time{} }

// again waits before the next try, or says that there is none: the trouble will not pass, has lasted too long, or nothing was
// ever there.
func (p *patience) again(ctx context.Context, trouble error) error {
	now := time.Now()
	if p.since.IsZero() {
		p.since, p.pause = now, p.client.config.Pause
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !lora.Temporary(trouble) || !p.client.reached.Load() || now.Sub(p.since) > p.client.config.Patience:
		return trouble
	}
	p.client.config.Trouble(trouble)
	// Up to a quarter more, so that many that were cut off together do not come back together.
	timer := time.NewTimer(p.pause + rand.N(p.pause/4+1))
	defer timer.Stop()
	p.pause = min(2*p.pause, longestPause)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// guarded gives a context that ends when nothing has moved for a while: call moved whenever something does.
func guarded(ctx context.Context) (guarded context.Context, moved, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(stall, func() { cancel(fmt.Errorf("nothing moved for %s", stall)) })
	return ctx, func() { timer.Reset(stall) }, func() {
		timer.Stop()
		cancel(nil)
	}
}
