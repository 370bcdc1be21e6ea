package handlers

import "github.com/labstack/echo/v4"

// Routes gives every route, for the test that holds them against the API's description.
func (h *Handlers) Routes() []*echo.Route { return h.echo.Routes() }
