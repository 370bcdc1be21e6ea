package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"loradeck/internal/check"
	"loradeck/internal/db"
	"loradeck/internal/intake"
	"loradeck/internal/jobs"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/web/templates"
)

// upload is the page of one upload. What is chosen on it stands in its address, so that it can be reloaded and sent to others.
func (h *Handlers) upload(c echo.Context) error {
	id, err := pathID(c, "upload")
	if err != nil {
		return err
	}
	view, err := h.uploadView(c.Request().Context(), id, c.QueryParams())
	if err != nil {
		return err
	}
	return h.showUploadPage(c, http.StatusOK, view, c.QueryParams())
}

func (h *Handlers) showUploadPage(c echo.Context, code int, view templates.Upload, form url.Values) error {
	live := url.Values{"page": {"upload"}, "id": {view.ID}}
	for _, name := range []string{"base", "adapter", "tenant", "component", "proposed"} {
		if value := form.Get(name); value != "" {
			live.Set(name, value)
		}
	}
	shell, err := h.shell(c, view.Title, "", live.Encode())
	if err != nil {
		return err
	}
	return h.render(c, code, templates.UploadPage(shell, view))
}

// choice is what a person has chosen for an upload, with what was not chosen filled in.
type choice struct {
	adapter, tenant, component string
	proposed                   string        // the component name proposed for the rest of the choice
	base                       *db.Component // nil when there is none
	version                    int64         // the number it will have
	known                      bool          // the adapter has this content already, as that version
}

// choose reads the choices of a page. A component name that was proposed follows the others; one that was typed stays.
func (h *Handlers) choose(ctx context.Context, form url.Values, u intake.Upload, bases []db.Component) (choice, error) {
	ch := choice{adapter: strings.TrimSpace(form.Get("adapter")), tenant: strings.TrimSpace(form.Get("tenant")), component: strings.TrimSpace(form.Get("component"))}
	if ch.adapter == "" {
		ch.adapter = u.Name
	}
	if ch.tenant == "" {
		ch.tenant = tenant
	}
	if at := slices.IndexFunc(bases, func(b db.Component) bool { return baseKey(b.PlaceID, b.Name) == form.Get("base") }); at >= 0 {
		ch.base = &bases[at]
	} else if at := slices.IndexFunc(bases, takesAdapters); at >= 0 {
		ch.base = &bases[at]
	} else if len(bases) > 0 {
		ch.base = &bases[0]
	}
	versions, err := h.DB.Read().VersionsNamed(ctx, db.VersionsNamedParams{Tenant: ch.tenant, Name: ch.adapter})
	if err != nil {
		return ch, fmt.Errorf("read the versions of %s: %w", ch.adapter, err)
	}
	ch.version = 1
	for _, v := range versions {
		ch.version = max(ch.version, v.Number+1)
	}
	for _, v := range versions {
		if u.Digest != "" && v.Digest == u.Digest {
			ch.version, ch.known = v.Number, true
		}
	}
	if ch.base != nil {
		ch.proposed = lora.ComponentName(ch.adapter, ch.version, ch.base.Name)
	}
	if ch.component == "" || ch.component == form.Get("proposed") {
		ch.component = ch.proposed
	}
	return ch, nil
}

func takesAdapters(base db.Component) bool {
	set, known := settings(base)
	return known && set.Enabled && lora.Status(base.Status) == lora.StatusInService && idle(base) == ""
}

func (h *Handlers) uploadView(ctx context.Context, id int64, form url.Values) (templates.Upload, error) {
	u, err := h.Desk.Find(ctx, id)
	if err != nil {
		return templates.Upload{}, err
	}
	s, err := h.look(ctx)
	if err != nil {
		return templates.Upload{}, err
	}
	bases := s.allBases()
	chosen, err := h.choose(ctx, form, u, bases)
	if err != nil {
		return templates.Upload{}, err
	}
	view := templates.Upload{
		Icons: h.static.Assets().Icons, ID: strconv.FormatInt(id, 10), Title: chosen.adapter, Refused: reasonOf(u), Sending: u.State == intake.Receiving,
		Done: strconv.FormatInt(u.Received, 10), Total: strconv.FormatInt(max(u.ToSend, 1), 10),
		Kept: "what has arrived is kept for " + hours(h.Desk.KeptFor()) + ".",
	}
	view.State, view.Summary = uploadState(u)
	view.Figures = uploadFigures(u)
	if room, err := h.Desk.Room(); err == nil {
		view.Room = fmt.Sprintf("the data folder holds %s of at most %s", lora.Bytes(room.Used), lora.Bytes(room.Budget))
	}
	if u.Job != nil {
		view.Job = &templates.Link{Href: jobPath(*u.Job), Text: "See its deployment"}
	}
	view.Gate = templates.Gate{Icons: view.Icons, Text: fmt.Sprintf("Deploy %s v%d", chosen.adapter, chosen.version), Why: "It was refused, so there is nothing to deploy."}
	if !u.Open() {
		view.Files = h.filesOf(u, peft.Adapter{})
		return view, nil
	}
	adapter, err := h.Desk.Adapter(ctx, id)
	if err != nil && lora.KindOf(err) != lora.Invalid {
		return view, err
	}
	view.Files = h.filesOf(u, adapter)
	view.Anatomy = anatomyOf(adapter)
	var report check.Report
	if chosen.base != nil {
		report = check.Run(adapter, baseFacts(*chosen.base))
		checks := drawChecks(report, "Blocks deploy")
		view.Checks, view.Against = &checks, chosen.base.Name
	}
	view.Gate = gateOf(view.Gate, u, chosen, report)
	view.Gate.Twins = h.deployTwins(u, chosen, s)
	view.Form = h.shipFormOf(u, chosen, bases, s)
	return view, nil
}

