package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/labstack/echo/v4"

	"loradeck/internal/db"
	"loradeck/internal/jobs"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/web/templates"
)

// adapters lists what has been added, newest first, a page at a time.
func (h *Handlers) adapters(c echo.Context) error {
	ctx := c.Request().Context()
	before, err := beforeOf(c)
	if err != nil {
		return err
	}
	rows, err := h.DB.Read().AdaptersBefore(ctx, db.AdaptersBeforeParams{Before: before, Most: perPage + 1})
	if err != nil {
		return fmt.Errorf("read adapters: %w", err)
	}
	s, err := h.look(ctx)
	if err != nil {
		return err
	}
	view := templates.Adapters{Icons: h.static.Assets().Icons}
	if len(rows) > perPage {
		rows = rows[:perPage]
		view.Older = "/adapters?before=" + strconv.FormatInt(rows[perPage-1].Adapter.ID, 10)
	}
	now := h.Now()
	for _, row := range rows {
		entry := templates.AdapterRow{
			Href: adapterPath(row.Adapter.ID), Name: row.Adapter.Name, About: row.Adapter.About, Tenant: row.Adapter.Tenant,
			Versions: templates.Count(row.Versions), When: templates.Clock(now, db.Time(row.Adapter.CreatedAt)),
		}
		for _, d := range s.deployments {
			if d.Adapter == row.Adapter.Name && d.Tenant == row.Adapter.Tenant {
				entry.States = append(entry.States, s.stateOf(d, now))
			}
		}
		view.Rows = append(view.Rows, entry)
	}
	shell, err := h.shell(c, "Adapters", "adapters", "")
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.AdaptersPage(shell, view))
}

// stateOf draws the state of a deployment as the deck does.
func (s scene) stateOf(d db.LiveDeploymentsRow, now time.Time) templates.State {
	return templates.ScreenState(s.shipped(d).state(s.components[where{d.PlaceID, d.BaseName}], now))
}

// shipped gives the adapter of a deployment.
func (s scene) shipped(d db.LiveDeploymentsRow) adapter {
	component, seen := s.components[where{d.PlaceID, d.ComponentName}]
	return adapter{component: component, seen: seen, deployment: d, ours: true}
}

// adapter is the page of one adapter.
func (h *Handlers) adapter(c echo.Context) error {
	row, versions, err := h.adapterOf(c)
	if err != nil {
		return err
	}
	view, err := h.adapterView(c.Request().Context(), row, versions)
	if err != nil {
		return err
	}
	shell, err := h.shell(c, row.Name, "adapters", "page=adapter&id="+strconv.FormatInt(row.ID, 10))
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.AdapterPage(shell, view))
}

func (h *Handlers) adapterRegions(c echo.Context) ([]region, error) {
	id, err := strconv.ParseInt(c.QueryParam("id"), 10, 64)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "This address names no adapter.")
	}
	draw := func(ctx context.Context, _ *moment) (templ.Component, error) {
		row, err := h.DB.Read().Adapter(ctx, id)
		if err != nil {
			return nil, db.Found(err, "There is no adapter %d.", id)
		}
		versions, err := h.DB.Read().VersionsOf(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("read the versions of adapter %d: %w", id, err)
		}
		view, err := h.adapterView(ctx, row, versions)
		return templates.AdapterBody(view), err
	}
	if _, err := draw(c.Request().Context(), nil); err != nil {
		return nil, err
	}
	return []region{{id: templates.IDAdapter, keys: []string{live.Deck, live.Jobs}, every: ageEvery, draw: draw}}, nil
}

// newestJobs is how many jobs an adapter's page lists.
const newestJobs = 10

