package handlers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/intake"
	"loradeck/internal/lora"
)

// The upload protocol is tus 1.0 with its extensions creation and termination (https://tus.io/protocols/resumable-upload). A
// file is created by offering its upload (offers.go) and may be "created" again here by its path, as plain tus clients do.
const (
	tusVersion    = "1.0.0"
	tusExtensions = "creation,termination"
	tusType       = "application/offset+octet-stream"
)

// tus checks what the protocol asks of every request and answers in its version.
func tus(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		header := c.Response().Header()
		header.Set("Tus-Resumable", tusVersion)
		if c.Request().Method != http.MethodOptions && c.Request().Header.Get("Tus-Resumable") != tusVersion {
			header.Set("Tus-Version", tusVersion)
			return status(http.StatusPreconditionFailed, lora.Errorf(lora.Invalid, "Send the header Tus-Resumable: %s.", tusVersion))
		}
		return next(c)
	}
}

// tusOptions says what the server can do.
func (h *Handlers) tusOptions(c echo.Context) error {
	header := c.Response().Header()
	header.Set("Tus-Version", tusVersion)
	header.Set("Tus-Extension", tusExtensions)
	return c.NoContent(http.StatusNoContent)
}

// tusCreate gives the address of a file of the upload: the one with the path that the metadata names, or the only one to send.
func (h *Handlers) tusCreate(c echo.Context) error {
	id, err := pathID(c, "upload")
	if err != nil {
		return err
	}
	length, err := strconv.ParseInt(c.Request().Header.Get("Upload-Length"), 10, 64)
	if err != nil || length < 0 {
		return status(http.StatusBadRequest, lora.Errorf(lora.Invalid, "Send the file's size in bytes as Upload-Length; it must be known before the first byte."))
	}
	named, err := tusMetadata(c.Request().Header.Get("Upload-Metadata"))
	if err != nil {
		return err
	}
	u, err := h.Desk.Find(c.Request().Context(), id)
	if err != nil {
		return err
	}
	files := slices.DeleteFunc(u.Files, func(f intake.File) bool {
		return !f.Keep || (named["path"] != "" && f.Path != named["path"])
	})
	if len(files) != 1 {
		return lora.Errorf(lora.NotFound, "Name one of the upload's files as path in Upload-Metadata. GET /api/v1/uploads/%d lists them.", id)
	}
	if files[0].Size != length {
		return lora.Errorf(lora.Conflict, "%s was offered with %d bytes, not %d. Offer the upload again.", files[0].Path, files[0].Size, length)
	}
	c.Response().Header().Set("Location", filePath(id, files[0].N))
	return c.NoContent(http.StatusCreated)
}

// tusMetadata reads "key base64,key base64".
func tusMetadata(header string) (map[string]string, error) {
	values := map[string]string{}
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, lora.Wrap(err, lora.Invalid, "Upload-Metadata has a value for %q that is no base64.", key)
		}
		values[key] = string(value)
	}
	return values, nil
}

// tusOffset says how much of a file is here.
func (h *Handlers) tusOffset(c echo.Context) error {
	id, n, err := fileID(c)
	if err != nil {
		return err
	}
	offset, size, err := h.Desk.Offset(c.Request().Context(), id, n)
	if err != nil {
		return tusTrouble(err)
	}
	c.Response().Header().Set("Upload-Offset", strconv.FormatInt(offset, 10))
	c.Response().Header().Set("Upload-Length", strconv.FormatInt(size, 10))
	return c.NoContent(http.StatusOK)
}

// tusAppend takes a piece of a file. Whatever arrives before the connection breaks is kept.
func (h *Handlers) tusAppend(c echo.Context) error {
	id, n, err := fileID(c)
	if err != nil {
		return err
	}
	r := c.Request()
	if kind := r.Header.Get("Content-Type"); kind != tusType {
		return status(http.StatusUnsupportedMediaType, lora.Errorf(lora.Invalid, "Send the piece as %s, not %q.", tusType, kind))
	}
	offset, err := strconv.ParseInt(r.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || offset < 0 {
		return status(http.StatusBadRequest, lora.Errorf(lora.Invalid, "Send where the piece begins as Upload-Offset. HEAD on this address gives it."))
	}
	connection := http.NewResponseController(c.Response())
	var left atomic.Bool
	end, err := h.Desk.Append(r.Context(), id, n, offset, r.Body, func() {
		left.Store(true)
		_ = connection.SetReadDeadline(time.Now()) // a reader that waits for bytes has no other ear
	})
	if left.Load() {
		c.Response().Header().Set("Connection", "close") // its deadline has passed for the next request too
	}
	if err != nil {
		return tusTrouble(err)
	}
	c.Response().Header().Set("Upload-Offset", strconv.FormatInt(end, 10))
	return c.NoContent(http.StatusNoContent)
}

// tusEnd ends the whole upload: an adapter that lacks a file is none.
func (h *Handlers) tusEnd(c echo.Context) error {
	id, _, err := fileID(c)
	if err != nil {
		return err
	}
	if err := h.Desk.Discard(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// tusTrouble gives the statuses by which tus clients tell what to do: ask for the offset again, wait, or give up.
func tusTrouble(err error) error {
	switch {
	case errors.Is(err, intake.ErrOffset):
		return status(http.StatusConflict, lora.Wrap(err, lora.Conflict, "The file does not end there. HEAD on this address gives where it does."))
	case errors.Is(err, intake.ErrLocked):
		return status(http.StatusLocked, lora.Wrap(err, lora.Conflict, "Another request is writing this file. Try again in a moment."))
	case errors.Is(err, context.Canceled):
		return err
	case lora.KindOf(err) == lora.Limit:
		return status(http.StatusInsufficientStorage, err)
	}
	return err
}

func fileID(c echo.Context) (id, n int64, err error) {
	if id, err = pathID(c, "upload"); err != nil {
		return 0, 0, err
	}
	n, err = strconv.ParseInt(c.Param("n"), 10, 64)
	if err != nil {
		return 0, 0, lora.Wrap(err, lora.NotFound, "%q is not the number of a file.", c.Param("n"))
	}
	return id, n, nil
}

func filePath(id, n int64) string { return fmt.Sprintf("/api/v1/uploads/%d/files/%d", id, n) }
