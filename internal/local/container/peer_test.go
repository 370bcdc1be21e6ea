package container

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// peer is the real vLLM that VLLM_URL names (make test-vllm starts one): what is compared with the recordings is then what that
// answers, with no container of ours in between. It was set up as the recorded servers were.
func peer() (url string, real bool) {
	url = os.Getenv("VLLM_URL")
	return url, url != ""
}

// served gives the address of a server that is set up as recorded: the real one, or a container on the built-in engine unless open
// is another. Only ours can be started anew with changes; a caller asks for none of a real one.
func served(t *testing.T, version, dir string, open Opener, changes map[string]string) string {
	t.Helper()
	if url, real := peer(); real {
		emptied(t, url)
		return url
	}
	server := httptest.NewServer(startVersion(t, version, dir, open, changes))
	t.Cleanup(server.Close)
	return server.URL
}

// registered are the base and the adapters that a server lists.
func registered(t *testing.T, url string) []modelCard {
	t.Helper()
	exchange := recorded{Name: "models"}
	exchange.Request.Method, exchange.Request.Path = "GET", "/v1/models"
	var list modelList
	if err := json.Unmarshal([]byte(exchange.send(t, url).Body), &list); err != nil || len(list.Data) == 0 {
		t.Fatalf("%s lists no models: %v", url, err)
	}
	return list.Data
}

// emptied takes away what an earlier run left on a real server.
func emptied(t *testing.T, url string) {
	t.Helper()
	for _, model := range registered(t, url) {
		if model.Parent != nil {
			post(t, url, "/v1/unload_lora_adapter", "", string(compact(map[string]string{"lora_name": model.ID})))
		}
	}
}

// peerVersion is the recorded version that the real server is of.
func peerVersion(t *testing.T, url string) string {
	t.Helper()
	exchange := recorded{Name: "version"}
	exchange.Request.Method, exchange.Request.Path = "GET", "/version"
	body := exchange.send(t, url).Body
	for _, version := range recordedVersions {
		if strings.Contains(body, version) {
			return version
		}
	}
	t.Fatalf("the server at %s says it is %s; recorded are %v", url, body, recordedVersions)
	return ""
}
