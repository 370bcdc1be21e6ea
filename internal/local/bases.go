package local

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/local/vllm"
	"loradeck/internal/lora"
)

// Base is a base of the user's own. Its model is called by its name, and its component by that with "-base" behind it.
//
// A base is there after the start that names it: one that was taken down, or failed, is made again. What was made stays when a
// later start does not name it. One in service is left alone, even when its folder has changed or its vLLM says otherwise of
// itself: adapters may stand on it.
type Base struct {
	Name string
	Dir  string // Hugging Face directory. For a vLLM it is optional, and only what describes the base is read
	URL  string // of the vLLM that serves it; "" is the built-in engine
	Key  string // API key of that vLLM
	Seen string // where that vLLM sees the adapters' directory, when not by its own path
	Rank int    // largest rank of an adapter, 0 when it is not told
}

// Ranks and adapters that the built-in engine takes beside a base whose user said nothing of it: any rank that is common in
// the wild, and a handful of adapters, which it holds at their own size.
const (
	baseRank     = 64
	baseLoras    = 4
	baseCPULoras = 32
)

// Component is the name of its component.
func (b Base) Component() string { return b.Name + "-base" }

// nameForm leaves room for "-base" within SageMaker's 63 characters.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,57}$`)

// CheckName says what is wrong with a base's name, or nil.
func CheckName(name string) error {
	switch {
	case !nameForm.MatchString(name):
		return lora.Errorf(lora.Invalid, "%q cannot be a base's name. Use up to 58 letters, digits and hyphens, with a letter or digit at both ends.", name)
	case strings.EqualFold(name, demoModel):
		return lora.Errorf(lora.Invalid, "%s is the demo's base. Choose another name.", demoModel)
	}
	return nil
}

// check refuses bases that cannot be made, before anything is.
func (c Config) check() error {
	taken := map[string]bool{}
	for _, b := range c.Bases {
		if err := CheckName(b.Name); err != nil {
			return err
		}
		if name := strings.ToLower(b.Name); taken[name] {
			return lora.Errorf(lora.Invalid, "Two bases are to be called %s. Give one of them another name.", b.Name)
		} else {
			taken[name] = true
		}
		if b.Dir == "" {
			continue
		}
		if err := checkModel(b.Name, b.Dir, os.DirFS(b.Dir), b.URL == ""); err != nil {
			return err
		}
	}
	return nil
}

// serverImage begins the image of a model that a running vLLM serves; the base's name follows, and a version as the tag.
const serverImage = "local/vllm-server/"

// server is the vLLM that a model with this image is served by, if it is such a model.
func (s *Server) server(image string) (at vllm.Server, is bool, err error) {
	rest, is := strings.CutPrefix(image, serverImage)
	if !is {
		return vllm.Server{}, false, nil
	}
	name, _, _ := strings.Cut(rest, ":")
	for _, b := range s.config.Bases {
		if b.Name == name && b.URL != "" {
			at, err = s.reached(b)
			return at, true, err
		}
	}
	return vllm.Server{}, true, lora.Errorf(lora.Unavailable, "This base is served by a vLLM that Loradeck was not told of at this start. Start it with --local-vllm %s=URL, or remove the base.", name)
}

// reached is a base's vLLM as the platform reaches it.
func (s *Server) reached(b Base) (vllm.Server, error) {
	here, err := s.scratch()
	return vllm.Server{URL: b.URL, Key: b.Key, Here: here, There: b.Seen}, err
}

// scratch is the directory below which the control plane keeps what its containers read.
func (s *Server) scratch() (string, error) {
	return filepath.Abs(filepath.Join(s.config.Dir, "containers"))
}

// provide makes a base, or sees that it is there.
func (s *Server) provide(ctx context.Context, b Base) error {
	if b.URL == "" {
		return s.provideModel(ctx, b, offer{image: demoImage, dir: b.Dir, weights: true, environment: object{
			lora.EnvEnableLora: "true", lora.EnvRuntimeUpdate: "true", lora.EnvMaxLoraRank: strconv.Itoa(baseRank),
			lora.EnvMaxLoras: strconv.Itoa(baseLoras), lora.EnvMaxCPULoras: strconv.Itoa(baseCPULoras),
		}})
	}
	at, err := s.reached(b)
	if err != nil {
		return err
	}
	about, err := at.Ask(ctx)
	if err == nil {
		return s.provideModel(ctx, b, s.offered(b, about))
	}
	// The component says what is wrong. It is made again, with what vLLM tells of itself, as soon as that answers.
	if err := s.provideModel(ctx, b, s.offered(b, vllm.About{Loads: true})); err != nil {
		return err
	}
	s.config.Log.WarnContext(ctx, "vLLM not there yet", "base", b.Component(), "err", err)
	for err != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
		about, err = at.Ask(ctx)
	}
	return s.provideModel(ctx, b, s.offered(b, about))
}

