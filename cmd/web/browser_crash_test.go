//go:build browser

package main

import (
	"database/sql"
	"encoding/xml"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"loradeck/internal/cloud"
)

func TestBrowserKilledJobEndsProvenAndNothingIsDoubled(t *testing.T) {
	for _, step := range []string{"upload", "create", "in service", "prove"} {
		t.Run(step, func(t *testing.T) {
			p := startProcess(t)
			b := openTab(t)
			b.expects("WebSocket connection to")
			b.open(p.url)
			b.click(b.button("Deploy sample pirate"))
			b.shows(b.heading("Deploy pirate v1"))
			connection := b.Locator("[data-connection]")
			b.reads(connection, "Live")

			untilStep(t, p, step)
			p.kill()
			b.reads(connection, "Reconnecting")
			if step == "prove" {
				b.photograph("job-reconnecting-1280-light")
			}
			p.restart()
			b.reads(connection, "Live")
			b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
			if step == "prove" {
				b.reads(b.GetByRole("listitem").Filter(playwright.LocatorFilterOptions{HasText: "Prove, attempt 1:"}), "cut off when the program ended")
			}

			for what, count := range map[string]int{"deployment": 1, "version": 1, "job": 1, "proof": 1} {
				if got := rows(t, p, "SELECT count(*) FROM "+what); got != count {
					t.Errorf("%d rows of %s after the crash, want %d", got, what, count)
				}
			}
			if got := adapterComponents(t, p); len(got) != 1 {
				t.Errorf("adapter components after the crash: %v, want one", got)
			}
			if got := objects(t, p, "loradeck-000000000000-us-east-1"); len(got) != 1 {
				t.Errorf("objects after the crash: %v, want one", got)
			}
			b.open(p.url)
			b.shows(b.Locator("li.slot[data-state=proven]"))
		})
	}
}

// untilStep waits until a step of the first job has begun.
func untilStep(t *testing.T, p *process, step string) {
	t.Helper()
	database := readDatabase(t, p)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(toEnd * time.Millisecond); time.Now().Before(limit); <-tick.C {
		var begun int
		err := database.QueryRowContext(t.Context(), "SELECT count(*) FROM step WHERE job_id = 1 AND name = ? AND started_at IS NOT NULL", step).Scan(&begun)
		must(t, err)
		if begun > 0 {
			return
		}
	}
	t.Fatalf("step %q did not begin", step)
}

func readDatabase(t *testing.T, p *process) *sql.DB {
	t.Helper()
	database, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, "loradeck.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	must(t, err)
	t.Cleanup(func() { database.Close() })
	return database
}

func rows(t *testing.T, p *process, query string) int {
	t.Helper()
	var count int
	must(t, readDatabase(t, p).QueryRowContext(t.Context(), query).Scan(&count))
	return count
}

// adapterComponents asks the local platform, as any AWS client would.
func adapterComponents(t *testing.T, p *process) []string {
	t.Helper()
	place, err := cloud.Open(t.Context(), cloud.Config{Name: "local", Region: "us-east-1", Endpoint: p.aws, AccessKey: "local", SecretKey: "local", Local: true})
	must(t, err)
	components, err := place.Components(t.Context(), "local")
	must(t, err)
	var names []string
	for _, c := range components {
		if described, err := place.Component(t.Context(), c.Name); err != nil {
			t.Fatal(err)
		} else if described.IsAdapter() {
			names = append(names, c.Name+" "+string(described.Status))
		}
	}
	return names
}

// objects lists the keys of a bucket of the local platform.
func objects(t *testing.T, p *process, bucket string) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.aws+"/"+bucket+"?list-type=2", nil)
	must(t, err)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(request)
	must(t, err)
	defer answer.Body.Close()
	var list struct {
		Contents []struct{ Key string }
	}
	must(t, xml.NewDecoder(answer.Body).Decode(&list))
	var keys []string
	for _, object := range list.Contents {
		if !strings.HasPrefix(object.Key, "adapters/") {
			t.Errorf("%s is not where adapters go", object.Key)
		}
		keys = append(keys, object.Key)
	}
	return keys
}
