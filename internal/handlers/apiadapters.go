package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/hook"
)

// adapterAnswer is an adapter as the API shows it.
type adapterAnswer struct {
	ID        int64      `json:"id"`
	Tenant    string     `json:"tenant"`
	Name      string     `json:"name"`
	About     string     `json:"about"`
	Versions  int64      `json:"versions"` // how many it has
	CreatedAt time.Time  `json:"created_at"`
	RemovedAt *time.Time `json:"removed_at"` // null while its files are kept
	Page      string     `json:"page"`
}

// adapterList is one page of adapters, newest first.
type adapterList struct {
	Adapters []adapterAnswer `json:"adapters"`
	Older    string          `json:"older"`
}

// versionAnswer is one immutable content of an adapter.
type versionAnswer struct {
	ID        int64     `json:"id"` // by which it is deployed
	Number    int64     `json:"number"`
	Digest    string    `json:"digest"`
	Rank      int64     `json:"rank"`
	Alpha     float64   `json:"alpha"`
	Targets   []string  `json:"targets"`
	Bytes     int64     `json:"bytes"` // of the files that serving needs
	CreatedAt time.Time `json:"created_at"`
}

type versionList struct {
	Versions []versionAnswer `json:"versions"`
}

// listAdapters gives a page of adapters.
func (h *Handlers) listAdapters(c echo.Context) error {
	before, err := beforeOf(c)
	if err != nil {
		return err
	}
	rows, err := h.DB.Read().AdaptersBefore(c.Request().Context(), db.AdaptersBeforeParams{Before: before, Most: perPage + 1})
	if err != nil {
		return fmt.Errorf("read adapters: %w", err)
	}
	list := adapterList{Adapters: []adapterAnswer{}}
	rows, list.Older = pageOf(c, rows, func(r db.AdaptersBeforeRow) int64 { return r.Adapter.ID })
	for _, row := range rows {
		list.Adapters = append(list.Adapters, tellAdapter(row.Adapter, row.Versions))
	}
	return c.JSON(http.StatusOK, list)
}

func tellAdapter(row db.Adapter, versions int64) adapterAnswer {
	return adapterAnswer{
		ID: row.ID, Tenant: row.Tenant, Name: row.Name, About: row.About, Versions: versions, CreatedAt: db.Time(row.CreatedAt).UTC(),
		RemovedAt: hook.Instant(row.RemovedAt), Page: adapterPath(row.ID),
	}
}

// adapterOf reads the adapter that a request names, and its versions, newest first.
func (h *Handlers) adapterOf(c echo.Context) (db.Adapter, []db.Version, error) {
	ctx := c.Request().Context()
	id, err := pathID(c, "adapter")
	if err != nil {
		return db.Adapter{}, nil, err
	}
	row, err := h.DB.Read().Adapter(ctx, id)
	if err != nil {
		return row, nil, db.Found(err, "There is no adapter %d. It may belong to another data folder.", id)
	}
	versions, err := h.DB.Read().VersionsOf(ctx, id)
	if err != nil {
		return row, nil, fmt.Errorf("read the versions of adapter %d: %w", id, err)
	}
	return row, versions, nil
}

// showAdapter gives one adapter.
func (h *Handlers) showAdapter(c echo.Context) error {
	row, versions, err := h.adapterOf(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tellAdapter(row, int64(len(versions))))
}

// listVersions gives all versions of an adapter.
func (h *Handlers) listVersions(c echo.Context) error {
	_, versions, err := h.adapterOf(c)
	if err != nil {
		return err
	}
	list := versionList{Versions: make([]versionAnswer, len(versions))}
	for i, v := range versions {
		answer := versionAnswer{ID: v.ID, Number: v.Number, Digest: v.Digest, Rank: v.Rank, Alpha: v.Alpha, Targets: []string{}, Bytes: v.Bytes, CreatedAt: db.Time(v.CreatedAt).UTC()}
		if err := json.Unmarshal([]byte(v.Targets), &answer.Targets); err != nil {
			return fmt.Errorf("read the targets of version %d: %w", v.ID, err)
		}
		if answer.Targets == nil { // an adapter whose header could not be read has none
			answer.Targets = []string{}
		}
		list.Versions[i] = answer
	}
	return c.JSON(http.StatusOK, list)
}
