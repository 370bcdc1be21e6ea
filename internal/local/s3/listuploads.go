package s3

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (s *Store) listParts(w http.ResponseWriter, r *http.Request, t target) error {
	query := r.URL.Query()
	most, err := limit(query, "max-parts")
	if err != nil {
		return err
	}
	behind := 0
	if marker := query.Get("part-number-marker"); marker != "" {
		if behind, err = strconv.Atoi(marker); err != nil || behind < 0 {
			return errInvalidArgument.saying("Argument part-number-marker must be an integer between 0 and 2147483647")
		}
	}
	u, err := s.index.upload(r.Context(), s.index.db.Read(), t.bucket, t.key, query.Get("uploadId"))
	if err != nil {
		return err
	}
	parts, err := s.index.parts(r.Context(), s.index.db.Read(), u.id, behind, most+1)
	if err != nil {
		return err
	}
	type listed struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
		sums
	}
	answer := struct {
		XMLName                                xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		Bucket, Key, UploadId                  string
		Initiator, Owner                       owner
		StorageClass                           string
		ChecksumAlgorithm, ChecksumType        string `xml:",omitempty"`
		PartNumberMarker, NextPartNumberMarker int
		MaxParts                               int
		IsTruncated                            bool
		Part                                   []listed
	}{
		Bucket: t.bucket, Key: t.key, UploadId: u.id, Initiator: everyone, Owner: everyone, StorageClass: "STANDARD",
		PartNumberMarker: behind, MaxParts: most, IsTruncated: most > 0 && len(parts) > most,
	}
	if u.declared {
		answer.ChecksumAlgorithm, answer.ChecksumType = string(u.algorithm), u.checksumType
	}
	for _, p := range parts[:min(most, len(parts))] {
		one := listed{PartNumber: p.number, LastModified: timestamp(p.modified.Truncate(time.Second)), ETag: `"` + p.etag + `"`, Size: p.size}
		if u.declared {
			*one.of(u.algorithm) = p.checksum
		}
		answer.Part = append(answer.Part, one)
		answer.NextPartNumberMarker = p.number
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// uploadListing is one page of a bucket's unfinished uploads.
type uploadListing struct {
	uploads   []upload
	prefixes  []string
	truncated bool
	key, id   string // of the last entry; a common prefix has no id
}

// uploadsPage collects up to most uploads and common prefixes behind the marker (key, id).
func (s *Store) uploadsPage(ctx context.Context, bucket, prefix, delimiter, key, id string, most int) (uploadListing, error) {
	page := uploadListing{key: key, id: id}
	for most > 0 {
		batch := most - len(page.uploads) - len(page.prefixes) + 1
		found, err := s.index.uploads(ctx, bucket, prefix, key, id, batch)
		if err != nil {
			return uploadListing{}, err
		}
		jumped := false
		for _, u := range found {
			if len(page.uploads)+len(page.prefixes) == most {
				page.truncated = true
				return page, nil
			}
			if at := strings.Index(u.key[len(prefix):], delimiter); delimiter != "" && at >= 0 {
				shared := u.key[:len(prefix)+at+len(delimiter)]
				page.prefixes = append(page.prefixes, shared)
				page.key, page.id = shared, ""
				key, id, jumped = after(shared), "", true
				break
			}
			page.uploads = append(page.uploads, u)
			page.key, page.id = u.key, u.id
			key, id = u.key, u.id
		}
		if !jumped && len(found) < batch {
			return page, nil
		}
	}
	return page, nil
}

// uploadMarker gives the key and id that a listing begins behind. A marker without an id has all uploads of its key, or all
// those below its common prefix, behind it.
func uploadMarker(query url.Values) (key, id string) {
	key, id = query.Get("key-marker"), query.Get("upload-id-marker")
	delimiter := query.Get("delimiter")
	switch {
	case key == "":
		return "", "" // an id alone says nothing (API reference, ListMultipartUploads)
	case id != "":
		return key, id
	case delimiter != "" && strings.HasSuffix(key, delimiter):
		return after(key), ""
	}
	return behind(key), ""
}

func (s *Store) listUploads(w http.ResponseWriter, r *http.Request, t target) error {
	query := r.URL.Query()
	most, err := limit(query, "max-uploads")
	if err != nil {
		return err
	}
	encode, err := encoder(query)
	if err != nil {
		return err
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	key, id := uploadMarker(query)
	page, err := s.uploadsPage(r.Context(), t.bucket, query.Get("prefix"), query.Get("delimiter"), key, id, most)
	if err != nil {
		return err
	}
	type listed struct {
		Key, UploadId, Initiated, StorageClass string
		Initiator, Owner                       owner
		ChecksumAlgorithm, ChecksumType        string `xml:",omitempty"`
	}
	answer := struct {
		XMLName                                                    xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
		Bucket, Prefix, KeyMarker, UploadIdMarker                  string
		Delimiter, EncodingType, NextKeyMarker, NextUploadIdMarker string `xml:",omitempty"`
		MaxUploads                                                 int
		IsTruncated                                                bool
		Upload                                                     []listed
		CommonPrefixes                                             []commonPrefix
	}{
		Bucket: t.bucket, Prefix: encode(query.Get("prefix")), KeyMarker: encode(query.Get("key-marker")), UploadIdMarker: query.Get("upload-id-marker"),
		Delimiter: encode(query.Get("delimiter")), EncodingType: query.Get("encoding-type"), MaxUploads: most, IsTruncated: page.truncated,
	}
	if page.truncated {
		answer.NextKeyMarker, answer.NextUploadIdMarker = encode(page.key), page.id
	}
	for _, u := range page.uploads {
		one := listed{Key: encode(u.key), UploadId: u.id, Initiated: timestamp(u.created.Truncate(time.Second)), StorageClass: "STANDARD", Initiator: everyone, Owner: everyone}
		if u.declared {
			one.ChecksumAlgorithm, one.ChecksumType = string(u.algorithm), u.checksumType
		}
		answer.Upload = append(answer.Upload, one)
	}
	for _, p := range page.prefixes {
		answer.CommonPrefixes = append(answer.CommonPrefixes, commonPrefix{encode(p)})
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}