// offer is what a base is made of.
type offer struct {
	image       string
	dir         string // "" has no files
	weights     bool   // copied too
	card        []byte // a file of its own, what vLLM says of the base
	environment object
}

// offered is what a base is made of that vLLM serves. Its description comes from the folder that was named, else from where
// vLLM has it, when that is a folder of this machine.
func (s *Server) offered(b Base, about vllm.About) offer {
	o := offer{image: serverImage + b.Name, dir: b.Dir, card: about.Card, environment: object{lora.EnvEnableLora: "true"}}
	if about.Version != "" {
		o.image += ":" + about.Version
	}
	if about.Card == nil {
		o.card = []byte("{}")
	}
	at, err := url.Parse(b.URL)
	if o.dir == "" && err == nil && onThisMachine(at.Hostname()) && filepath.IsAbs(about.Root) &&
		checkModel(b.Name, about.Root, os.DirFS(about.Root), false) == nil {
		o.dir = about.Root
	}
	if about.Loads {
		o.environment[lora.EnvRuntimeUpdate] = "true"
	}
	for name, value := range map[string]int{lora.EnvMaxLoraRank: b.Rank, lora.EnvMaxLoras: about.MaxLoras, lora.EnvMaxModelLen: about.Context} {
		if value > 0 {
			o.environment[name] = strconv.Itoa(value)
		}
	}
	if about.Model != "" {
		o.environment[servedName] = about.Model
	}
	return o
}

const (
	// cardFile is the file of a vLLM's base that is always there.
	cardFile = "vllm-model-card.json"
	// servedName is what a vLLM calls its base. A model has it once that vLLM has answered.
	servedName = "SM_VLLM_SERVED_MODEL_NAME"
)

// provideModel makes a base of what is offered. One that is in service, or on its way, is left as it is, unless it is of the little
// that was known before its vLLM answered.
func (s *Server) provideModel(ctx context.Context, b Base, o offer) error {
	files, err := o.files(b.Name + "/")
	if err != nil {
		return err
	}
	c := client{s}
	missing, extra, err := c.stale(ctx, s.bucket(), b.Name+"/", files)
	if err != nil {
		return err
	}
	status, err := c.componentStatus(ctx, b.Component())
	if err != nil {
		return err
	}
	thin := false
	if o.environment[servedName] != nil {
		if thin, err = c.thin(ctx, b.Name); err != nil {
			return err
		}
	}
	for thin && status == "Creating" { // SageMaker deletes no component in that state
		if status, err = c.later(ctx, b.Component()); err != nil {
			return err
		}
	}
	if status != "" && status != "Failed" && !thin {
		if b.URL == "" && len(missing)+len(extra) > 0 {
			s.config.Log.WarnContext(ctx, "the base's folder has changed since the base was made; remove the base and start again to have it made of what is there now", "base", b.Component(), "dir", o.dir)
		}
		return nil
	}
	if err := s.putFiles(ctx, missing, extra); err != nil {
		return err
	}
	if err := c.replaceModel(ctx, b.Name, s.modelInput(b.Name, o.image, o.environment)); err != nil {
		return err
	}
	if err := s.makeEndpoint(ctx); err != nil {
		return err
	}
	if status != "" {
		if err := c.removeComponent(ctx, b.Component()); err != nil {
			return err
		}
	}
	return c.create(ctx, "CreateInferenceComponent", baseInput(b.Component(), b.Name, memoryOf(files)))
}