func (h *Handlers) adapterView(ctx context.Context, row db.Adapter, versions []db.Version) (templates.Adapter, error) {
	view := templates.Adapter{
		Icons: h.static.Assets().Icons, Name: row.Name, Tenant: row.Tenant, About: row.About, Removed: row.RemovedAt != nil,
		Remove: adapterPath(row.ID) + "/remove", AllJobs: jobsPath(db.JobFilter{Adapter: row.Name}, 0),
	}
	s, err := h.look(ctx)
	if err != nil {
		return view, err
	}
	now := h.Now()
	for _, d := range s.deployments {
		if d.Adapter != row.Name || d.Tenant != row.Tenant {
			continue
		}
		a, base := s.shipped(d), s.components[where{d.PlaceID, d.BaseName}]
		entry := templates.AdapterDeployment{
			ID: "deployment-" + strconv.FormatInt(d.ID, 10), Name: d.ComponentName, Version: "v" + strconv.FormatInt(d.Version, 10), Base: d.BaseName,
			Where: s.placeOf(d.PlaceID).Name, State: templates.ScreenState(a.state(base, now)), Job: jobPath(d.JobID), Remove: removePath(d.PlaceID, d.ComponentName),
		}
		if a.inService() {
			entry.Try, entry.Idle = playgroundPath(d.PlaceID, d.BaseName, d.ComponentName), idle(base)
		}
		if entry.Prove = a.provePath(base); entry.Prove != "" {
			entry.Note = a.staleSays(base, now)
		}
		view.Deployments = append(view.Deployments, entry)
	}
	for _, b := range s.allBases() {
		option := templates.Option{Value: baseKey(b.PlaceID, b.Name), Text: b.Name + ", " + s.placeOf(b.PlaceID).Name}
		set, _ := settings(b)
		switch {
		case takesAdapters(b):
			view.Bases = append(view.Bases, option)
		case set.Enabled && idle(b) != "":
			option.Off, option.Text = true, option.Text+" (no copy runs)"
			view.Bases = append(view.Bases, option)
		}
	}
	for _, v := range versions {
		view.Versions = append(view.Versions, h.versionView(row, v, now))
	}
	ids, err := h.DB.JobNumbers(ctx, db.JobFilter{Adapter: row.Name}, math.MaxInt64, newestJobs)
	if err != nil || len(ids) == 0 {
		return view, err
	}
	rows, err := h.DB.Read().JobsNumbered(ctx, ids)
	if err != nil {
		return view, fmt.Errorf("read the jobs of %s: %w", row.Name, err)
	}
	for _, j := range rows {
		view.Jobs = append(view.Jobs, templates.JobRow{
			ID: "job-" + strconv.FormatInt(j.ID, 10), Href: jobPath(j.ID), Title: j.Title, State: jobState(j.State, j.Verdict, j.CancelAskedAt),
			When: templates.Clock(now, db.Time(j.CreatedAt)), Took: took(j.StartedAt, j.EndedAt, now),
		})
	}
	return view, nil
}

// versionView tells of a version; its files are read from the spool, where they may be gone after a removal.
func (h *Handlers) versionView(row db.Adapter, v db.Version, now time.Time) templates.AdapterVersion {
	path := fmt.Sprintf("%s/versions/%d", adapterPath(row.ID), v.Number)
	view := templates.AdapterVersion{
		ID: "v" + strconv.FormatInt(v.Number, 10), When: templates.Clock(now, db.Time(v.CreatedAt)), Size: lora.Bytes(v.Bytes),
		Rank: strconv.FormatInt(v.Rank, 10), Alpha: strconv.FormatFloat(v.Alpha, 'g', -1, 64), Digest: v.Digest,
	}
	var targets []string
	if json.Unmarshal([]byte(v.Targets), &targets) == nil {
		view.Targets = strings.Join(targets, ", ")
	}
	files, err := h.Jobs.Files(v.Digest)
	if err != nil {
		return view
	}
	if kept, err := peft.Inspect(files); err == nil {
		for _, f := range kept.Files {
			view.Files = append(view.Files, templates.Fact{Label: f.Path, Value: lora.Bytes(f.Size)})
		}
	}
	view.Download, view.Deploy = path+"/adapter.tar.gz", path+"/deploy"
	return view
}

