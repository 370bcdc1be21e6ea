package handlers

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/check"
	"loradeck/internal/db"
	"loradeck/internal/intake"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/web/templates"
)

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

func baseFacts(base db.Component) check.Base {
	set, known := settings(base)
	facts := check.Base{Name: base.Name, Settings: set}
	if !known {
		facts.SettingsTrouble = "its model has not been read yet, sets nothing, or is gone."
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

func gateOf(g templates.Gate, u intake.Upload, ch choice, report check.Report) templates.Gate {
	g.Why, g.Fix = "", ""
	blocked := slices.IndexFunc(findingsToLookAt(report), func(f check.Finding) bool { return f.Level == check.Block })
	switch {
	case ch.base == nil:
		g.Why = "There is no base to deploy it on."
	case lora.Status(ch.base.Status) != lora.StatusInService:
		g.Why = fmt.Sprintf("%s is %s, and only a base that is InService takes adapters. Choose another one, or look at the deck.", ch.base.Name, ch.base.Status)
	case idle(*ch.base) != "":
		g.Why = fmt.Sprintf("No copy of %s runs, so nothing can be loaded on it. Scale it up, or choose another base.", ch.base.Name)
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
		if set.MaxRank == 0 {
			about = "rank limit not known"
		}
		switch {
		case lora.Status(b.Status) != lora.StatusInService:
			about = b.Status
		case idle(b) != "":
			about = "no copy runs"
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

func hours(d time.Duration) string {
	if d < time.Hour {
		return templates.Plural(int(d.Minutes()), "minute")
	}
	return templates.Plural(int(d.Hours()), "hour")
}