// files are what is to lie below a prefix.
func (o offer) files(prefix string) ([]file, error) {
	var files []file
	if o.dir != "" {
		dir := os.DirFS(o.dir)
		names, err := modelFiles(dir, o.weights)
		if err != nil {
			return nil, err
		}
		if files, err = filesOf(dir, prefix, names); err != nil {
			return nil, err
		}
	}
	if o.card != nil {
		files = append(files, file{key: prefix + cardFile, size: int64(len(o.card)), mark: "none", open: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(o.card)), nil
		}})
	}
	return files, nil
}

func (s *Server) putFiles(ctx context.Context, missing []file, extra []string) error {
	c := client{s}
	if err := c.makeBucket(ctx, s.bucket()); err != nil {
		return err
	}
	for _, key := range extra {
		got, err := c.ask(ctx, http.MethodDelete, objectPath(s.bucket(), key), "s3", "", nil)
		if err == nil {
			err = good("delete "+key, got)
		}
		if err != nil {
			return err
		}
	}
	for _, f := range missing {
		if err := c.put(ctx, s.bucket(), f); err != nil {
			return err
		}
	}
	return nil
}

// memoryOf is what is held for a base of these files, in MiB: its weights, as much again for the tokens of its requests, and what
// the demo needs; at most reservedMemory, because the endpoint's instance is this machine, whatever its type has.
func memoryOf(files []file) int64 {
	memory := int64(demoMemory)
	for _, f := range files {
		if path.Ext(f.key) == ".safetensors" {
			memory += 2 * f.size >> 20
		}
	}
	return min(memory, reservedMemory)
}

// componentStatus is a component's status, "" when there is none.
func (c client) componentStatus(ctx context.Context, name string) (string, error) {
	var out struct{ InferenceComponentStatus string }
	err := c.describe(ctx, "DescribeInferenceComponent", object{"InferenceComponentName": name}, &out)
	return out.InferenceComponentStatus, err
}

// describe decodes what an operation answers; what is not there leaves out as it is.
func (c client) describe(ctx context.Context, operation string, input object, out any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	status, text, err := c.send(ctx, http.MethodPost, "/", "sagemaker", operation, body)
	switch {
	case err != nil:
		return err
	case status == http.StatusBadRequest && strings.Contains(string(text), "Could not find"):
		return nil
	case status != http.StatusOK:
		return fmt.Errorf("%s answers %d: %s", operation, status, text)
	}
	return json.Unmarshal(text, out)
}

// madeModel is what DescribeModel tells of a model. Without an image there is none.
type madeModel struct {
	PrimaryContainer struct {
		Image       string
		Environment map[string]string
	}
}

func (c client) model(ctx context.Context, name string) (madeModel, error) {
	var there madeModel
	err := c.describe(ctx, "DescribeModel", object{"ModelName": name}, &there)
	return there, err
}

// thin reports whether a base's model is of what was known before its vLLM answered.
func (c client) thin(ctx context.Context, name string) (bool, error) {
	there, err := c.model(ctx, name)
	_, told := there.PrimaryContainer.Environment[servedName]
	return strings.HasPrefix(there.PrimaryContainer.Image, serverImage) && !told, err
}

// replaceModel makes a model, in the place of one that is different.
func (c client) replaceModel(ctx context.Context, name string, input object) error {
	there, err := c.model(ctx, name)
	if err != nil {
		return err
	}
	container := input["PrimaryContainer"].(object)
	wanted := map[string]string{}
	for key, value := range container["Environment"].(object) {
		wanted[key] = value.(string)
	}
	if there.PrimaryContainer.Image != "" {
		if there.PrimaryContainer.Image == container["Image"] && maps.Equal(there.PrimaryContainer.Environment, wanted) {
			return nil
		}
		if err := c.create(ctx, "DeleteModel", object{"ModelName": name}); err != nil {
			return err
		}
	}
	return c.create(ctx, "CreateModel", input)
}

// removeComponent deletes a component and waits until it has gone.
func (c client) removeComponent(ctx context.Context, name string) error {
	if err := c.create(ctx, "DeleteInferenceComponent", object{"InferenceComponentName": name}); err != nil {
		return err
	}
	for {
		status, err := c.later(ctx, name)
		if err != nil || status == "" {
			return err
		}
	}
}

// later is componentStatus in a moment.
func (c client) later(ctx context.Context, name string) (string, error) {
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case <-time.After(50 * time.Millisecond):
		return c.componentStatus(ctx, name)
	}
}
