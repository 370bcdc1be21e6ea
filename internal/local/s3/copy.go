package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// copySource reads x-amz-copy-source: "bucket/key" with or without a slash before it, percent-encoded.
func copySource(h http.Header) (target, error) {
	path, query, _ := strings.Cut(h.Get("x-amz-copy-source"), "?")
	if strings.HasPrefix(path, "arn:") || (query != "" && query != "versionId=null") {
		return target{}, errNotImplemented // access points and versions
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return target{}, errInvalidArgument.saying("Invalid copy source encoding.")
	}
	var from target
	from.bucket, from.key, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if from.bucket == "" || from.key == "" {
		return target{}, errInvalidArgument.saying("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	return from, nil
}

// openSource opens what a copy reads, once it has passed the request's x-amz-copy-source-if-… conditions.
func (s *Store) openSource(r *http.Request) (object, *content, error) {
	from, err := copySource(r.Header)
	if err != nil {
		return object{}, nil, err
	}
	o, body, err := s.read(r.Context(), from.bucket, from.key)
	if err != nil {
		return object{}, nil, err
	}
	if err := sourceConditions(r.Header, o); err != nil {
		_ = body.Close()
		return object{}, nil, err
	}
	return o, body, nil
}

// sourceConditions are a read's conditions under other names; a copy that is not made is always a failed precondition.
func sourceConditions(h http.Header, o object) error {
	renamed := http.Header{}
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if value := h.Get("x-amz-copy-source-" + name); value != "" {
			renamed.Set(name, value)
		}
	}
	if readConditions(renamed, o) != nil {
		return errPreconditionFailed
	}
	return nil
}

// copyObject makes an object of another one's bytes. They are read and summed again, so a copy of a multipart object is a
// plain one with a plain ETag, as on S3.
func (s *Store) copyObject(w http.ResponseWriter, r *http.Request, t target) error {
	when, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	source, body, err := s.openSource(r)
	if err != nil {
		return err
	}
	defer body.Close()
	o, err := source.copied(r.Header, t)
	if err != nil {
		return err
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	got, file, err := s.take(promise{size: source.size}, body, o.algorithm)
	if err != nil {
		return err
	}
	o.etag, o.checksum, o.modified = got.etag, got.sums[o.algorithm], time.Now()
	old, err := s.index.put(r.Context(), o, part{file: file, size: o.size, etag: o.etag, checksum: o.checksum}, when)
	if err != nil {
		s.files.remove([]string{file})
		return err
	}
	s.files.remove(old)
	answer := struct {
		XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
		LastModified, ETag string
		sums
		ChecksumType string
	}{LastModified: timestamp(o.modified.Truncate(time.Second)), ETag: o.quotedETag(), ChecksumType: o.checksumType}
	*answer.of(o.algorithm) = o.checksum
	writeXML(w, http.StatusOK, answer)
	return nil
}

// copied gives what a copy of o to t will be, but for what its bytes decide.
func (o object) copied(h http.Header, t target) (object, error) {
	if o.size > maxPut {
		return object{}, errSourceTooLarge
	}
	made := object{bucket: t.bucket, key: t.key, size: o.size, properties: properties{algorithm: o.algorithm, checksumType: fullObject, headers: o.headers}}
	if name := h.Get("x-amz-checksum-algorithm"); name != "" {
		known := false
		if made.algorithm, known = parseAlgorithm(name); !known {
			return object{}, errUnknownAlgorithm
		}
	}
	switch h.Get("x-amz-metadata-directive") {
	case "", "COPY":
		if o.bucket == t.bucket && o.key == t.key && made.algorithm == o.algorithm {
			return object{}, errInvalidRequest.saying("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
		}
		return made, nil
	case "REPLACE":
		var err error
		made.headers, err = keptHeaders(h)
		return made, err
	}
	return object{}, errInvalidArgument.saying("Unknown metadata directive.")
}

// uploadPartCopy makes a part of an object's bytes, or of a range of them.
func (s *Store) uploadPartCopy(w http.ResponseWriter, r *http.Request, t target) error {
	number, err := partNumber(r.URL.Query())
	if err != nil {
		return err
	}
	u, err := s.index.upload(r.Context(), s.index.db.Read(), t.bucket, t.key, r.URL.Query().Get("uploadId"))
	if err != nil {
		return err
	}
	source, body, err := s.openSource(r)
	if err != nil {
		return err
	}
	defer body.Close()
	from, length, err := copyRange(r.Header.Get("x-amz-copy-source-range"), source.size)
	if err != nil {
		return err
	}
	body.piece(from, length)
	p, _, err := s.storePart(r.Context(), u, number, promise{size: length}, body)
	if err != nil {
		return err
	}
	answer := struct {
		XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
		LastModified, ETag string
		sums
	}{LastModified: timestamp(p.modified.Truncate(time.Second)), ETag: `"` + p.etag + `"`}
	if u.declared {
		*answer.of(u.algorithm) = p.checksum
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// copyRange reads x-amz-copy-source-range, which unlike Range must name both ends and lie within the source.
func copyRange(header string, size int64) (from, length int64, err error) {
	if header == "" {
		if size > maxPut {
			return 0, 0, errSourceTooLarge
		}
		return 0, size, nil
	}
	spec, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	a, errA := strconv.ParseUint(first, 10, 63)
	b, errB := strconv.ParseUint(last, 10, 63)
	if !ok || !dash || errA != nil || errB != nil || b < a {
		return 0, 0, errInvalidArgument.saying("The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	if int64(b) >= size {
		return 0, 0, errInvalidArgument.saying("Range specified is not valid for source object of size: %d", size)
	}
	if from, length = int64(a), int64(b)-int64(a)+1; length > maxPut {
		return 0, 0, errSourceTooLarge
	}
	return from, length, nil
}
