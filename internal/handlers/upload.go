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
	"time"

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
	return known && set.Enabled && lora.Status(base.Status) == lora.StatusInService
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

func reasonOf(u intake.Upload) string {
	if u.State == intake.Refused {
		return u.Reason
	}
	return ""
}

func uploadState(u intake.Upload) (templates.State, string) {
	switch u.State {
	case intake.Receiving:
		if u.Received == 0 {
			return templates.State{Mark: "waiting", Word: "Waiting for files"}, "Waiting for its files"
		}
		return templates.State{Mark: "running", Word: "Arriving"}, fmt.Sprintf("Arriving, %d %% is here", percent(u))
	case intake.Reading:
		if u.Note != "" {
			return templates.State{Mark: "running", Word: "Reading"}, "All of it is here, " + u.Note
		}
		return templates.State{Mark: "running", Word: "Reading"}, "All of it is here and is being read"
	case intake.Ready:
		return templates.State{Mark: "done", Word: "Ready"}, "All of it is here, and nothing is deployed yet"
	case intake.Shipped:
		return templates.State{Mark: "done", Word: "Deployed"}, "Deployed"
	case intake.Refused:
		return templates.State{Mark: "failed", Word: "Refused"}, "Refused"
	}
	return templates.State{Mark: "cancelled", Word: "Discarded"}, "Discarded, and its files were removed"
}

func percent(u intake.Upload) int64 {
	if u.ToSend == 0 {
		return 100
	}
	return 100 * u.Received / u.ToSend
}

func uploadFigures(u intake.Upload) []templates.Figure {
	needed, all := 0, int64(0)
	for _, f := range u.Files {
		if f.Keep {
			needed++
		}
		all += f.Size
	}
	figures := []templates.Figure{{Label: "Files needed", Value: strconv.Itoa(needed), Unit: "of " + strconv.Itoa(len(u.Files))}}
	if all > u.ToSend {
		figures = append(figures, templates.Figure{Label: "To send", Value: lora.Bytes(u.ToSend), Unit: "of " + lora.Bytes(all)})
	} else {
		figures = append(figures, templates.Figure{Label: "To send", Value: lora.Bytes(u.ToSend)})
	}
	return append(figures, templates.Figure{Label: "Here", Value: lora.Bytes(u.Received), Unit: fmt.Sprintf("%d %%", percent(u))})
}

// filesOf lists what was offered and, of an archive, what was found in it.
func (h *Handlers) filesOf(u intake.Upload, a peft.Adapter) []templates.UploadFile {
	var rows []templates.UploadFile
	for _, f := range u.Files {
		row := templates.UploadFile{Path: f.Path, Why: f.Why, Size: lora.Bytes(f.Size), State: templates.State{Mark: "skipped", Word: "left out"}}
		switch {
		case !f.Keep:
		case f.Received == f.Size:
			row.State = templates.State{Mark: "done", Word: "here"}
		case f.Received > 0:
			row.State = templates.State{Mark: "running", Word: lora.Bytes(f.Received) + " of"}
		default:
			row.State = templates.State{Mark: "waiting", Word: "to come"}
		}
		rows = append(rows, row)
	}
	if u.Kind != "archive" {
		return rows
	}
	for _, f := range a.Files {
		row := templates.UploadFile{Path: f.Path, Why: f.Why, Size: lora.Bytes(f.Size), State: templates.State{Mark: "skipped", Word: "left out"}}
		if f.Keep {
			row.State = templates.State{Mark: "done", Word: "in the archive"}
		}
		rows = append(rows, row)
	}
	return rows
}

// anatomyOf tells what an adapter is, as far as its config and header are here.
func anatomyOf(a peft.Adapter) []templates.Figure {
	var figures []templates.Figure
	if a.Rank > 0 {
		figures = append(figures, templates.Figure{Label: "Rank", Value: strconv.Itoa(a.Rank)}, templates.Figure{Label: "Alpha", Value: strconv.FormatFloat(a.Alpha, 'g', -1, 64)})
	}
	if a.Header == nil {
		return figures
	}
	parameters, types := int64(0), []string{}
	for _, t := range a.Header.Tensors {
		size := int64(1)
		for _, d := range t.Shape {
			size *= int64(d)
		}
		parameters += size
		if !slices.Contains(types, t.DType) {
			types = append(types, t.DType)
		}
	}
	return append(figures,
		templates.Figure{Label: "Tensors", Value: templates.Count(int64(len(a.Header.Tensors)))},
		templates.Figure{Label: "Parameters", Value: templates.Count(parameters)},
		templates.Figure{Label: "Type", Value: strings.Join(types, ", ")},
		templates.Figure{Label: "Target modules", Value: strings.Join(a.Targets, " ")},
	)
}

