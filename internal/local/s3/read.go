package s3

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// piece is what a read gives of an object.
type piece struct {
	from, length int64
	partial      bool
	parts        int // of the object, when one of them was asked for by its number; 0 otherwise
}

// getObject answers GET and HEAD.
func (s *Store) getObject(w http.ResponseWriter, r *http.Request, t target) error {
	query := r.URL.Query()
	o, body, err := s.read(r.Context(), t.bucket, t.key)
	if err != nil {
		return err
	}
	defer body.Close()
	h := w.Header()
	h.Set("ETag", o.quotedETag())
	h.Set("Last-Modified", o.modified.Format(http.TimeFormat))
	if err := readConditions(r.Header, o); err != nil {
		return err
	}
	p, err := o.asked(r.Header, query, body.parts)
	if err != nil {
		return err
	}
	o.describe(h, query)
	h.Set("Content-Length", strconv.FormatInt(p.length, 10))
	status := http.StatusOK
	if p.partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", p.from, p.from+p.length-1, o.size))
	} else if strings.EqualFold(r.Header.Get("x-amz-checksum-mode"), "ENABLED") {
		o.writeChecksum(h) // of the whole object, so not beside a piece of it
	}
	if p.parts > 0 {
		h.Set("x-amz-mp-parts-count", strconv.Itoa(p.parts))
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	body.piece(p.from, p.length)
	if n, err := body.WriteTo(w); err != nil && r.Context().Err() == nil {
		// The status is out; the short body tells the client.
		s.log.WarnContext(r.Context(), "object not sent in full", "op", "GET "+r.URL.Path, "sent", n, "err", err)
	}
	return nil
}

// describe writes the headers that the object was stored with, and those that the query puts in their place.
func (o object) describe(h http.Header, query url.Values) {
	for name, value := range o.headers {
		h[name] = []string{value} // S3 sends the names of metadata in lower case, and boto3 gives them on as they came
	}
	for _, name := range []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"} {
		if value := query.Get("response-" + strings.ToLower(name)); value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Accept-Ranges", "bytes")
}

// multipart reports whether the object was put together of parts, which its ETag tells.
func (o object) multipart() bool { return strings.Contains(o.etag, "-") }

// asked gives the piece that Range or partNumber ask for. Parts are counted from 1 without gaps, whatever numbers they were
// sent under: clients that read part by part count up to x-amz-mp-parts-count.
func (o object) asked(h http.Header, query url.Values, parts []part) (p piece, err error) {
	ranged := h.Get("Range")
	if !query.Has("partNumber") {
		if since := h.Get("If-Range"); since != "" && !o.unchanged(since) {
			ranged = ""
		}
		p.from, p.length, p.partial, err = byteRange(ranged, o.size)
		return p, err
	}
	if ranged != "" {
		return p, errInvalidRequest.saying("Cannot specify both Range header and partNumber query parameter")
	}
	number, err := partNumber(query)
	if err != nil {
		return p, err
	}
	if number > len(parts) {
		return p, errInvalidPartNumber
	}
	for _, one := range parts[:number-1] {
		p.from += one.size
	}
	p.length, p.partial = parts[number-1].size, o.size > 0
	if o.multipart() {
		p.parts = len(parts)
	}
	return p, nil
}

// unchanged holds the object to an If-Range header, an ETag or a date (RFC 9110 §13.1.5).
func (o object) unchanged(since string) bool {
	if date, err := http.ParseTime(since); err == nil {
		return o.modified.Truncate(time.Second).Equal(date)
	}
	return since == o.quotedETag()
}

// readConditions holds a read to its If-… headers in the order of RFC 9110 §13.2.2.
func readConditions(h http.Header, o object) error {
	modified := o.modified.Truncate(time.Second)
	if match := h.Get("If-Match"); match != "" {
		if !matches(match, o.etag) {
			return errPreconditionFailed
		}
	} else if since, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && modified.After(since) {
		return errPreconditionFailed
	}
	if none := h.Get("If-None-Match"); none != "" {
		if matches(none, o.etag) {
			return errNotModified
		}
	} else if since, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !modified.After(since) {
		return errNotModified
	}
	return nil
}

func matches(list, etag string) bool {
	for _, one := range strings.Split(list, ",") {
		one = strings.Trim(strings.TrimPrefix(strings.TrimSpace(one), "W/"), `"`)
		if one == "*" || one == etag {
			return true
		}
	}
	return false
}

func invalidRange(header string, size int64) *fault {
	return errInvalidRange.with("RangeRequested", header).with("ActualObjectSize", strconv.FormatInt(size, 10))
}

// byteRange reads a Range header. Like S3 it gives the whole object for several ranges and for one that it cannot read.
func byteRange(header string, size int64) (from, length int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !ok || !dash || strings.Contains(spec, ",") {
		return 0, size, false, nil
	}
	a, errA := strconv.ParseUint(first, 10, 63)
	b, errB := strconv.ParseUint(last, 10, 63)
	from, to := int64(a), int64(b)
	switch {
	case first == "" && errB == nil: // the last b bytes
		if to == 0 || size == 0 {
			return 0, 0, false, invalidRange(header, size)
		}
		from, to = max(0, size-to), size-1
	case errA == nil && last == "":
		to = size - 1
	case errA != nil || errB != nil || to < from:
		return 0, size, false, nil
	}
	if from >= size {
		return 0, 0, false, invalidRange(header, size)
	}
	return from, min(to, size-1) - from + 1, true, nil
}
