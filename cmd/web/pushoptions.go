package main

import (
	"errors"
	"flag"
	"io"

	"loradeck/internal/lora"
)

// pushOptions are what loradeck push is asked for.
type pushOptions struct {
	path      string
	adapter   string
	base      string
	tenant    string
	place     string
	component string
	url       string
	token     string
	wait      bool
	json      bool
	plain     bool // lines instead of a bar, also on a terminal
}

// parsePush reads the words after "push". Flags may stand on either side of the path.
func parsePush(args []string, getenv func(string) string) (pushOptions, error) {
	o := pushOptions{plain: getenv("TERM") == "dumb"}
	set := flag.NewFlagSet("loradeck push", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	env := func(name, fallback string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return fallback
	}
	set.StringVar(&o.adapter, "adapter", "", "")
	set.StringVar(&o.base, "base", "", "")
	set.StringVar(&o.tenant, "tenant", "", "")
	set.StringVar(&o.place, "place", "", "")
	set.StringVar(&o.component, "component", "", "")
	set.StringVar(&o.url, "url", env("LORADECK_URL", "http://127.0.0.1:8080"), "")
	set.StringVar(&o.token, "token", env("LORADECK_TOKEN", ""), "")
	set.BoolVar(&o.wait, "wait", false, "")
	set.BoolVar(&o.json, "json", false, "")
	for rest := args; ; {
		if err := set.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return o, errHelp
		} else if err != nil {
			return o, lora.Wrap(err, lora.Invalid, "%s. loradeck --help lists the flags.", sentence(err.Error()))
		}
		if set.NArg() == 0 {
			return o, o.check()
		}
		if o.path != "" {
			return o, lora.Errorf(lora.Invalid, "One adapter is pushed at a time, and both %q and %q are named.", o.path, set.Arg(0))
		}
		o.path, rest = set.Arg(0), set.Args()[1:]
	}
}

func (o pushOptions) check() error {
	switch {
	case o.path == "":
		return lora.Errorf(lora.Invalid, "Name the adapter to push: its folder, or a .zip or .tar.gz of it.")
	case o.adapter == "":
		return lora.Errorf(lora.Invalid, "Say with --adapter what the adapter is called.")
	case o.base == "":
		return lora.Errorf(lora.Invalid, "Say with --base on which base component it goes.")
	}
	for _, name := range []struct{ flag, value string }{{"--adapter", o.adapter}, {"--tenant", o.tenant}} {
		if name.value != "" && !lora.ValidName(name.value) {
			return lora.Errorf(lora.Invalid, "%s is %q. Use letters, digits, dots, underscores and hyphens, up to 63, with a letter or digit first and last.", name.flag, name.value)
		}
	}
	if o.component != "" && !lora.ValidComponentName(o.component) {
		return lora.Errorf(lora.Invalid, "--component is %q. SageMaker takes letters, digits and hyphens, up to 63, with a letter or digit first and last.", o.component)
	}
	return nil
}
