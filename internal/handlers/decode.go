package handlers

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"loradeck/internal/lora"
)

// decode reads a request's JSON into value. A member that value does not have is refused by name: a misspelt one would
// otherwise be ignored without a word.
func decode(c echo.Context, value any) error {
	if kind, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return status(http.StatusUnsupportedMediaType, lora.Errorf(lora.Invalid, "Send JSON, with the header Content-Type: application/json."))
	}
	body := json.NewDecoder(c.Request().Body)
	body.DisallowUnknownFields()
	err := body.Decode(value)
	if err == nil {
		_, err = body.Token()
		if err == nil {
			return lora.Errorf(lora.Invalid, "There is more after the JSON object. Send one object.")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return err
	}
	return lora.Wrap(err, lora.Invalid, "The JSON cannot be read: %s.", strings.TrimPrefix(err.Error(), "json: "))
}
