package main

import (
	"net/url"
	"strconv"
	"strings"

	"loradeck/internal/local"
	"loradeck/internal/lora"
)

// baseFlags collects --local-model or --local-vllm, which may be given several times.
type baseFlags struct {
	flag  string
	read  func(text string) (local.Base, error)
	bases *[]local.Base
	fresh bool // what is there comes from the environment: the first flag replaces it
}

// String is for package flag.
func (f *baseFlags) String() string { return "" }

// Set reads one base.
func (f *baseFlags) Set(text string) error {
	b, err := f.read(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	if err := local.CheckName(b.Name); err != nil {
		return lora.Errorf(lora.Invalid, "%s has a bad name: %s", f.flag, lora.Message(err)) // package flag would print a cause too
	}
	if f.fresh {
		*f.bases, f.fresh = nil, false
	}
	*f.bases = append(*f.bases, b)
	return nil
}

// fromEnvironment takes what a variable holds, with ; between the bases.
func (f *baseFlags) fromEnvironment(text string) error {
	if text == "" {
		return nil
	}
	for one := range strings.SplitSeq(text, ";") {
		if err := f.Set(one); err != nil {
			return err
		}
	}
	f.fresh = true
	return nil
}

// readModel reads NAME=DIR.
func readModel(text string) (local.Base, error) {
	name, dir, _ := strings.Cut(text, "=")
	if dir == "" {
		return local.Base{}, lora.Errorf(lora.Invalid, "--local-model is %q; it needs a name and a folder, like smollm2=./SmolLM2-135M", text)
	}
	return local.Base{Name: name, Dir: dir}, nil
}

// readVLLM reads NAME=URL[,model=DIR][,seen=DIR][,rank=N].
func readVLLM(text string) (local.Base, error) {
	name, rest, _ := strings.Cut(text, "=")
	parts := strings.Split(rest, ",")
	at, err := url.Parse(parts[0])
	switch {
	case err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https":
		return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm is %q; it needs a name and an http or https address, like llama=http://127.0.0.1:8000", name+"=…")
	case at.User != nil:
		return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm %s has a password in its address; an API key goes into LORADECK_LOCAL_VLLM_KEY", name)
	case strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.Fragment != "":
		return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm %s=%s has a path; give the server's address alone, like http://127.0.0.1:8000", name, parts[0])
	}
	b := local.Base{Name: name, URL: at.Scheme + "://" + at.Host}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case value == "":
			return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm %s has %q; use model=, seen= or rank= with a value", name, part)
		case key == "model":
			b.Dir = value
		case key == "seen" && !strings.HasPrefix(value, "/"):
			return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm %s has seen=%s; give the whole path, from / on, as vLLM sees it", name, value)
		case key == "seen":
			b.Seen = value
		case key == "rank":
			if b.Rank, err = strconv.Atoi(value); err != nil || b.Rank < 1 {
				return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm %s has rank=%s; give vLLM's --max-lora-rank, like rank=64", name, value)
			}
		default:
			return local.Base{}, lora.Errorf(lora.Invalid, "--local-vllm %s has %q; it knows model=, seen= and rank=", name, part)
		}
	}
	return b, nil
}

// localBases are the bases of both flags as the local platform takes them.
func (o options) localBases() []local.Base {
	bases := append([]local.Base(nil), o.models...)
	for _, b := range o.servers {
		b.Key = o.vllmKey
		bases = append(bases, b)
	}
	return bases
}
