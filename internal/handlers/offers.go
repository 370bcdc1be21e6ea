package handlers

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/intake"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
)

// offer is a drop as the browser and the command line describe it.
type offer struct {
	Kind  string        `json:"kind"` // "folder" or "archive"
	Name  string        `json:"name"`
	Files []offeredFile `json:"files"`
}

type offeredFile struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // Unix milliseconds
}

// uploadAnswer is an upload as the API shows it.
type uploadAnswer struct {
	ID       int64          `json:"id"`
	Kind     string         `json:"kind"`
	Name     string         `json:"name"`
	State    string         `json:"state"`
	Reason   string         `json:"reason"`
	Note     string         `json:"note"`
	Digest   string         `json:"digest"`
	ToSend   int64          `json:"to_send"`
	Received int64          `json:"received"`
	Files    []uploadFile   `json:"files"`
	LeftOut  []peft.LeftOut `json:"left_out"`
	Job      *int64         `json:"job"`
	Created  time.Time      `json:"created_at"`
	Page     string         `json:"page"`
}

type uploadFile struct {
	N        int64  `json:"n"`
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	Received int64  `json:"received"`
	Keep     bool   `json:"keep"`
	Why      string `json:"why"`
	URL      string `json:"url"` // where its bytes go; "" when it is left out
}

func answerOf(u intake.Upload) uploadAnswer {
	a := uploadAnswer{
		ID: u.ID, Kind: u.Kind, Name: u.Name, State: u.State, Reason: u.Reason, Note: u.Note, Digest: u.Digest, ToSend: u.ToSend, Received: u.Received,
		Files: []uploadFile{}, LeftOut: []peft.LeftOut{}, Job: u.Job, Created: u.Created.UTC(), Page: uploadPath(u.ID),
	}
	for _, f := range u.Files {
		file := uploadFile{N: f.N, Path: f.Path, Size: f.Size, Received: f.Received, Keep: f.Keep, Why: f.Why}
		if f.Keep {
			file.URL = filePath(u.ID, f.N)
		}
		a.Files = append(a.Files, file)
	}
	a.LeftOut = append(a.LeftOut, u.LeftOut...)
	return a
}

// beginUpload takes an offer: 201 for a new upload, 200 for one that goes on.
func (h *Handlers) beginUpload(c echo.Context) error {
	var o offer
	if err := decode(c, &o); err != nil {
		return err
	}
	files := make([]intake.OfferedFile, len(o.Files))
	for i, f := range o.Files {
		files[i] = intake.OfferedFile(f)
	}
	u, err := h.Desk.Begin(c.Request().Context(), intake.Offer{Person: person(c).Name, Kind: o.Kind, Name: o.Name, Files: files})
	if lora.KindOf(err) == lora.Limit {
		return status(http.StatusInsufficientStorage, err)
	}
	if err != nil {
		return err
	}
	code := http.StatusCreated
	if u.Received > 0 || u.State != intake.Receiving {
		code = http.StatusOK
	}
	return c.JSON(code, answerOf(u))
}

func (h *Handlers) showUpload(c echo.Context) error {
	u, err := h.findUpload(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answerOf(u))
}

func (h *Handlers) endUpload(c echo.Context) error {
	id, err := pathID(c, "upload")
	if err != nil {
		return err
	}
	if err := h.Desk.Discard(c.Request().Context(), id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (h *Handlers) findUpload(c echo.Context) (intake.Upload, error) {
	id, err := pathID(c, "upload")
	if err != nil {
		return intake.Upload{}, err
	}
	return h.Desk.Find(c.Request().Context(), id)
}

func uploadPath(id int64) string { return "/uploads/" + strconv.FormatInt(id, 10) }
