package handlers

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"loradeck/internal/check"
	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// baseAnswer is a base as the API shows it, as last seen.
type baseAnswer struct {
	Name     string        `json:"name"`
	Place    string        `json:"place"`
	PlaceID  string        `json:"place_id"` // says it too, and stays when the place is called otherwise
	Endpoint string        `json:"endpoint"`
	Status   string        `json:"status"`   // SageMaker's word
	Settings *baseSettings `json:"settings"` // null while its model has not been read
	Takes    bool          `json:"takes_adapters"`
	Modified time.Time     `json:"modified_at"`
}

type baseSettings struct {
	LoRA     bool              `json:"lora"`
	MaxRank  int               `json:"max_rank"` // 0 when it is not known
	MaxLoras int               `json:"max_loras"`
	Wrong    map[string]string `json:"wrong"` // why: what is set for it and refused by vLLM, by variable
}

type baseList struct {
	Bases []baseAnswer `json:"bases"`
}

// listBases gives every base in sight.
func (h *Handlers) listBases(c echo.Context) error {
	s, err := h.look(c.Request().Context())
	if err != nil {
		return err
	}
	list := baseList{Bases: []baseAnswer{}}
	for _, b := range s.allBases() {
		answer := baseAnswer{
			Name: b.Name, Place: s.placeOf(b.PlaceID).Name, PlaceID: b.PlaceID, Endpoint: b.Endpoint, Status: b.Status, Takes: takesAdapters(b),
			Modified: db.Time(b.ModifiedAt).UTC(),
		}
		if set, known := settings(b); known {
			answer.Settings = &baseSettings{LoRA: set.Enabled, MaxRank: set.MaxRank, MaxLoras: set.MaxLoras, Wrong: set.Wrong}
		}
		list.Bases = append(list.Bases, answer)
	}
	return c.JSON(http.StatusOK, list)
}

// placeID finds a place by its name or id; "" for "", which is any.
func (s scene) placeID(asked string) (string, error) {
	if asked == "" {
		return "", nil
	}
	var names, found []string
	for _, p := range s.places {
		names = append(names, p.Name)
		if p.ID == asked {
			return p.ID, nil
		}
		if p.Name == asked {
			found = append(found, p.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", lora.Errorf(lora.NotFound, "There is no place %q here. There are: %s.", asked, listed(names))
	case 1:
		return found[0], nil
	}
	return "", lora.Errorf(lora.Invalid, "Several places are called %q. Name one by its id: %s.", asked, listed(found))
}

// baseNamed finds a base by its name, and by its place when several places have one of that name.
func (s scene) baseNamed(place, name string) (db.Component, error) {
	id, err := s.placeID(place)
	if err != nil {
		return db.Component{}, err
	}
	var names, places []string
	var found db.Component
	for _, b := range s.allBases() {
		if id != "" && b.PlaceID != id {
			continue
		}
		names = append(names, b.Name)
		if b.Name == name {
			found = b
			places = append(places, s.placeOf(b.PlaceID).Name)
		}
	}
	switch {
	case name == "":
		return found, lora.Errorf(lora.Invalid, "Name the base to deploy on. There are: %s.", listed(names))
	case len(places) == 0:
		return found, lora.Errorf(lora.NotFound, "There is no base %q in sight. There are: %s.", name, listed(names))
	case len(places) > 1:
		return found, lora.Errorf(lora.Invalid, "Several places have a base %q. Name the place too: %s.", name, listed(places))
	}
	return found, nil
}

// listed writes names for a sentence.
func listed(names []string) string {
	if len(names) == 0 {
		return "none yet"
	}
	return strings.Join(names, ", ")
}

// checkAnswer is what the rules found of an upload on a base.
type checkAnswer struct {
	Ready    bool            `json:"ready"`  // all of the adapter is here, so nothing more can be found
	Blocks   bool            `json:"blocks"` // at least one finding stops a deployment
	Findings []check.Finding `json:"findings"`
}

// checkUpload holds an upload, as far as it is here, against a base.
func (h *Handlers) checkUpload(c echo.Context) error {
	ctx := c.Request().Context()
	u, err := h.findUpload(c)
	if err != nil {
		return err
	}
	s, err := h.look(ctx)
	if err != nil {
		return err
	}
	base, err := s.baseNamed(c.QueryParam("place"), c.QueryParam("base"))
	if err != nil {
		return err
	}
	answer := checkAnswer{Ready: u.Digest != "", Findings: []check.Finding{}}
	adapter, err := h.Desk.Adapter(ctx, u.ID)
	if lora.KindOf(err) == lora.Invalid && u.Open() && !answer.Ready {
		return c.JSON(http.StatusOK, answer) // nothing of an archive is here that could be an adapter's
	}
	if err != nil {
		return err
	}
	report := check.Run(adapter, baseFacts(base))
	_, _, blocked := report.Counts()
	answer.Blocks = blocked > 0
	answer.Findings = append(answer.Findings, report.Findings...)
	return c.JSON(http.StatusOK, answer)
}
