package handlers

import (
	"context"
	"fmt"
	"strconv"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/intake"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// shell is what stands around a page. Live is the query of its socket: "page=deck".
func (h *Handlers) shell(c echo.Context, title, nav, live string) (templates.Shell, error) {
	ctx := c.Request().Context()
	s := templates.Shell{Title: title, Nav: nav, Assets: h.static.Assets()}
	if live == "" {
		live = "page=" // the tray lives on every page
	}
	s.Live = "/live?" + live
	if !h.Gate.Open() {
		s.User = person(c).Name
	}
	places, err := h.DB.Read().Places(ctx)
	if err != nil {
		return s, fmt.Errorf("read places: %w", err)
	}
	for _, p := range places {
		s.Places = append(s.Places, p.Name)
	}
	s.Tray, err = h.tray(ctx)
	return s, err
}

// bareShell stands around pages for people we do not know.
func (h *Handlers) bareShell(title string) templates.Shell {
	return templates.Shell{Title: title, Assets: h.static.Assets(), Bare: true}
}

func (h *Handlers) tray(ctx context.Context) (templates.Tray, error) {
	active, err := h.DB.Read().ActiveJobs(ctx)
	if err != nil {
		return templates.Tray{}, fmt.Errorf("read active jobs: %w", err)
	}
	var t templates.Tray
	waiting, err := h.Desk.Waiting(ctx)
	if err != nil {
		return t, err
	}
	for _, u := range waiting {
		entry := templates.TrayUpload{ID: "tray-upload-" + strconv.FormatInt(u.ID, 10), Href: uploadPath(u.ID), Title: u.Name, Now: "not deployed yet", Done: "1", Total: "1"}
		if u.State != intake.Ready {
			entry.Now = fmt.Sprintf("%d %% of %s", percent(u), lora.Bytes(u.ToSend))
			entry.Done, entry.Total = strconv.FormatInt(u.Received, 10), strconv.FormatInt(max(u.ToSend, 1), 10)
		}
		t.Uploads = append(t.Uploads, entry)
	}
	now := h.Now()
	for _, j := range active {
		entry := templates.TrayJob{ID: "tray-job-" + strconv.FormatInt(j.ID, 10), Href: jobPath(j.ID), Title: j.Title, Now: j.StepName, Done: int(j.Step), Steps: int(j.Steps), Moves: j.State == lora.JobRunning}
		switch {
		case j.CancelAskedAt != nil:
			entry.Now = "cancelling"
		case j.Ahead > 0:
			entry.Now = "waits its turn"
		case nextTry(j.State, j.StartedAt, j.CancelAskedAt, j.RunAt).After(now):
			entry.Now = "again at " + templates.Clock(now, db.Time(j.RunAt))
		}
		t.Jobs = append(t.Jobs, entry)
	}
	return t, nil
}

func jobPath(id int64) string { return "/jobs/" + strconv.FormatInt(id, 10) }

// placesByID gives every place the deck knows, also those it was started without this time.
func (h *Handlers) placesByID(ctx context.Context) (map[string]db.Place, error) {
	places, err := h.DB.Read().Places(ctx)
	if err != nil {
		return nil, fmt.Errorf("read places: %w", err)
	}
	byID := make(map[string]db.Place, len(places))
	for _, p := range places {
		byID[p.ID] = p
	}
	return byID, nil
}

// pathID reads the id at the end of a page's address.
func pathID(c echo.Context, noun string) (int64, error) {
	id, err := strconv.ParseInt(c.Param("id"), 10, 64)
	if err != nil {
		return 0, lora.Wrap(err, lora.NotFound, "%q is not the number of a %s. Start from the deck.", c.Param("id"), noun)
	}
	return id, nil
}
