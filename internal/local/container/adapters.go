package container

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Adapter is a registered adapter.
type Adapter struct {
	Name       string
	Source     string // the directory it was loaded from
	Modules    int    // linear modules of the base it really changes; with none it answers as the base
	Registered time.Time
}

// Adapters lists what is registered, oldest first. Every registered adapter is resident.
func (c *Container) Adapters() []Adapter {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return append([]Adapter(nil), c.adapters...)
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

// load registers an adapter. One loads at a time, so that of several calls with one name exactly one succeeds.
func (c *Container) load(ctx context.Context, name, source string) *refusal {
	if name == "" || source == "" {
		return &refusal{http.StatusBadRequest, "InvalidUserInput", "Both 'lora_name' and 'lora_path' must be provided."}
	}
	c.loading.Lock()
	defer c.loading.Unlock()
	if _, taken := c.registered(name); taken {
		return &refusal{http.StatusBadRequest, "InvalidUserInput", fmt.Sprintf("The lora adapter '%s' has already been loaded.", name)}
	}
	if !c.settings.enableLora {
		return loadFailure("LoRA is not enabled. Use --enable-lora to enable LoRA.")
	}
	if !filepath.IsAbs(source) {
		// vLLM would ask the model hub and, getting nothing, go on with the name as a path.
		return &refusal{
			http.StatusNotFound, "NotFoundError",
			fmt.Sprintf("Call to add_lora method failed: Loading lora %s failed: No adapter found for %s", name, source),
		}
	}
	deltas, refused := c.decode(name, source)
	if refused == nil && len(deltas) > 0 {
		if err := c.engine.AddAdapter(name, deltas); err != nil {
			refused = loadFailure("%s", err)
		}
	}
	if refused != nil {
		c.log.WarnContext(ctx, "adapter refused", "adapter", name, "err", refused.message)
		return refused
	}
	c.mu.Lock()
	c.adapters = append(c.adapters, Adapter{Name: name, Source: source, Modules: len(deltas), Registered: c.now()})
	c.mu.Unlock()
	c.log.InfoContext(ctx, "adapter registered", "adapter", name, "modules", len(deltas))
	return nil
}

// unload takes a name away. Answers under way finish with their adapter.
func (c *Container) unload(ctx context.Context, name string) *refusal {
	c.loading.Lock()
	defer c.loading.Unlock()
	c.mu.Lock()
	i := c.index(name)
	effective := i >= 0 && c.adapters[i].Modules > 0
	if i >= 0 {
		c.adapters = append(c.adapters[:i:i], c.adapters[i+1:]...)
	}
	c.mu.Unlock()
	if i < 0 {
		return &refusal{http.StatusNotFound, "NotFoundError", fmt.Sprintf("The lora adapter '%s' cannot be found.", name)}
	}
	if effective {
		if err := c.engine.RemoveAdapter(name); err != nil {
			c.log.ErrorContext(ctx, "engine kept an adapter", "adapter", name, "err", err)
		}
	}
	c.log.InfoContext(ctx, "adapter unregistered", "adapter", name)
	return nil
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
	body, ok := readBody(w, r)
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
		refuse(w, invalid(string(compact([]any{complaint("model_type", nil, "Input should be a valid dictionary or instance of "+class, value, "class_name", class)}))))
		return
	}
	if query, isQuery := input.(string); isQuery && len(fields.keys) > 0 {
		input = query
	}
	if faults := checkRegistration(fields, input); len(faults) > 0 {
		refuse(w, invalid(string(compact(faults))))
		return
	}
	name, src := fields.get("name").(string), fields.get("src").(string)
	if refused := c.load(r.Context(), name, src); refused != nil {
		refuse(w, refused)
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
		refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Adapter %s unregistered", shownName(r, name)))
}

// v1Load and v1Unload are vLLM's own routes, which the image keeps beside /adapters.
func (c *Container) v1Load(w http.ResponseWriter, r *http.Request) {
	fields, ok := c.v1Fields(w, r, "lora_name", "lora_path")
	if !ok {
		return
	}
	if refused := c.load(r.Context(), fields["lora_name"], fields["lora_path"]); refused != nil {
		refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Success: LoRA adapter '%s' added successfully.", fields["lora_name"]))
}

func (c *Container) v1Unload(w http.ResponseWriter, r *http.Request) {
	fields, ok := c.v1Fields(w, r, "lora_name")
	if !ok {
		return
	}
	if fields["lora_name"] == "" {
		refuse(w, &refusal{http.StatusBadRequest, "InvalidUserInput", "'lora_name' needs to be provided to unload a LoRA adapter."})
		return
	}
	if refused := c.unload(r.Context(), fields["lora_name"]); refused != nil {
		refuse(w, refused)
		return
	}
	plain(w, http.StatusOK, fmt.Sprintf("Success: LoRA adapter '%s' removed successfully.", fields["lora_name"]))
}

// v1Fields reads the required texts of vLLM's own routes; their complaints are Python's repr, not JSON.
func (c *Container) v1Fields(w http.ResponseWriter, r *http.Request, keys ...string) (map[string]string, bool) {
	if !jsonContent(r) {
		refuse(w, unsupportedMedia())
		return nil, false
	}
	body, ok := readBody(w, r)
	if !ok {
		return nil, false
	}
	value, fault := v1Body(body)
	if fault != "" {
		refuse(w, invalid(fault))
		return nil, false
	}
	var faults []string
	out := map[string]string{}
	for _, key := range keys {
		field, isText := value.get(key).(string)
		switch {
		case !value.has(key):
			faults = append(faults, fmt.Sprintf("{'type': 'missing', 'loc': ('body', '%s'), 'msg': 'Field required', 'input': %s}", key, repr(value)))
		case !isText:
			faults = append(faults, fmt.Sprintf("{'type': 'string_type', 'loc': ('body', '%s'), 'msg': 'Input should be a valid string', 'input': %s}", key, repr(value.get(key))))
		}
		out[key] = field
	}
	if len(faults) > 0 {
		refuse(w, invalid("["+strings.Join(faults, ", ")+"]"))
		return nil, false
	}
	return out, true
}

// v1Body reads a body the way the web framework does for a typed route; the second result is its complaint.
func v1Body(body []byte) (*object, string) {
	value, err := parseBody(body)
	if fault, isJSON := err.(*jsonError); isJSON && len(body) > 0 {
		return nil, fmt.Sprintf("[{'type': 'json_invalid', 'loc': ('body', %d), 'msg': 'JSON decode error', 'input': {}, 'ctx': {'error': %s}}]", fault.at, reprText(fault.what))
	}
	fields, isObject := value.(*object)
	switch {
	case value == nil:
		return nil, "[{'type': 'missing', 'loc': ('body',), 'msg': 'Field required', 'input': None}]"
	case !isObject:
		return nil, fmt.Sprintf("[{'type': 'model_attributes_type', 'loc': ('body',), 'msg': 'Input should be a valid dictionary or object to extract fields from', 'input': %s}]", repr(value))
	}
	return fields, ""
}
