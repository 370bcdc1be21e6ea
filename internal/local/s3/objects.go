package s3

import (
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const maxMetadata = 2 << 10 // bytes of user-defined metadata, names and values (Amazon S3 user guide)

func (o object) quotedETag() string { return `"` + o.etag + `"` }

// keptHeaders takes from a request what S3 stores with an object.
func keptHeaders(h http.Header) (map[string]string, error) {
	kept := map[string]string{"Content-Type": "binary/octet-stream"}
	for _, name := range []string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Language", "Expires"} {
		if value := h.Get(name); value != "" {
			kept[name] = value
		}
	}
	var encodings []string
	for _, coding := range strings.Split(h.Get("Content-Encoding"), ",") {
		if coding = strings.TrimSpace(coding); coding != "" && coding != "aws-chunked" {
			encodings = append(encodings, coding) // aws-chunked was only how the body travelled
		}
	}
	if len(encodings) > 0 {
		kept["Content-Encoding"] = strings.Join(encodings, ",")
	}
	size := 0
	for name, values := range h {
		meta, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-meta-")
		if !ok {
			continue
		}
		value := strings.Join(values, ",")
		if size += len(meta) + len(value); size > maxMetadata {
			return nil, errMetadataTooLarge
		}
		kept["x-amz-meta-"+meta] = value
	}
	return kept, nil
}

// writeCondition reads the headers that guard a write.
func writeCondition(h http.Header) (condition, error) {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	if match == "*" || (none != "" && none != "*") || (match != "" && none != "") {
		return condition{}, errNotImplemented
	}
	return condition{absent: none == "*", etag: strings.Trim(match, `"`)}, nil
}

func (s *Store) putObject(w http.ResponseWriter, r *http.Request, t target) error {
	promise, err := promised(r)
	if err != nil {
		return err
	}
	headers, err := keptHeaders(r.Header)
	if err != nil {
		return err
	}
	when, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	algorithm := promise.algorithm
	if algorithm == "" {
		algorithm = crc64NVME // what S3 computes for those who send none
	}
	got, file, err := s.take(promise, r.Body, algorithm)
	if err != nil {
		return err
	}
	o := object{
		bucket: t.bucket, key: t.key, size: got.size, etag: got.etag, modified: time.Now(),
		properties: properties{algorithm: algorithm, checksum: got.sums[algorithm], checksumType: fullObject, headers: headers},
	}
	old, err := s.index.put(r.Context(), o, part{file: file, size: got.size, etag: got.etag, checksum: o.checksum}, when)
	if err != nil {
		s.files.remove([]string{file})
		return err
	}
	s.files.remove(old)
	w.Header().Set("ETag", o.quotedETag())
	o.writeChecksum(w.Header())
	w.WriteHeader(http.StatusOK)
	return nil
}

// take stores a body as a file that belongs to nothing yet.
func (s *Store) take(p promise, body io.Reader, also algorithm) (got received, file string, err error) {
	file, err = s.files.write(func(w io.Writer) error {
		got, err = p.receive(w, body, also)
		return err
	})
	return got, file, err
}

func (o object) writeChecksum(h http.Header) {
	h.Set(o.algorithm.header(), o.checksum)
	h.Set("x-amz-checksum-type", o.checksumType)
}

// getObject answers GET and HEAD.
func (s *Store) getObject(w http.ResponseWriter, r *http.Request, t target) error {
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
	from, length, partial, err := byteRange(r.Header.Get("Range"), o.size)
	if err != nil {
		return err
	}
	for name, value := range o.headers {
		h.Set(name, value)
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+length-1, 10)+"/"+strconv.FormatInt(o.size, 10))
	} else if strings.EqualFold(r.Header.Get("x-amz-checksum-mode"), "ENABLED") {
		o.writeChecksum(h) // of the whole object, so not beside a piece of it
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	body.piece(from, length)
	if n, err := body.WriteTo(w); err != nil && r.Context().Err() == nil {
		// The status is out; the short body tells the client.
		s.log.WarnContext(r.Context(), "object not sent in full", "op", "GET "+r.URL.Path, "sent", n, "err", err)
	}
	return nil
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
			return 0, 0, false, errInvalidRange
		}
		from, to = max(0, size-to), size-1
	case errA == nil && last == "":
		to = size - 1
	case errA != nil || errB != nil || to < from:
		return 0, size, false, nil
	}
	if from >= size {
		return 0, 0, false, errInvalidRange
	}
	return from, min(to, size-1) - from + 1, true, nil
}

func (s *Store) deleteObject(w http.ResponseWriter, r *http.Request, t target) error {
	when, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	old, err := s.index.remove(r.Context(), t.bucket, []string{t.key}, when)
	if err != nil {
		return err
	}
	s.files.remove(old)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteObjects deletes up to a thousand keys in one transaction.
func (s *Store) deleteObjects(w http.ResponseWriter, r *http.Request, t target) error {
	promise, err := promised(r)
	if err != nil {
		return err
	}
	if promise.md5 == nil && promise.algorithm == "" {
		return errInvalidRequest.saying("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	type entry struct {
		Key                                     string
		VersionId, ETag, LastModifiedTime, Size string `xml:",omitempty"`
	}
	var wish struct {
		XMLName xml.Name `xml:"Delete"`
		Object  []entry
		Quiet   bool
	}
	if err := readXML(r, &wish); err != nil {
		return err
	}
	if len(wish.Object) == 0 || len(wish.Object) > 1000 {
		return errMalformedXML
	}
	keys := make([]string, len(wish.Object))
	for i, one := range wish.Object {
		if one.VersionId+one.ETag+one.LastModifiedTime+one.Size != "" {
			return errNotImplemented // conditions and versions: better refused than passed over
		}
		if one.Key == "" {
			return errMalformedXML
		}
		keys[i] = one.Key
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	old, err := s.index.remove(r.Context(), t.bucket, keys, condition{})
	if err != nil {
		return err
	}
	s.files.remove(old)
	var deleted []entry
	if !wish.Quiet {
		deleted = wish.Object
	}
	writeXML(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []entry
	}{Deleted: deleted})
	return nil
}
