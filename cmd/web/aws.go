package main

import (
	"context"
	"net/url"
	"strings"

	"loradeck/internal/cloud"
	"loradeck/internal/lora"
)

// awsPlace is one --aws: a region and how to get into it.
type awsPlace struct {
	region, profile, endpoint, name string
}

// placeFlags collects --aws, which may be given several times.
type placeFlags struct {
	places *[]awsPlace
	fresh  bool // what is there comes from the environment: the first flag replaces it
}

func awsFlags(places *[]awsPlace) *placeFlags { return &placeFlags{places: places} }

// String is for package flag.
func (f *placeFlags) String() string { return "" }

// Set reads REGION[,profile=P][,endpoint=URL][,name=N].
func (f *placeFlags) Set(text string) error {
	parts := strings.Split(strings.TrimSpace(text), ",")
	p := awsPlace{region: strings.TrimSpace(parts[0])}
	if !regionForm.MatchString(p.region) {
		return lora.Errorf(lora.Invalid, "--aws begins with %q; it needs a region, like us-east-1", p.region)
	}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case value == "":
			return lora.Errorf(lora.Invalid, "--aws has %q; use profile=, endpoint= or name= with a value", part)
		case key == "profile":
			p.profile = value
		case key == "endpoint":
			if at, err := url.Parse(value); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
				return lora.Errorf(lora.Invalid, "--aws has endpoint=%s; it needs an http or https address", value)
			}
			p.endpoint = value
		case key == "name":
			p.name = value
		default:
			return lora.Errorf(lora.Invalid, "--aws has %q; it knows profile=, endpoint= and name=", part)
		}
	}
	if p.name == "" {
		p.name = p.region
	}
	if f.fresh {
		*f.places, f.fresh = nil, false
	}
	*f.places = append(*f.places, p)
	return nil
}

// openPlaces enters every place that was asked for. One that cannot be entered stops the start: a deck that silently lacks a
// place would look as if nothing ran there.
func openPlaces(ctx context.Context, asked []awsPlace, places map[string]*cloud.Place) error {
	for _, a := range asked {
		place, err := cloud.Open(ctx, cloud.Config{Name: a.name, Region: a.region, Profile: a.profile, Endpoint: a.endpoint})
		if err != nil {
			return lora.Wrap(err, lora.KindOf(err), "The place %s cannot be entered: %s Mend that, or start without this --aws.", a.name, lora.Message(err))
		}
		who := place.Identity()
		if other, taken := places[who.ID]; taken {
			return lora.Errorf(lora.Invalid, "%s and %s are the same account in the same region (%s), so they are one place. Give one of them only; a local platform can be told apart with --local-account or --local-region.",
				other.Identity().Name, who.Name, who.ID)
		}
		places[who.ID] = place
	}
	return nil
}
