//go:build versitygw

package versitygw

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// find gives a header or the text of the first element of that name, and "" when there is neither.
func (a answer) find(name string) string {
	if value := a.header.Get(name); value != "" {
		return value
	}
	_, rest, _ := strings.Cut(string(a.body), "<"+name+">")
	value, _, _ := strings.Cut(rest, "<")
	return value
}

// compared are the headers that clients read; of those in free only the presence counts.
var (
	compared = []string{
		"Etag", "Content-Type", "Content-Range", "Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires",
		"Last-Modified", "Location", "Access-Control-Allow-Origin",
	}
	free = []string{
		"Last-Modified", "LastModified", "CreationDate", "Initiated", "UploadId", "UploadIdMarker", "NextUploadIdMarker", "ContinuationToken", "NextContinuationToken", "ID",
		"DisplayName", "Location",
	}
)

// facts flattens an answer into what is compared, by a name for each fact. Of an error that is its status and code: messages
// and what else its document tells are nobody's business but the reader's.
func (a answer) facts() (map[string]string, error) {
	all := map[string]string{"status": fmt.Sprint(a.status)}
	if a.status >= 300 {
		if len(a.body) > 0 {
			all["code"] = a.find("Code")
		}
		return all, nil
	}
	put := func(name, value string) {
		if value == "" {
			return // an empty element and none say the same
		}
		if leaf := name[strings.LastIndexAny(name, " ./")+1:]; slices.Contains(free, leaf) {
			value = "*"
		}
		all[name] = value
	}
	for name := range a.header {
		lower := strings.ToLower(name)
		if slices.Contains(compared, name) || strings.HasPrefix(lower, "x-amz-") && lower != "x-amz-request-id" && lower != "x-amz-id-2" {
			put("header "+http.CanonicalHeaderKey(name), a.header.Get(name))
		}
	}
	if !strings.HasPrefix(string(a.body), "<?xml") {
		put("body", fmt.Sprintf("%d bytes %x", len(a.body), sha256.Sum256(a.body)))
		return all, nil
	}
	return all, elements(a.body, put)
}

// elements gives each element without children with its path. The n-th of its name beside others has its number in the path.
func elements(text []byte, put func(path, value string)) error {
	var path []string
	seen := map[string]int{}
	value, leaf := "", false
	for decoder := xml.NewDecoder(bytes.NewReader(text)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := strings.Join(append(slices.Clone(path), t.Name.Local), "/")
			if n := seen[name]; n > 0 {
				t.Name.Local = fmt.Sprintf("%s[%d]", t.Name.Local, n)
			}
			seen[name]++
			path, value, leaf = append(path, t.Name.Local), "", true
		case xml.CharData:
			value += string(t)
		case xml.EndElement:
			if leaf {
				put("element "+strings.Join(path, "/"), strings.TrimSpace(value))
			}
			path, leaf = path[:len(path)-1], false
		}
	}
}

// differ names what differs between two answers, each with both values. Where one is an error the rest is of no account.
func differ(ours, theirs answer) (map[string]string, error) {
	a, err := ours.facts()
	if err != nil {
		return nil, err
	}
	b, err := theirs.facts()
	if err != nil {
		return nil, err
	}
	differences := map[string]string{}
	if a["status"] != b["status"] {
		differences["status"] = fmt.Sprintf("%s %s and %s %s", a["status"], a["code"], b["status"], b["code"])
		return differences, nil
	}
	for name := range a {
		if other, there := b[name]; !there {
			differences[name] = fmt.Sprintf("%q and nothing", a[name])
		} else if other != a[name] {
			differences[name] = fmt.Sprintf("%q and %q", a[name], other)
		}
	}
	for name := range b {
		if _, there := a[name]; !there {
			differences[name] = fmt.Sprintf("nothing and %q", b[name])
		}
	}
	return differences, nil
}
