package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	minPart  = 5 << 20 // bytes of every part but the last (Amazon S3 user guide, multipart upload limits)
	maxParts = 10_000
)

func (s *Store) createUpload(w http.ResponseWriter, r *http.Request, t target) error {
	u := upload{bucket: t.bucket, key: t.key, created: time.Now()}
	var err error
	if u.headers, err = keptHeaders(r.Header); err != nil {
		return err
	}
	if err := u.chooseChecksum(r.Header.Get("x-amz-checksum-algorithm"), r.Header.Get("x-amz-checksum-type")); err != nil {
		return err
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	var id [32]byte
	rand.Read(id[:]) // never fails
	u.id = hex.EncodeToString(id[:])
	if err := s.index.createUpload(r.Context(), u); err != nil {
		return err
	}
	if u.declared {
		w.Header().Set("x-amz-checksum-algorithm", string(u.algorithm))
		w.Header().Set("x-amz-checksum-type", u.checksumType)
	}
	writeXML(w, http.StatusOK, struct {
		XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket, Key, UploadId string
	}{Bucket: t.bucket, Key: t.key, UploadId: u.id})
	return nil
}

// chooseChecksum settles how an upload is summed: S3 takes CRC64NVME when nothing is asked for, sums a CRC64NVME only over
// the whole object, a SHA only over the parts, and everything else over the parts unless told otherwise
// (Amazon S3 user guide, checking object integrity).
func (u *upload) chooseChecksum(name, kind string) error {
	u.algorithm, u.checksumType = crc64NVME, kind
	if name != "" {
		known := false
		if u.algorithm, known = parseAlgorithm(name); !known {
			return errUnknownAlgorithm
		}
		u.declared = true
	} else if kind != "" {
		return errInvalidRequest.saying("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	}
	if u.checksumType == "" {
		u.checksumType = composite
		if u.algorithm == crc64NVME {
			u.checksumType = fullObject
		}
	}
	switch u.checksumType {
	case fullObject:
		if u.algorithm.linear() {
			return nil
		}
	case composite:
		if u.algorithm != crc64NVME {
			return nil
		}
	default:
		return errInvalidRequest.saying("Value for x-amz-checksum-type header is invalid.")
	}
	return errInvalidRequest.saying("The %s checksum type cannot be used with the %s checksum algorithm.", u.checksumType, strings.ToLower(string(u.algorithm)))
}

// partNumber reads the number of the part that a request sends.
func partNumber(query url.Values) (int, error) {
	number, err := strconv.Atoi(query.Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		return 0, errInvalidArgument.saying("Part number must be an integer between 1 and 10000, inclusive")
	}
	return number, nil
}

func (s *Store) uploadPart(w http.ResponseWriter, r *http.Request, t target) error {
	number, err := partNumber(r.URL.Query())
	if err != nil {
		return err
	}
	promise, err := promised(r)
	if err != nil {
		return err
	}
	u, err := s.index.upload(r.Context(), s.index.db.Read(), t.bucket, t.key, r.URL.Query().Get("uploadId"))
	if err != nil {
		return err
	}
	if u.declared && promise.algorithm != "" && promise.algorithm != u.algorithm {
		return errInvalidRequest.saying("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(string(u.algorithm)), strings.ToLower(string(promise.algorithm)))
	}
	p, got, err := s.storePart(r.Context(), u, number, promise, r.Body)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", `"`+p.etag+`"`)
	if promise.algorithm != "" {
		w.Header().Set(promise.algorithm.header(), got.sums[promise.algorithm])
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// storePart takes a body that keeps its promise and makes it the upload's part of that number.
func (s *Store) storePart(ctx context.Context, u upload, number int, promise promise, body io.Reader) (part, received, error) {
	got, file, err := s.take(promise, body, u.algorithm)
	if err != nil {
		return part{}, received{}, err
	}
	p := part{number: number, file: file, size: got.size, etag: got.etag, checksum: got.sums[u.algorithm], modified: time.Now()}
	old, err := s.index.putPart(ctx, u, p)
	if err != nil {
		s.files.remove([]string{file})
		return part{}, received{}, err
	}
	s.files.remove(old)
	return p, got, nil
}

// sums are the checksum elements of a part or an object; at most one is set.
type sums struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
}

func (s *sums) of(a algorithm) *string {
	switch a {
	case crc32IEEE:
		return &s.ChecksumCRC32
	case crc32Castagnoli:
		return &s.ChecksumCRC32C
	case crc64NVME:
		return &s.ChecksumCRC64NVME
	case sumSHA1:
		return &s.ChecksumSHA1
	default:
		return &s.ChecksumSHA256
	}
}

type completedPart struct {
	PartNumber int
	ETag       string
	sums
}

func (s *Store) completeUpload(w http.ResponseWriter, r *http.Request, t target) error {
	var wish struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []completedPart
	}
	// Here x-amz-checksum-… speaks of the object, not of this body.
	plain := r.Clone(r.Context())
	for _, a := range algorithms {
		plain.Header.Del(a.header())
	}
	if err := readXML(plain, &wish); err != nil {
		return err
	}
	if len(wish.Part) == 0 || len(wish.Part) > maxParts {
		return errMalformedXML
	}
	when, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	assemble := func(u upload, have []part) (object, []part, error) {
		if kind := r.Header.Get("x-amz-checksum-type"); kind != "" && u.declared && kind != u.checksumType {
			return object{}, nil, errInvalidRequest.saying("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.checksumType)
		}
		parts, err := u.choose(wish.Part, have)
		if err != nil {
			return object{}, nil, err
		}
		o := u.made(parts, time.Now())
		return o, parts, o.keeps(r.Header, len(parts))
	}
	o, old, err := s.index.complete(r.Context(), completion{t, r.URL.Query().Get("uploadId"), wish.Part, when}, assemble)
	if err != nil {
		return err
	}
	s.files.remove(old)
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	answer := struct {
		XMLName                     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Location, Bucket, Key, ETag string
		sums
		ChecksumType string
	}{Location: scheme + "://" + r.Host + r.URL.EscapedPath(), Bucket: t.bucket, Key: t.key, ETag: o.quotedETag(), ChecksumType: o.checksumType}
	*answer.of(o.algorithm) = o.checksum
	writeXML(w, http.StatusOK, answer)
	return nil
}

// choose picks the wished parts from those that came, and refuses as S3 does.
func (u upload) choose(wish []completedPart, have []part) ([]part, error) {
	byNumber := make(map[int]part, len(have))
	for _, p := range have {
		byNumber[p.number] = p
	}
	chosen := make([]part, 0, len(wish))
	for i, want := range wish {
		if i > 0 && want.PartNumber <= wish[i-1].PartNumber {
			return nil, errInvalidPartOrder
		}
		p, there := byNumber[want.PartNumber]
		if !there || strings.Trim(want.ETag, `"`) != p.etag {
			return nil, errInvalidPart
		}
		given := *want.of(u.algorithm)
		if given == "" && u.declared && u.checksumType == composite {
			return nil, errInvalidRequest.saying("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
				strings.ToLower(string(u.algorithm)), want.PartNumber)
		}
		if given != "" && given != p.checksum {
			return nil, errInvalidPart
		}
		chosen = append(chosen, p)
	}
	for _, p := range chosen[:len(chosen)-1] {
		if p.size < minPart {
			return nil, errEntityTooSmall
		}
	}
	return chosen, nil
}

// made is the object that parts of an upload make. Its ETag is the MD5 of the parts' MD5s with their number, as S3 makes it.
func (u upload) made(parts []part, now time.Time) object {
	o := object{bucket: u.bucket, key: u.key, modified: now, properties: u.properties}
	md5s := md5.New()
	for _, p := range parts {
		o.size += p.size
		raw, _ := hex.DecodeString(p.etag)
		md5s.Write(raw)
	}
	o.etag = fmt.Sprintf("%x-%d", md5s.Sum(nil), len(parts))
	o.checksum = u.algorithm.ofParts(u.checksumType, parts)
	return o
}

// keeps holds an object of so many parts to what the request to complete it says of it. A composite checksum may come
// without its "-N".
func (o object) keeps(h http.Header, parts int) error {
	if text := h.Get("x-amz-mp-object-size"); text != "" {
		if size, err := strconv.ParseInt(text, 10, 64); err != nil || size != o.size {
			return errInvalidRequest.saying("The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", text, o.size)
		}
	}
	for _, a := range algorithms {
		switch given := h.Get(a.header()); {
		case given == "":
		case a != o.algorithm:
			return errInvalidRequest.saying("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", strings.ToLower(string(o.algorithm)), strings.ToLower(string(a)))
		case given != o.checksum && fmt.Sprintf("%s-%d", given, parts) != o.checksum:
			return errBadDigest.saying("The %s you specified did not match the calculated checksum.", a)
		}
	}
	return nil
}

func (s *Store) abortUpload(w http.ResponseWriter, r *http.Request, t target) error {
	old, err := s.index.abort(r.Context(), t.bucket, t.key, r.URL.Query().Get("uploadId"))
	if err != nil {
		return err
	}
	s.files.remove(old)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
