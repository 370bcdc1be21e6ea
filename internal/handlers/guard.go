package handlers

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
	"loradeck/internal/people"
	"loradeck/web/static"
)

// policy lets a page load its own files and nothing else: no inline script or style, no foreign address, no frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// mostForm bounds the body of a form: the longest prompt the playground takes, twice over for its encoding.
const mostForm = 512 << 10

// mostJSON bounds what a program sends besides the bytes of files: the names of ten thousand of them.
const mostJSON = 4 << 20

const personKey = "person"

// recovered turns a panic of a handler into an internal error; the server goes on for everybody else.
func (h *Handlers) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("handler panicked: %v\n%s", r, debug.Stack())
			}
		}()
		return next(c)
	}
}

// headers are on every answer, errors included.
func (h *Handlers) headers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		if forPrograms(c.Request()) {
			header.Set("Cache-Control", "no-store") // an answer is only true now
		}
		if h.secure(c) {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}

// secure reports whether the browser spoke TLS.
func (h *Handlers) secure(c echo.Context) bool { return h.BehindProxy || c.Request().TLS != nil }

// guard lets a request through that names this server, comes from its own pages when it changes something, and is from a
// person who may do what it asks.
func (h *Handlers) guard(next echo.HandlerFunc) echo.HandlerFunc {
	origins := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		r := c.Request()
		if !h.knownHost(r.Host) {
			return lora.Errorf(lora.Forbidden, "This dashboard does not go by the name %q. Whoever runs it can add the name with --host.", r.Host)
		}
		if err := origins.Check(r); err != nil {
			return lora.Wrap(err, lora.Forbidden, "This request came from another site, so nothing was done. Open the dashboard itself and try again.")
		}
		if r.Method == http.MethodPost {
			most := int64(mostForm)
			if forPrograms(r) {
				most = mostJSON
			}
			r.Body = http.MaxBytesReader(c.Response(), r.Body, most)
		}
		if open(r.URL.Path) {
			return next(c)
		}
		person, known := h.Gate.Who(r)
		if !known && r.Method == http.MethodGet && r.URL.Path != "/live" && !forPrograms(r) {
			return c.Redirect(http.StatusSeeOther, "/login?next="+url.QueryEscape(r.URL.RequestURI()))
		}
		if !known && forPrograms(r) {
			return lora.Errorf(lora.Unauthorized, "Nobody is known by this request, so nothing was done. Send a token of the token file as Authorization: Bearer TOKEN.")
		}
		if !known {
			return lora.Errorf(lora.Unauthorized, "You are not signed in, so nothing was done. Sign in and try again.")
		}
		c.Set(personKey, person) // before a refusal, so that its page has the bar and the way out
		if !safe(r.Method) && !person.Role.May(people.Ship) {
			return lora.Errorf(lora.Forbidden, "Your role may look but not change anything. Ask for the role ship in the token file.")
		}
		return next(c)
	}
}

// safe reports whether a method only looks.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// open reports whether a path needs no login.
func open(path string) bool {
	return slices.Contains([]string{"/healthz", "/login", "/logout", "/favicon.ico"}, path) || strings.HasPrefix(path, static.Prefix)
}

// knownHost reports whether the Host header names this server. Loopback always does; a page of another site that makes its
// own name resolve to loopback does not.
func (h *Handlers) knownHost(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if name == "localhost" || slices.ContainsFunc(h.Hosts, func(allowed string) bool { return strings.EqualFold(allowed, name) }) {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// person is who sent the request; the zero Person on pages that need no login.
func person(c echo.Context) people.Person {
	p, _ := c.Get(personKey).(people.Person)
	return p
}
