package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// statusOf is the one table from kinds of error to HTTP statuses, with the title of the page that tells of it.
func statusOf(kind lora.Kind) (status int, title string) {
	switch kind {
	case lora.Invalid:
		return http.StatusUnprocessableEntity, "That does not work"
	case lora.Unauthorized:
		return http.StatusUnauthorized, "Please sign in"
	case lora.Forbidden:
		return http.StatusForbidden, "Not allowed"
	case lora.NotFound:
		return http.StatusNotFound, "Not here"
	case lora.Conflict:
		return http.StatusConflict, "Not now"
	case lora.TooLarge:
		return http.StatusRequestEntityTooLarge, "Too large"
	case lora.Limit:
		return http.StatusUnprocessableEntity, "No room"
	case lora.Throttled:
		return http.StatusTooManyRequests, "Asked too often"
	case lora.Unavailable:
		return http.StatusServiceUnavailable, "No answer"
	}
	return http.StatusInternalServerError, "Our fault"
}

// statused is an error that a protocol gives a status of its own.
type statused struct {
	code int
	error
}

// Unwrap gives the error.
func (s statused) Unwrap() error { return s.error }

// status answers err with a status that the table does not give its kind.
func status(code int, err error) error { return statused{code, err} }

// fault is the one shape of an error for programs.
type fault struct {
	Error struct {
		Kind    lora.Kind `json:"kind"`
		Message string    `json:"message"`
	} `json:"error"`
}

// forPrograms reports whether a request is the API's: its errors are JSON, and it is never sent to a login page.
func forPrograms(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// fail is the one exit of every error: it logs what nobody could have expected and shows the rest as a page, or as JSON to a
// program.
func (h *Handlers) fail(err error, c echo.Context) {
	ctx := c.Request().Context()
	if c.Response().Committed || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return // nobody is there to be told
	}
	err = known(err, forPrograms(c.Request()))
	status, title := statusOf(lora.KindOf(err))
	var own statused
	if errors.As(err, &own) {
		status = own.code
	}
	if status >= http.StatusInternalServerError {
		h.Log.ErrorContext(ctx, "request failed", "method", c.Request().Method, "route", c.Path(), "err", err)
	}
	if forPrograms(c.Request()) {
		if status == http.StatusUnauthorized {
			c.Response().Header().Set("WWW-Authenticate", "Bearer")
		}
		var f fault
		f.Error.Kind, f.Error.Message = lora.KindOf(err), lora.Message(err)
		if err := c.JSON(status, f); err != nil {
			h.Log.WarnContext(ctx, "error could not be answered", "err", err)
		}
		return
	}
	shell := h.bareShell(title)
	if person(c).Name != "" {
		if full, shellErr := h.shell(c, title, "", ""); shellErr == nil {
			shell = full
		}
	}
	back := templates.Link{Href: "/", Text: "Go to the deck"}
	if status == http.StatusUnauthorized {
		back = templates.Link{Href: "/login", Text: "Sign in"}
	}
	fault := templates.Fault{Icons: shell.Assets.Icons, Status: status, Title: title, Message: lora.Message(err), Back: back}
	if err := h.render(c, status, templates.FaultPage(shell, fault)); err != nil {
		h.Log.ErrorContext(ctx, "error page could not be shown", "err", err)
	}
}

// known turns the router's and the standard library's errors into ours, in words for a program or for whoever sees a page.
func known(err error, program bool) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return lora.Wrap(err, lora.TooLarge, "That is more than %d KiB. Send less.", big.Limit>>10)
	}
	var http404 *echo.HTTPError
	if !errors.As(err, &http404) {
		return err
	}
	switch {
	case program && http404.Code == http.StatusNotFound:
		return lora.Wrap(err, lora.NotFound, "The API has no such address. GET /api/v1/openapi.json describes the ones it has.")
	case program && http404.Code == http.StatusMethodNotAllowed:
		return status(http.StatusMethodNotAllowed, lora.Wrap(err, lora.Invalid, "This address does not take that method. GET /api/v1/openapi.json describes the ones it takes."))
	}
	switch http404.Code {
	case http.StatusNotFound:
		return lora.Wrap(err, lora.NotFound, "There is no such page. Start from the deck.")
	case http.StatusMethodNotAllowed:
		return lora.Wrap(err, lora.NotFound, "This address does not do that. Start from the deck.")
	case http.StatusBadRequest:
		return lora.Wrap(err, lora.Invalid, "The form could not be read. Go back and send it again.")
	}
	return err
}
