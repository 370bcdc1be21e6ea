package container

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
)

type modelList struct {
	Object string      `json:"object"`
	Data   []modelCard `json:"data"`
}

type modelCard struct {
	ID          string       `json:"id"`
	Object      string       `json:"object"`
	Created     int64        `json:"created"`
	OwnedBy     string       `json:"owned_by"`
	Root        string       `json:"root"`
	Parent      *string      `json:"parent"`
	MaxModelLen *int         `json:"max_model_len"`
	Permission  []permission `json:"permission"`
}

type permission struct {
	ID                 string  `json:"id"`
	Object             string  `json:"object"`
	Created            int64   `json:"created"`
	AllowCreateEngine  bool    `json:"allow_create_engine"`
	AllowSampling      bool    `json:"allow_sampling"`
	AllowLogprobs      bool    `json:"allow_logprobs"`
	AllowSearchIndices bool    `json:"allow_search_indices"`
	AllowView          bool    `json:"allow_view"`
	AllowFineTuning    bool    `json:"allow_fine_tuning"`
	Organization       string  `json:"organization"`
	Group              *string `json:"group"`
	IsBlocking         bool    `json:"is_blocking"`
}

// models lists the base and every registered adapter.
func (c *Container) models(w http.ResponseWriter, _ *http.Request) {
	card := func(id, root string, parent *string, length *int) modelCard {
		created := c.now().Unix()
		return modelCard{
			ID: id, Object: "model", Created: created, OwnedBy: "vllm", Root: root, Parent: parent, MaxModelLen: length,
			Permission: []permission{{
				ID: "modelperm-" + c.dialect.randomID(), Object: "model_permission", Created: created,
				AllowSampling: true, AllowLogprobs: true, AllowView: true, Organization: "*",
			}},
		}
	}
	list := modelList{Object: "list", Data: []modelCard{card(c.settings.served, modelPath, nil, &c.context)}}
	for _, a := range c.Adapters() {
		list.Data = append(list.Data, card(a.Name, a.Source, &c.settings.served, nil))
	}
	writeJSON(w, http.StatusOK, list)
}

// randomID is 32 hex digits, 16 in later versions.
func (d dialect) randomID() string {
	var raw [16]byte
	rand.Read(raw[:])
	if d.shortIDs {
		return hex.EncodeToString(raw[:8])
	}
	return hex.EncodeToString(raw[:])
}

func (c *Container) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Version string `json:"version"`
	}{c.dialect.version})
}

// serverLoad is vLLM's /load: zero unless load tracking was asked for, which it never is here.
func (c *Container) serverLoad(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		ServerLoad int `json:"server_load"`
	}{0})
}
