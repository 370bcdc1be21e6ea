package static_test

import (
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"loradeck/web/static"
)

func TestVendoredFilesAreWhatTheRecordSays(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("vendor/vendor.json")
	if err != nil {
		t.Fatal(err)
	}
	var record []struct {
		File, Package, Version, Integrity string
		Bytes                             int
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		t.Fatal(err)
	}
	recorded := map[string]bool{}
	for _, r := range record {
		recorded[r.File] = true
		got, err := os.ReadFile("vendor/" + r.File)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha512.Sum384(got)
		if digest := "sha384-" + base64.StdEncoding.EncodeToString(sum[:]); digest != r.Integrity || len(got) != r.Bytes {
			t.Errorf("%s: got %s, %d bytes; vendor.json says %s, %d bytes", r.File, digest, len(got), r.Integrity, r.Bytes)
		}
	}
	entries, err := os.ReadDir("vendor")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".js") && !recorded[e.Name()] {
			t.Errorf("vendor/%s is not in vendor.json", e.Name())
		}
	}
}

func TestFilesAreServedForeverUnderANameWithTheirDigest(t *testing.T) {
	t.Parallel()
	files, err := static.Load()
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`^/static/[a-z-]+\.[0-9a-f]{12}\.(css|js|svg)$`)
	assets := reflect.ValueOf(files.Assets())
	for i := range assets.NumField() {
		address := assets.Field(i).String()
		if !named.MatchString(address) {
			t.Errorf("address %q carries no digest", address)
		}
		w := httptest.NewRecorder()
		files.ServeHTTP(w, httptest.NewRequest("GET", address, nil))
		if got := w.Header().Get("Cache-Control"); w.Code != 200 || !strings.Contains(got, "immutable") {
			t.Errorf("%s: got status %d, Cache-Control %q", address, w.Code, got)
		}
	}
	w := httptest.NewRecorder()
	files.ServeHTTP(w, httptest.NewRequest("GET", "/static/app.css", nil))
	if w.Code != 404 {
		t.Errorf("a name without its digest: got %d, want 404", w.Code)
	}
}

func TestFirstLoadStaysSmall(t *testing.T) {
	t.Parallel()
	files, err := static.Load()
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	assets := reflect.ValueOf(files.Assets())
	for i := range assets.NumField() {
		r := httptest.NewRequest("GET", assets.Field(i).String(), nil)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		files.ServeHTTP(w, r)
		sent += w.Body.Len()
		if w.Header().Get("Content-Encoding") == "gzip" {
			unpacked, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(unpacked); err != nil {
				t.Fatal(err)
			}
		}
	}
	// 100 KB is the budget of a whole first load; a page itself is well under 20 KB packed.
	if sent > 60_000 {
		t.Errorf("all files together: %d bytes over the wire, want at most 60000", sent)
	}
}

func TestStylesheetNamesNothingFromOutside(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("css")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		sheet, err := os.ReadFile("css/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, banned := range []string{"@import", "url(", "!important"} {
			if strings.Contains(string(sheet), banned) {
				t.Errorf("%s contains %q", e.Name(), banned)
			}
		}
		if strings.Count(string(sheet), "{") != strings.Count(string(sheet), "}") {
			t.Errorf("%s: braces do not match", e.Name())
		}
	}
}
