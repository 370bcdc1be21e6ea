package s3

import (
	"io"
	"net/http"
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