// baseFacts is a base as last seen: its settings, and its config.json as read from its S3 prefix. The job's own check asks
// anew.
func baseFacts(base db.Component) check.Base {
	set, known := settings(base)
	facts := check.Base{Name: base.Name, Settings: set}
	if !known {
		facts.Settings = lora.SettingsFrom(nil)
	}
	if base.ModelConfig == "" {
		facts.ConfigTrouble = "it has not been read yet, or this role may not read it."
		return facts
	}
	config, err := check.ParseModelConfig([]byte(base.ModelConfig))
	if err != nil {
		facts.ConfigTrouble = lora.Message(err)
		return facts
	}
	facts.Config = config
	return facts
}

// gateOf says whether what was chosen can be deployed now.
func gateOf(g templates.Gate, u intake.Upload, ch choice, report check.Report) templates.Gate {
	g.Why, g.Fix = "", ""
	blocked := slices.IndexFunc(findingsToLookAt(report), func(f check.Finding) bool { return f.Level == check.Block })
	switch {
	case ch.base == nil:
		g.Why = "There is no base to deploy it on."
	case blocked >= 0:
		g.Why, g.Fix = findingsToLookAt(report)[blocked].Title+".", fmt.Sprintf("check-%d", blocked)
	case u.State == intake.Receiving:
		g.Why = "Can be pressed once all files are here."
	case u.State == intake.Reading:
		g.Why = "Can be pressed once the files are read."
	case ch.known:
		g.Open, g.Why = true, fmt.Sprintf("%s has this very content already, as version %d, so this deploys that version.", ch.adapter, ch.version)
	default:
		g.Open, g.Why = true, "It is packed, sent, created and then proven against the base."
	}
	return g
}

func (h *Handlers) shipFormOf(u intake.Upload, ch choice, bases []db.Component, s scene) *templates.ShipForm {
	f := &templates.ShipForm{
		Icons: h.static.Assets().Icons, Action: uploadPath(u.ID), Deploy: uploadPath(u.ID) + "/deploy", Discard: uploadPath(u.ID) + "/discard",
		Adapter: ch.adapter, Tenant: ch.tenant, Component: ch.component, Proposed: ch.proposed, Wrong: map[string]string{},
		Version: fmt.Sprintf("This will be version %d.", ch.version),
	}
	if ch.known {
		f.Version = fmt.Sprintf("The same content as version %d.", ch.version)
	}
	if !lora.ValidName(ch.adapter) {
		f.Wrong["adapter"] = "Use letters, digits, dots, underscores and hyphens, up to 63, with a letter or digit first and last."
	}
	if !lora.ValidName(ch.tenant) {
		f.Wrong["tenant"] = "Use letters, digits, dots, underscores and hyphens, up to 63, with a letter or digit first and last."
	}
	if ch.component != "" && !lora.ValidComponentName(ch.component) {
		f.Wrong["component"] = "SageMaker takes letters, digits and hyphens, up to 63, with a letter or digit first and last."
	} else if ch.base != nil {
		f.Wrong["component"] = s.taken(ch.base.PlaceID, ch.component)
	}
	for _, b := range bases {
		set, known := settings(b)
		about := "rank up to " + strconv.Itoa(set.MaxRank)
		switch {
		case lora.Status(b.Status) != lora.StatusInService:
			about = b.Status
		case known && !set.Enabled:
			about = "LoRA is off"
		case !known:
			about = "settings not read yet"
		}
		f.Bases = append(f.Bases, templates.BaseChoice{
			Value: baseKey(b.PlaceID, b.Name), Name: b.Name, Where: s.placeOf(b.PlaceID).Name, About: b.Endpoint + ", " + about,
			Chosen: ch.base != nil && b.ID == ch.base.ID,
		})
	}
	return f
}

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
func hours(d time.Duration) string {
	if d < time.Hour {
		return templates.Plural(int(d.Minutes()), "minute")
	}
	return templates.Plural(int(d.Hours()), "hour")
}
