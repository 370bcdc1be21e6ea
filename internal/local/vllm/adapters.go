package vllm

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// register makes vLLM load the adapter in dir under name. A name that it has already, from before the platform started, is as
// good when it is of the same directory, and makes room otherwise.
func (c *Container) register(ctx context.Context, name, dir string) (answer, error) {
	dir = c.server.seen(dir)
	c.want(name, dir)
	got, err := c.load(ctx, name, dir)
	if err != nil || got.status == http.StatusOK {
		return got, err
	}
	if strings.Contains(string(got.body), "has already been loaded") {
		root, err := c.rootOf(ctx, name)
		if err != nil {
			return answer{}, err
		}
		if root == dir {
			return answer{status: http.StatusOK, body: []byte("Adapter " + name + " registered")}, nil
		}
		if _, err := c.unload(ctx, name); err != nil {
			return answer{}, err
		}
		if got, err = c.load(ctx, name, dir); err != nil || got.status == http.StatusOK {
			return got, err
		}
	}
	c.want(name, "") // it was refused, and would be again
	return got, nil
}

// want keeps what vLLM is to have under name; nothing when dir is empty.
func (c *Container) want(name, dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dir == "" {
		delete(c.wanted, name)
		return
	}
	c.wanted[name] = dir
}

// again registers an adapter that vLLM has forgotten, and reports whether it has it now.
func (c *Container) again(ctx context.Context, name string) bool {
	c.mu.Lock()
	dir := c.wanted[name]
	c.mu.Unlock()
	if dir == "" {
		return false
	}
	got, err := c.load(ctx, name, dir)
	if err != nil {
		return false
	}
	// Another request may have been first.
	has := got.status == http.StatusOK || strings.Contains(string(got.body), "has already been loaded")
	c.log.InfoContext(ctx, "adapter registered again: vLLM had forgotten it", "adapter", name, "status", got.status)
	return has
}

// load asks by the image's route, and by vLLM's own where that is not there.
func (c *Container) load(ctx context.Context, name, dir string) (answer, error) {
	defer c.changed()
	got, err := c.within(ctx, http.MethodPost, "/adapters?"+url.Values{"name": {name}, "src": {dir}}.Encode(), nil)
	if err == nil && got.unknownRoute() {
		got, err = c.within(ctx, http.MethodPost, "/v1/load_lora_adapter", map[string]string{"lora_name": name, "lora_path": dir})
	}
	return got, err
}

// unregister takes a name away.
func (c *Container) unregister(ctx context.Context, name string) (answer, error) {
	c.want(name, "")
	return c.unload(ctx, name)
}

func (c *Container) unload(ctx context.Context, name string) (answer, error) {
	defer c.changed()
	got, err := c.within(ctx, http.MethodDelete, "/adapters/"+url.PathEscape(name), nil)
	if err == nil && got.unknownRoute() {
		got, err = c.within(ctx, http.MethodPost, "/v1/unload_lora_adapter", map[string]string{"lora_name": name})
	}
	return got, err
}

// within asks for something that a server does while the caller waits, with a JSON body unless that is nil.
func (c *Container) within(ctx context.Context, method, path string, body map[string]string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if body == nil {
		return c.server.send(ctx, method, path, "", nil)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	return c.server.send(ctx, method, path, "application/json", text)
}

// rootOf is the directory that vLLM says an adapter is from, "" when it has none of that name.
func (c *Container) rootOf(ctx context.Context, name string) (string, error) {
	all, err := c.listed(ctx)
	if err != nil {
		return "", err
	}
	for _, one := range all {
		if one.ID == name {
			return one.Root, nil
		}
	}
	return "", nil
}

// listed are the base and the adapters that vLLM has.
func (c *Container) listed(ctx context.Context) ([]card, error) {
	got, err := c.within(ctx, http.MethodGet, "/v1/models", nil)
	if err != nil {
		return nil, err
	}
	return cards(got.body)
}

// Adapter is one that vLLM has, or is to have.
type Adapter struct {
	Name   string
	Loaded bool // vLLM has it now; else its next request registers it again
}

// believed is how long vLLM's list of what it has is taken for true. The platform's own calls are all that changes it, but for those
// of others and a restart.
const believed = 10 * time.Second

// Adapters lists the adapters that vLLM has now, whoever loaded them, those of other bases on it too, and those that it is to have. It
// asks vLLM when something may have changed, and every ten seconds: a person who looks on should not fill vLLM's log.
func (c *Container) Adapters(ctx context.Context) ([]Adapter, error) {
	names, err := c.loaded(ctx)
	if err != nil {
		return nil, err
	}
	var all []Adapter
	for _, name := range names {
		all = append(all, Adapter{name, true})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.wanted)) {
		if !slices.Contains(names, name) {
			all = append(all, Adapter{name, false})
		}
	}
	return all, nil
}

// loaded are the names of the adapters that vLLM has.
func (c *Container) loaded(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	has, fresh, moves := c.has, c.now().Before(c.until), c.moves
	c.mu.Unlock()
	if fresh {
		return has, nil
	}
	ctx, cancel := context.WithTimeout(ctx, greetLimit)
	defer cancel()
	all, err := c.listed(ctx)
	if err != nil {
		return nil, err
	}
	has = nil
	for _, one := range all {
		if one.Parent != nil {
			has = append(has, one.ID)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if moves == c.moves {
		c.has, c.until = has, c.now().Add(believed)
	}
	return has, nil
}

// changed says that what vLLM has may be something else now.
func (c *Container) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved()
}

// moved is changed for a caller that holds mu.
func (c *Container) moved() {
	c.until = time.Time{}
	c.moves++
}
