package handlers

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"
)

// gains is the size from which compressing an answer is worth it: less than this fits one packet anyway.
const gains = 1400

// render writes a page. It is rendered in full first, so that a failure half-way becomes an error page and not half a page.
// Pages are never kept by browsers or proxies: what they show is only true now.
func (h *Handlers) render(c echo.Context, status int, page templ.Component) error {
	var plain bytes.Buffer
	if err := page.Render(c.Request().Context(), &plain); err != nil {
		return fmt.Errorf("render %s: %w", c.Path(), err)
	}
	header := c.Response().Header()
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept-Encoding")
	body := plain.Bytes()
	if len(body) > gains && strings.Contains(c.Request().Header.Get("Accept-Encoding"), "gzip") {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(body); err != nil {
			return fmt.Errorf("compress %s: %w", c.Path(), err)
		}
		if err := w.Close(); err != nil {
			return fmt.Errorf("compress %s: %w", c.Path(), err)
		}
		header.Set("Content-Encoding", "gzip")
		body = packed.Bytes()
	}
	return c.Blob(status, "text/html; charset=utf-8", body)
}

// see sends the browser on to a page after something was done.
func see(c echo.Context, address string) error { return c.Redirect(http.StatusSeeOther, address) }
