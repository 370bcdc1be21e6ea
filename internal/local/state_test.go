package local_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"loradeck/internal/local"
	"loradeck/internal/local/demo"
)

// packed is a directory's files as an adapter's artifact.
func packed(t *testing.T, dir fs.FS) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	if err := archive.AddFS(dir); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// peopled is a platform with the demo's base and samples in service.
func peopled(t *testing.T) *local.Server {
	t.Helper()
	s := open(t, t.TempDir(), demo.Base())
	if err := s.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	serving(t, s)
	if status, _, body := send(t, s, "PUT", "/samples", "", "Authorization", signed("s3")); status != 200 {
		t.Fatalf("create a bucket: %d %s", status, body)
	}
	for _, sample := range demo.Samples() {
		if status, _, body := send(t, s, "PUT", "/samples/"+sample.Name+".tar.gz", string(packed(t, sample.Files)), "Authorization", signed("s3")); status != 200 {
			t.Fatalf("put %s: %d %s", sample.Name, status, body)
		}
		if !operate(t, s, "CreateInferenceComponent", `{"InferenceComponentName":"`+sample.Name+`","EndpointName":"local","Specification":{"BaseInferenceComponentName":"tiny-llama-base",
			"Container":{"ArtifactUrl":"s3://samples/`+sample.Name+`.tar.gz"}}}`, nil) {
			t.Fatalf("create %s: refused", sample.Name)
		}
		if status, reason := settled(t, s, sample.Name); status != "InService" {
			t.Fatalf("%s is %s: %s", sample.Name, status, reason)
		}
	}
	return s
}

// told is the part of the state that these tests look at.
type told struct {
	Containers []struct {
		Life     string
		Died     time.Time
		Lost     []string
		Dead     bool
		Adapters []struct {
			Name string
			Dead bool
		}
	}
	Components []struct {
		Name, Base string
		Held       bool
	}
}

func state(t *testing.T, s *local.Server) (now told) {
	t.Helper()
	_, _, body := send(t, s, "GET", "/_local/state", "")
	if err := json.Unmarshal([]byte(body), &now); err != nil || len(now.Containers) != 1 {
		t.Fatalf("state: %v, %s", err, body)
	}
	return now
}

func TestStateTellsWhatAnswersNothingAlthoughInService(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	for resource, dead := range map[string][]string{
		"pirate": {"pirate"}, "tiny-llama-base": {"base", "chinese", "json", "pirate", "support"}, "local": {"base", "chinese", "json", "pirate", "support"}, "other": nil,
	} {
		set(t, s, `{"kind":"dead-in-service","resource":"`+resource+`"}`)
		c := state(t, s).Containers[0]
		var got []string
		if c.Dead {
			got = append(got, "base")
		}
		for _, a := range c.Adapters {
			if a.Dead {
				got = append(got, a.Name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, dead) {
			t.Errorf("set for %s: %v are dead, want %v", resource, got, dead)
		}
		if status, _ := invoke(t, s, "pirate"); (status == 424) != slices.Contains(dead, "pirate") {
			t.Errorf("set for %s: invoking the adapter answers %d", resource, status)
		}
		send(t, s, "DELETE", "/_local/faults", "")
	}
	if c := state(t, s).Containers[0]; c.Dead || c.Adapters[0].Dead {
		t.Error("it is dead after the release")
	}
}

func TestStateTellsWhatAnEngineForgot(t *testing.T) {
	t.Parallel()
	s := peopled(t)
	set(t, s, `{"kind":"engine-crash","resource":"tiny-llama-base","calls":1}`)
	if status, body := invoke(t, s, "pirate"); status == 200 {
		t.Fatalf("the engine was to die: %d %s", status, body)
	}
	var now told
	eventually(t, "the engine is back", func() bool {
		now = state(t, s)
		return now.Containers[0].Life == "running"
	})
	if c := now.Containers[0]; c.Died.IsZero() || strings.Join(c.Lost, " ") != "pirate json chinese support" || len(c.Adapters) > 0 {
		t.Errorf("back again the container is %+v", c)
	}
	for _, c := range now.Components {
		if base := c.Name == "tiny-llama-base"; c.Held != base || (c.Base == "tiny-llama-base") == base {
			t.Errorf("back again %+v", c)
		}
	}
}
