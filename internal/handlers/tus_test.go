package handlers_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"loradeck/internal/people"
)

const offered = `{"kind":"folder","name":"mine","files":[{"path":"adapter_config.json","size":20,"modified":1},{"path":"notes.txt","size":5,"modified":1}]}`

// tusRequest sends a request of the upload protocol; header holds "name: value" lines beside the version's.
func (d *deck) tusRequest(t testing.TB, method, path, body string, header ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(body))
	r.Header.Set("Tus-Resumable", "1.0.0")
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.handlers.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{w.Code, w.Result().Header, string(text)}
}

func (d *deck) beginUpload(t testing.TB) {
	t.Helper()
	if got := d.tusRequest(t, http.MethodPost, "/api/v1/uploads", offered, "Content-Type: application/json"); got.status != http.StatusCreated && got.status != http.StatusOK {
		t.Fatalf("offering answers %d %s", got.status, got.body)
	}
}

const (
	file   = "/api/v1/uploads/1/files/0"
	pieces = "Content-Type: application/offset+octet-stream"
)

func TestTheUploadProtocolIsSpokenToTheLetter(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.beginUpload(t)
	path := "Upload-Metadata: path " + base64.StdEncoding.EncodeToString([]byte("adapter_config.json"))
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		want                     string // "name: value" of the answer
	}{
		{"what it can do", http.MethodOptions, "/api/v1/uploads/1/files", "", []string{"Tus-Resumable: "}, 204, "Tus-Extension: creation,termination"},
		{"another version", http.MethodHead, file, "", []string{"Tus-Resumable: 0.2.2"}, 412, "Tus-Version: 1.0.0"},
		{"creation", http.MethodPost, "/api/v1/uploads/1/files", "", []string{path, "Upload-Length: 20"}, 201, "Location: " + file},
		{"creation of another size", http.MethodPost, "/api/v1/uploads/1/files", "", []string{path, "Upload-Length: 21"}, 409, ""},
		{"creation without a size", http.MethodPost, "/api/v1/uploads/1/files", "", []string{path}, 400, ""},
		{"creation of no file", http.MethodPost, "/api/v1/uploads/1/files", "", []string{"Upload-Metadata: path bm9uZQ==", "Upload-Length: 20"}, 404, ""},
		{"metadata that is no base64", http.MethodPost, "/api/v1/uploads/1/files", "", []string{"Upload-Metadata: path !", "Upload-Length: 20"}, 422, ""},
		{"the beginning", http.MethodHead, file, "", nil, 200, "Upload-Offset: 0"},
		{"the size", http.MethodHead, file, "", nil, 200, "Upload-Length: 20"},
		{"no caching", http.MethodHead, file, "", nil, 200, "Cache-Control: no-store"},
		{"another type", http.MethodPatch, file, "x", []string{"Content-Type: text/plain", "Upload-Offset: 0"}, 415, ""},
		{"no offset", http.MethodPatch, file, "x", []string{pieces}, 400, ""},
		{"a gap", http.MethodPatch, file, "x", []string{pieces, "Upload-Offset: 7"}, 409, ""},
		{"a piece", http.MethodPatch, file, "0123456789", []string{pieces, "Upload-Offset: 0"}, 204, "Upload-Offset: 10"},
		{"where it ends", http.MethodHead, file, "", nil, 200, "Upload-Offset: 10"},
		{"the piece again", http.MethodPatch, file, "0123456789", []string{pieces, "Upload-Offset: 0"}, 409, ""},
		{"too much", http.MethodPatch, file, "0123456789+", []string{pieces, "Upload-Offset: 10"}, 413, ""},
		{"a file that is left out", http.MethodPatch, "/api/v1/uploads/1/files/1", "x", []string{pieces, "Upload-Offset: 0"}, 422, ""},
		{"no such file", http.MethodHead, "/api/v1/uploads/1/files/9", "", nil, 404, ""},
		{"no such upload", http.MethodHead, "/api/v1/uploads/9/files/0", "", nil, 404, ""},
		{"the end of it", http.MethodDelete, file, "", nil, 204, ""},
		{"after its end", http.MethodHead, file, "", nil, 404, ""},
	} {
		got := d.tusRequest(t, c.method, c.path, c.body, c.header...)
		name, value, _ := strings.Cut(c.want, ": ")
		if got.status != c.status || got.header.Get("Tus-Resumable") != "1.0.0" || (name != "" && got.header.Get(name) != value) {
			t.Errorf("%s: %d %s %q, want %d %s", c.name, got.status, got.header, got.body, c.status, c.want)
		}
	}
}

// FuzzTus sends pieces as a confused client might. Whatever it does, no answer is a fault of ours, and what the server says is
// here only grows by what it has accepted.
func FuzzTus(f *testing.F) {
	f.Add([]byte{0, 5, 5, 5, 10, 40}, "PATCH")
	f.Add([]byte{3, 1, 0, 20, 20, 1}, "HEAD")
	d := newDeck(f, people.Alone("dana")) // once: making it takes far longer than an upload
	uploads := 0
	f.Fuzz(func(t *testing.T, steps []byte, method string) {
		uploads++
		begun := d.tusRequest(t, http.MethodPost, "/api/v1/uploads", strings.Replace(offered, "mine", fmt.Sprintf("mine-%d", uploads), 1), "Content-Type: application/json")
		var upload struct{ ID int64 }
		if err := json.Unmarshal([]byte(begun.body), &upload); err != nil || begun.status != http.StatusCreated {
			t.Fatalf("offering answers %d %s", begun.status, begun.body)
		}
		all := fmt.Sprintf("/api/v1/uploads/%d", upload.ID)
		file := all + "/files/0"
		defer d.tusRequest(t, http.MethodDelete, all, "")
		here := int64(0)
		for i := 0; i+1 < len(steps) && i < 20; i += 2 {
			piece := strings.Repeat("x", int(steps[i+1]))
			got := d.tusRequest(t, http.MethodPatch, file, piece, pieces, fmt.Sprintf("Upload-Offset: %d", int8(steps[i])))
			if got.status >= 500 {
				t.Fatalf("a piece of %d at %d: %d %s", len(piece), int8(steps[i]), got.status, got.body)
			}
			head := d.tusRequest(t, http.MethodHead, file, "")
			offset, err := strconv.ParseInt(head.header.Get("Upload-Offset"), 10, 64)
			if err != nil {
				return // the upload has ended: its only file was no adapter
			}
			if offset < here || offset > 20 || (got.status == http.StatusNoContent && offset != here+int64(len(piece))) {
				t.Fatalf("after a piece of %d at %d, answered %d, the file went from %d to %d", len(piece), int8(steps[i]), got.status, here, offset)
			}
			here = offset
		}
		if method = strings.Map(letters, method); method != "" {
			if got := d.tusRequest(t, method, file, "", "Upload-Offset: 0"); got.status >= 500 {
				t.Fatalf("%s: %d", method, got.status)
			}
		}
	})
}

// letters leaves out what cannot stand in a request line.
func letters(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}