// versionOf finds the version that an address names.
func (h *Handlers) versionOf(c echo.Context) (db.Adapter, db.Version, error) {
	row, versions, err := h.adapterOf(c)
	if err != nil {
		return row, db.Version{}, err
	}
	i := slices.IndexFunc(versions, func(v db.Version) bool { return strconv.FormatInt(v.Number, 10) == c.Param("n") })
	if i < 0 {
		return row, db.Version{}, lora.Errorf(lora.NotFound, "%s has no version %s. Its page lists the ones there are.", row.Name, c.Param("n"))
	}
	return row, versions[i], nil
}

// downloadVersion streams a version's files as they are kept, packed as they are sent to S3.
func (h *Handlers) downloadVersion(c echo.Context) error {
	row, v, err := h.versionOf(c)
	if err != nil {
		return err
	}
	files, err := h.Jobs.Files(v.Digest)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Content-Type", "application/gzip")
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fmt.Sprintf("%s-v%d.tar.gz", row.Name, v.Number)}))
	c.Response().WriteHeader(http.StatusOK)
	if _, err := peft.Pack(c.Request().Context(), c.Response(), files); err != nil {
		panic(http.ErrAbortHandler) // the length was not promised: only a broken connection tells that it is not whole
	}
	return nil
}

// deployVersion ships a kept version to a base and goes to the job.
func (h *Handlers) deployVersion(c echo.Context) error {
	row, v, err := h.versionOf(c)
	if err != nil {
		return err
	}
	place, base := splitKey(c.FormValue("base"))
	job, err := h.Jobs.Ship(c.Request().Context(), jobs.Source{Tenant: row.Tenant, Adapter: row.Name, Digest: v.Digest}, place, base)
	if err != nil {
		return err
	}
	return see(c, jobPath(job.ID))
}

// askForget says what removing an adapter does, and asks.
func (h *Handlers) askForget(c echo.Context) error {
	row, versions, err := h.adapterOf(c)
	if err != nil {
		return err
	}
	living, err := h.DB.Read().LiveDeploymentsOfAdapter(c.Request().Context(), row.ID)
	if err != nil {
		return fmt.Errorf("count the deployments of %s: %w", row.Name, err)
	}
	if living > 0 {
		return lora.Errorf(lora.Conflict, "%s is still deployed (%s), so its files are needed. Remove its deployments first, then remove the adapter.", row.Name, templates.Plural(int(living), "component"))
	}
	shell, err := h.shell(c, "Remove "+row.Name, "adapters", "")
	if err != nil {
		return err
	}
	back := templates.Link{Href: adapterPath(row.ID), Text: row.Name}
	view := templates.Ask{
		Icons: shell.Assets.Icons, Path: back, Verb: "Remove", Name: row.Name, Action: adapterPath(row.ID) + "/remove",
		Back: templates.Link{Href: back.Href, Text: "Keep it"},
		Will: []string{
			"The files of its " + templates.Plural(len(versions), "version") + " are deleted from the data folder, unless another adapter has the same content.",
			"It is no longer listed.",
		},
		Stays: []string{"Its artifacts stay in S3.", "Its jobs, proofs and comparisons stay readable."},
	}
	return h.render(c, http.StatusOK, templates.AskPage(shell, view))
}

// forgetAdapter removes an adapter that is deployed nowhere.
func (h *Handlers) forgetAdapter(c echo.Context) error {
	row, _, err := h.adapterOf(c)
	if err != nil {
		return err
	}
	if err := h.Jobs.Forget(c.Request().Context(), row.ID); err != nil {
		return err
	}
	return see(c, "/adapters")
}

func adapterPath(id int64) string { return "/adapters/" + strconv.FormatInt(id, 10) }
