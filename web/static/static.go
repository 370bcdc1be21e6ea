// Package static holds the files a browser loads: one stylesheet joined from a file per component, the scripts, the icon
// sprite and the favicon. Each is served under a name that carries a digest of its content, so a browser may keep it for
// ever and still gets a new one the moment it changes.
//
// It knows no page: templates are handed the names by Assets.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed css js vendor/*.js vendor/vendor.json icons.svg favicon.svg
var embedded embed.FS

// Prefix is where the files are served.
const Prefix = "/static/"

// Assets are the addresses a page's head needs.
type Assets struct {
	Style   string // the whole stylesheet
	Theme   string // runs before the first paint
	HTMX    string
	Socket  string // htmx's websocket extension
	App     string // the page's own script
	Tus     string // tus-js-client
	Uploads string // the page's own script for uploads
	Icons   string // sprite; an icon is Icons + "#" + its name
	Favicon string
}

// Files are the files in memory, plain and compressed. They never change after Load.
type Files struct {
	byName map[string]file
	assets Assets
}

type file struct {
	mime   string
	plain  []byte
	packed []byte // gzip, nil when it does not gain
}

// sheets gives the style files in the order in which they are joined. Layers fix what wins; the order only has to put the
// layer statement first.
func sheets() []string {
	return []string{"order", "tokens", "base", "layout", "button", "state", "field", "notice", "table", "rack", "lanes", "proof", "pane", "tray", "upload", "pages"}
}

// Load reads the embedded files. An error means a broken build: a file named here is not embedded.
func Load() (*Files, error) {
	var style bytes.Buffer
	for _, name := range sheets() {
		sheet, err := embedded.ReadFile("css/" + name + ".css")
		if err != nil {
			return nil, fmt.Errorf("join the stylesheet: %w", err)
		}
		style.Write(sheet)
	}
	f := &Files{byName: map[string]file{}}
	var err error
	add := func(name, from string, plain []byte) string {
		if plain == nil && err == nil {
			plain, err = embedded.ReadFile(from)
		}
		return f.add(name, plain)
	}
	f.assets = Assets{
		Style:   add("app.css", "", style.Bytes()),
		Theme:   add("theme.js", "js/theme.js", nil),
		HTMX:    add("htmx.js", "vendor/htmx.min.js", nil),
		Socket:  add("hx-ws.js", "vendor/hx-ws.min.js", nil),
		App:     add("app.js", "js/app.js", nil),
		Tus:     add("tus.js", "vendor/tus.min.js", nil),
		Uploads: add("uploads.js", "js/uploads.js", nil),
		Icons:   add("icons.svg", "icons.svg", nil),
		Favicon: add("favicon.svg", "favicon.svg", nil),
	}
	if err != nil {
		return nil, fmt.Errorf("read an embedded file: %w", err)
	}
	return f, nil
}

// Assets gives the addresses of the files.
func (f *Files) Assets() Assets { return f.assets }

// ServeHTTP serves the file named in the path under Prefix, to be kept for a year, or 404.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := f.byName[strings.TrimPrefix(r.URL.Path, Prefix)]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	found.write(w, r)
}

// ServeFavicon serves the favicon at its well-known address, where no digest can be in the name.
func (f *Files) ServeFavicon(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=86400")
	f.byName[strings.TrimPrefix(f.assets.Favicon, Prefix)].write(w, r)
}

func (f file) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", f.mime)
	header.Set("Vary", "Accept-Encoding")
	body := f.plain
	if f.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		body = f.packed
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the reader may have gone; there is nobody to tell
	}
}

// add files content under a name with its digest before the extension and gives the address.
func (f *Files) add(name string, plain []byte) string {
	sum := sha256.Sum256(plain)
	ext := path.Ext(name)
	named := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	f.byName[named] = file{mime: mimeOf(ext), plain: plain, packed: pack(plain)}
	return Prefix + named
}

func mimeOf(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	default:
		return "image/svg+xml"
	}
}

// pack compresses plain, or gives nil when that does not make it smaller.
func pack(plain []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := io.Copy(w, bytes.NewReader(plain)); err != nil {
		return nil
	}
	if w.Close() != nil || out.Len() >= len(plain) {
		return nil
	}
	return out.Bytes()
}