// filesOf lists what was offered and, of an archive, what was found in it.
// anatomyOf tells what an adapter is, as far as its config and header are here.
// baseFacts is a base as last seen: its settings, and its config.json as read from its S3 prefix. The job's own check asks
// anew.
// gateOf says whether what was chosen can be deployed now.
// taken says who has a component name, or "" when it is free as far as last seen, or about to be. The call itself is asked again.
func (s scene) taken(place, name string) string {
	d, ours := s.deployed[where{place, name}]
	if ours && d.JobKind == lora.JobRemove && (d.JobState == lora.JobQueued || d.JobState == lora.JobRunning) {
		return "" // a deployment waits for the removal to end
	}
	if ours && (d.ComponentARN != "" || d.JobState == lora.JobQueued || d.JobState == lora.JobRunning) {
		return fmt.Sprintf("This name belongs to %s v%d. Remove that first, or choose another name.", d.Adapter, d.Version)
	}
	if _, there := s.components[where{place, name}]; there {
		return "A component of this name is there already. Choose another name."
	}
	return ""
}

// allBases gives every base in sight.
func (s scene) allBases() []db.Component {
	return slices.DeleteFunc(slices.Clone(s.inOrder), func(c db.Component) bool { return c.BaseName != "" })
}

// deployUpload makes a deployment of an upload. Pressing twice leads to the same job.
func (h *Handlers) deployUpload(c echo.Context) error {
	ctx := c.Request().Context()
	u, err := h.findUpload(c)
	if err != nil {
		return err
	}
	form, err := c.FormParams()
	if err != nil {
		return err
	}
	if u.Job != nil {
		return see(c, jobPath(*u.Job))
	}
	if u.State != intake.Ready {
		return lora.Errorf(lora.Conflict, "This upload is %s, so it cannot be deployed. Look at its page.", u.State)
	}
	s, err := h.look(ctx)
	if err != nil {
		return err
	}
	chosen, err := h.choose(ctx, form, u, s.allBases())
	if err != nil {
		return err
	}
	if chosen.base == nil {
		return lora.Errorf(lora.NotFound, "There is no base to deploy it on. Look at the deck.")
	}
	job, err := h.ship(ctx, u, jobs.Source{Tenant: chosen.tenant, Adapter: chosen.adapter, Component: chosen.component}, *chosen.base)
	if err != nil {
		return h.refuseToShip(c, u, form, err)
	}
	return see(c, jobPath(job))
}

// ship makes a deployment of an upload that is ready and gives its job. Asked twice at once, both get the same one.
func (h *Handlers) ship(ctx context.Context, u intake.Upload, source jobs.Source, base db.Component) (job int64, err error) {
	source.Digest, source.Also = u.Digest, h.Desk.Shipped(u.ID)
	added, err := h.Jobs.Ship(ctx, source, base.PlaceID, base.Name)
	if err != nil {
		if now, findErr := h.Desk.Find(ctx, u.ID); findErr == nil && now.Job != nil {
			return *now.Job, nil // the other came first
		}
		return 0, err
	}
	return added.ID, nil
}

// refuseToShip shows the page again with what is wrong, so that nothing that was typed is lost.
func (h *Handlers) refuseToShip(c echo.Context, u intake.Upload, form url.Values, cause error) error {
	kind := lora.KindOf(cause)
	if kind != lora.Invalid && kind != lora.Conflict {
		return cause
	}
	view, err := h.uploadView(c.Request().Context(), u.ID, form)
	if err != nil {
		return errors.Join(cause, err)
	}
	view.Gate.Why, view.Gate.Fix = lora.Message(cause), ""
	code, _ := statusOf(kind)
	return h.showUploadPage(c, code, view, form)
}

// discardUpload removes an upload and what has arrived of it.
func (h *Handlers) discardUpload(c echo.Context) error {
	id, err := pathID(c, "upload")
	if err != nil {
		return err
	}
	if err := h.Desk.Discard(c.Request().Context(), id); err != nil {
		return err
	}
	return see(c, "/uploads")
}

// uploads lists what was added and is not deployed yet.
func (h *Handlers) uploads(c echo.Context) error {
	view, err := h.uploadsView(c.Request().Context())
	if err != nil {
		return err
	}
	shell, err := h.shell(c, "Uploads", "", "page=uploads")
	if err != nil {
		return err
	}
	return h.render(c, http.StatusOK, templates.UploadsPage(shell, view))
}

func (h *Handlers) uploadsView(ctx context.Context) (templates.Uploads, error) {
	view := templates.Uploads{Icons: h.static.Assets().Icons, Kept: "Each is kept for " + hours(h.Desk.KeptFor()) + " after its last byte."}
	open, err := h.Desk.Waiting(ctx)
	if err != nil {
		return view, err
	}
	room, err := h.Desk.Room()
	if err != nil {
		return view, err
	}
	view.Room = []templates.Figure{
		{Label: "Data folder", Value: lora.Bytes(room.Used), Unit: "of at most " + lora.Bytes(room.Budget)},
		{Label: "Free on the disk", Value: lora.Bytes(room.Free)},
	}
	now := h.Now()
	for _, u := range open {
		state, _ := uploadState(u)
		view.Rows = append(view.Rows, templates.UploadRow{
			ID: "upload-" + strconv.FormatInt(u.ID, 10), Href: uploadPath(u.ID), Name: u.Name, State: state, Sent: lora.Bytes(u.Received) + " of " + lora.Bytes(u.ToSend),
			When: templates.Clock(now, u.Created), Who: u.Person, Discard: uploadPath(u.ID) + "/discard",
		})
	}
	return view, nil
}

// hours writes a time that uploads are kept.
