package container

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Adapter is a registered adapter.
type Adapter struct {
	Name       string
	Source     string // the directory it was loaded from
	Modules    int    // linear modules of the base it really changes; with none it answers as the base
	Registered time.Time
	Resident   bool // kept in the engine; one that is not is read from Source again on its next use
	Answering  bool // it has one of the places of --max-loras now
}

// Adapters lists what is registered, oldest first.
func (c *Container) Adapters() []Adapter {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := slices.Clone(c.adapters)
	for i := range out {
		out[i].Resident = slices.Contains(c.resident, out[i].Name)
		out[i].Answering = c.slots.busy(out[i].Name)
	}
	return out
}

func (c *Container) registered(name string) (a Adapter, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	i := c.index(name)
	if i < 0 {
		return Adapter{}, false
	}
	return c.adapters[i], true
}

// index is the place of name in c.adapters, or -1. The caller holds c.mu.
func (c *Container) index(name string) int {
	for i, a := range c.adapters {
		if a.Name == name {
			return i
		}
	}
	return -1
}

// load registers an adapter; again lets it take the place of one with its name. One loads at a time, so that of several
// calls with one name exactly one succeeds.
func (c *Container) load(ctx context.Context, name, source string, again bool) *refusal {
	if name == "" || source == "" {
		return &refusal{status: http.StatusBadRequest, kind: "InvalidUserInput", message: "Both 'lora_name' and 'lora_path' must be provided."}
	}
	c.loading.Lock()
	defer c.loading.Unlock()
	_, taken := c.registered(name)
	switch {
	case taken && !again:
		return c.dialect.taken(name)
	case c.dialect.ownName && name == c.settings.served:
		return &refusal{status: http.StatusBadRequest, kind: "InvalidUserInput", message: fmt.Sprintf("The lora adapter '%s' conflicts with a served base model.", name)}
	case !c.settings.enableLora:
		return c.dialect.worded(loadFailure("LoRA is not enabled. Use --enable-lora to enable LoRA."))
	case c.engine.stage() != alive:
		return c.dialect.engineGone()
	case !filepath.IsAbs(source):
		// vLLM would ask the model hub and, getting nothing, go on with the name as a path.
		return c.dialect.worded(noAdapter(name, source))
	}
	deltas, refused := c.decode(name, source)
	if refused == nil && taken {
		c.forget(ctx, name)
	}
	if refused == nil {
		refused = c.keep(ctx, name, deltas)
	}
	if refused != nil {
		refused = c.dialect.worded(refused)
		c.log.WarnContext(ctx, "adapter refused", "adapter", name, "err", refused.message)
		return refused
	}
	c.mu.Lock()
	c.adapters = append(c.adapters, Adapter{Name: name, Source: source, Modules: len(deltas), Registered: c.now()})
	c.found(name)
	c.mu.Unlock()
	c.log.InfoContext(ctx, "adapter registered", "adapter", name, "modules", len(deltas))
	return nil
}

// unload takes a name away. Answers under way finish with their adapter.
func (c *Container) unload(ctx context.Context, name string) *refusal {
	c.loading.Lock()
	defer c.loading.Unlock()
	if !c.forget(ctx, name) {
		return &refusal{status: http.StatusNotFound, kind: "NotFoundError", message: fmt.Sprintf("The lora adapter '%s' cannot be found.", name)}
	}
	c.log.InfoContext(ctx, "adapter unregistered", "adapter", name)
	return nil
}

