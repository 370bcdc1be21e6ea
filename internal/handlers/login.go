package handlers

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// login asks for a token, or sends on who needs none.
func (h *Handlers) login(c echo.Context) error {
	next := within(c.QueryParam("next"))
	if _, known := h.Gate.Who(c.Request()); known {
		return see(c, next)
	}
	return h.showLogin(c, http.StatusOK, next, "")
}

func (h *Handlers) showLogin(c echo.Context, status int, next, wrong string) error {
	shell := h.bareShell("Sign in")
	return h.render(c, status, templates.LoginPage(shell, templates.Login{Icons: shell.Assets.Icons, Next: next, Wrong: wrong}))
}

// signIn takes the token out of the form's body: it is never part of an address or a log line.
func (h *Handlers) signIn(c echo.Context) error {
	next := within(c.FormValue("next"))
	if h.Gate.Open() {
		return see(c, next)
	}
	cookie, err := h.Gate.Login(c.FormValue("token"), h.secure(c))
	if lora.KindOf(err) == lora.Unauthorized {
		return h.showLogin(c, http.StatusUnauthorized, next, lora.Message(err))
	}
	if err != nil {
		return err
	}
	c.SetCookie(cookie)
	return see(c, next)
}

func (h *Handlers) signOut(c echo.Context) error {
	c.SetCookie(h.Gate.Logout())
	return see(c, "/login")
}

// within keeps an address on this server: a path and nothing that a browser would read as another host.
func within(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") || strings.HasPrefix(next, "/login") {
		return "/"
	}
	return next
}
