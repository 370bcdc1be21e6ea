package handlers

import (
	_ "embed" // the description of the API
	"math"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
)

// description is the API's OpenAPI document. A test holds it against the routes and the answers.
//
//go:embed openapi.json
var description []byte

// describe gives the description.
func (h *Handlers) describe(c echo.Context) error {
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, description)
}

// beforeOf reads where a page of a list begins: below the number before, or at the newest.
func beforeOf(c echo.Context) (int64, error) {
	asked := c.QueryParam("before")
	if asked == "" {
		return math.MaxInt64, nil
	}
	before, err := strconv.ParseInt(asked, 10, 64)
	if err != nil {
		return 0, lora.Wrap(err, lora.Invalid, "%q is not a number that a list can begin before. Leave it out for the newest.", asked)
	}
	return before, nil
}

// pageOf cuts rows to one page and gives the address of the next one, "" when there is none. One row more than a page was read.
func pageOf[T any](c echo.Context, rows []T, id func(T) int64) (page []T, older string) {
	if len(rows) <= perPage {
		return rows, ""
	}
	rows = rows[:perPage]
	query := url.Values{}
	for name, values := range c.QueryParams() {
		query[name] = values
	}
	query.Set("before", strconv.FormatInt(id(rows[perPage-1]), 10))
	return rows, c.Request().URL.Path + "?" + query.Encode()
}