// forget takes an adapter out of the list and the engine; false when there is none. The caller holds c.loading.
func (c *Container) forget(ctx context.Context, name string) bool {
	c.evict(ctx, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found(name)
	i := c.index(name)
	if i >= 0 {
		c.adapters = append(c.adapters[:i:i], c.adapters[i+1:]...)
	}
	return i >= 0
}

// found takes a name off the list of what a dead engine forgot. The caller holds c.mu.
func (c *Container) found(name string) {
	c.lost = slices.DeleteFunc(c.lost, func(lost string) bool { return lost == name })
}

// shownName is the name in the texts of /adapters: the alias header changes them and nothing else.
func shownName(r *http.Request, name string) string {
	if alias := r.Header.Get("X-Amzn-SageMaker-Adapter-Alias"); alias != "" {
		return alias
	}
	return name
}

// register serves POST /adapters: name and src as JSON, whatever the content type says, or in the query when the body is no
// JSON. preload and pin are checked and ignored.
func (c *Container) register(w http.ResponseWriter, r *http.Request) {
	body, ok := c.readBody(w, r)
	if !ok {
		return
	}
	value, err := parseBody(body)
	var input any = value
	if err != nil {
		value, input = fromQuery(r.URL.Query()), r.URL.RawQuery
	}
	fields, isObject := value.(*object)
	if !isObject {
		const class = "SageMakerRegisterLoRAAdapterRequest"
		c.refuse(w, invalid(string(compact([]any{complaint("model_type", nil, "Input should be a valid dictionary or instance of "+class, value, "class_name", class)}))))
		return
	}
	if query, isQuery := input.(string); isQuery && len(fields.keys) > 0 {
		input = query
	}
	if faults := checkRegistration(fields, input); len(faults) > 0 {
		c.refuse(w, invalid(string(compact(faults))))
		return
	}
	name, src := fields.get("name").(string), fields.get("src").(string)
	if refused := c.load(r.Context(), name, src, false); refused != nil {
		c.refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Adapter %s registered", shownName(r, name)))
}

func fromQuery(query url.Values) *object {
	out := &object{}
	for _, key := range []string{"name", "src", "preload", "pin"} {
		if query.Has(key) {
			list := query[key]
			out.set(key, list[len(list)-1])
		}
	}
	return out
}

// complaint is one entry of pydantic's list of errors.
func complaint(kind string, loc []any, message string, input any, context ...string) *object {
	out := &object{}
	if loc == nil {
		loc = []any{}
	}
	out.set("type", kind)
	out.set("loc", loc)
	out.set("msg", message)
	out.set("input", input)
	if len(context) == 2 {
		ctx := &object{}
		ctx.set(context[0], context[1])
		out.set("ctx", ctx)
	}
	return out
}

// checkRegistration finds every fault, in the order of the fields.
func checkRegistration(fields *object, input any) []any {
	var faults []any
	for _, key := range []string{"name", "src"} {
		value := fields.get(key)
		switch s, isText := value.(string); {
		case !fields.has(key):
			faults = append(faults, complaint("missing", []any{key}, "Field required", input))
		case !isText:
			faults = append(faults, complaint("string_type", []any{key}, "Input should be a valid string", value))
		case s == "":
			words := "The parameter " + key + " cannot be an empty string"
			faults = append(faults, complaint("value_error", []any{key}, "Value error, "+words, value, "error", words))
		}
	}
	for _, key := range []string{"preload", "pin"} {
		value := fields.get(key)
		if !fields.has(key) {
			continue
		}
		if _, ok := asBoolean(value); ok {
			continue
		}
		kind, words := "bool_type", "Input should be a valid boolean"
		if _, isText := value.(string); isText {
			kind, words = "bool_parsing", words+", unable to interpret input"
		}
		faults = append(faults, complaint(kind, []any{key}, words, value))
	}
	return faults
}

// unregister serves DELETE /adapters/{name}.
func (c *Container) unregister(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/adapters/")
	if refused := c.unload(r.Context(), name); refused != nil {
		c.refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Adapter %s unregistered", shownName(r, name)))
}

// v1Load and v1Unload are vLLM's own routes, which the image keeps beside /adapters. Loading in place is theirs alone: the
// image drops load_inplace from /adapters (recordings).
func (c *Container) v1Load(w http.ResponseWriter, r *http.Request) {
	fields, ok := c.v1Fields(w, r, "lora_name", "lora_path")
	if !ok {
		return
	}
	name, path := fields.get("lora_name").(string), fields.get("lora_path").(string)
	again, _ := asBoolean(fields.get("load_inplace"))
	if refused := c.load(r.Context(), name, path, again && c.dialect.inPlace); refused != nil {
		c.refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Success: LoRA adapter '%s' added successfully.", name))
}

func (c *Container) v1Unload(w http.ResponseWriter, r *http.Request) {
	fields, ok := c.v1Fields(w, r, "lora_name")
	if !ok {
		return
	}
	name := fields.get("lora_name").(string)
	if name == "" {
		c.refuse(w, &refusal{status: http.StatusBadRequest, kind: "InvalidUserInput", message: "'lora_name' needs to be provided to unload a LoRA adapter."})
		return
	}
	if refused := c.unload(r.Context(), name); refused != nil {
		c.refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Success: LoRA adapter '%s' removed successfully.", name))
}

// v1Fields reads the required texts of vLLM's own routes; their complaints are Python's repr, not JSON.
func (c *Container) v1Fields(w http.ResponseWriter, r *http.Request, keys ...string) (*object, bool) {
	fields, ok := c.v1Request(w, r)
	if !ok {
		return nil, false
	}
	var faults []misfit
	for _, key := range keys {
		at := []any{"body", key}
		switch _, isText := fields.get(key).(string); {
		case !fields.has(key):
			faults = append(faults, misfit{kind: "missing", at: at, message: "Field required", input: fields})
		case !isText:
			faults = append(faults, misfit{kind: "string_type", at: at, message: "Input should be a valid string", input: fields.get(key)})
		}
	}
	if len(faults) > 0 {
		c.refuse(w, c.dialect.invalidFields(faults...))
		return nil, false
	}
	return fields, true
}

// v1Body reads a body the way the web framework does for a typed route.
func v1Body(body []byte) (*object, *misfit) {
	value, err := parseBody(body)
	if wrong, isJSON := err.(*jsonError); isJSON && len(body) > 0 {
		return nil, &misfit{kind: "json_invalid", at: []any{"body", wrong.at}, message: "JSON decode error", input: &object{}, context: reprText(wrong.what)}
	}
	fields, isObject := value.(*object)
	switch {
	case value == nil:
		return nil, &misfit{kind: "missing", at: []any{"body"}, message: "Field required"}
	case !isObject:
		return nil, &misfit{kind: "model_attributes_type", at: []any{"body"}, message: "Input should be a valid dictionary or object to extract fields from", input: value}
	}
	return fields, nil
}
