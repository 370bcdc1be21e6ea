package s3

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// attributeNames are what GetObjectAttributes can be asked for (API reference, GetObjectAttributes).
var attributeNames = []string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}

type attributePart struct {
	PartNumber int
	Size       int64
	sums
}

// attributeParts lists an object's parts, a page of them.
type attributeParts struct {
	PartsCount                                       int
	PartNumberMarker, NextPartNumberMarker, MaxParts *int
	IsTruncated                                      *bool
	Part                                             []attributePart
}

type attributeChecksum struct {
	sums
	ChecksumType string
}

// getAttributes says of an object what was asked for, without its content.
func (s *Store) getAttributes(w http.ResponseWriter, r *http.Request, t target) error {
	wanted, err := wantedAttributes(r.Header)
	if err != nil {
		return err
	}
	o, body, err := s.read(r.Context(), t.bucket, t.key)
	if err != nil {
		return err
	}
	defer body.Close()
	answer := struct {
		XMLName      xml.Name           `xml:"http://s3.amazonaws.com/doc/2006-03-01/ GetObjectAttributesResponse"`
		ETag         string             `xml:",omitempty"` // without quotes, here alone
		Checksum     *attributeChecksum `xml:",omitempty"`
		ObjectParts  *attributeParts    `xml:",omitempty"`
		StorageClass string             `xml:",omitempty"`
		ObjectSize   *int64             `xml:",omitempty"`
	}{}
	if wanted["ETag"] {
		answer.ETag = o.etag
	}
	if wanted["Checksum"] {
		answer.Checksum = &attributeChecksum{ChecksumType: o.checksumType}
		*answer.Checksum.of(o.algorithm) = o.checksum
	}
	if wanted["ObjectParts"] && o.multipart() {
		if answer.ObjectParts, err = o.listed(r.Header, body.parts); err != nil {
			return err
		}
	}
	if wanted["StorageClass"] {
		answer.StorageClass = "STANDARD"
	}
	if wanted["ObjectSize"] {
		answer.ObjectSize = &o.size
	}
	w.Header().Set("Last-Modified", o.modified.Format(http.TimeFormat))
	writeXML(w, http.StatusOK, answer)
	return nil
}

func wantedAttributes(h http.Header) (map[string]bool, error) {
	if h.Get("x-amz-object-attributes") == "" {
		return nil, errInvalidRequest.saying("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	wanted := map[string]bool{}
	for _, name := range strings.Split(strings.Join(h.Values("x-amz-object-attributes"), ","), ",") {
		if name = strings.TrimSpace(name); !slices.Contains(attributeNames, name) {
			return nil, errInvalidArgument.saying("Invalid attribute name specified.")
		}
		wanted[name] = true
	}
	return wanted, nil
}

// listed gives a page of the object's parts. S3 names them one by one only where each has a checksum of its own; of an object
// that is summed as a whole it tells the number (API reference, GetObjectAttributes, ObjectParts).
func (o object) listed(h http.Header, parts []part) (*attributeParts, error) {
	page := &attributeParts{PartsCount: len(parts)}
	if o.checksumType != composite {
		return page, nil
	}
	most, behind := maxPage, 0
	for name, n := range map[string]*int{"x-amz-max-parts": &most, "x-amz-part-number-marker": &behind} {
		text := h.Get(name)
		if text == "" {
			continue
		}
		value, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return nil, errInvalidArgument.saying("Argument %s must be an integer between 0 and 2147483647", strings.TrimPrefix(name, "x-amz-"))
		}
		*n = int(value)
	}
	most = min(most, maxPage)
	last, truncated := behind, false
	for i, p := range parts {
		number := i + 1
		if number <= behind {
			continue
		}
		if truncated = len(page.Part) == most; truncated {
			break
		}
		one := attributePart{PartNumber: number, Size: p.size}
		*one.of(o.algorithm) = p.checksum
		page.Part, last = append(page.Part, one), number
	}
	page.PartNumberMarker, page.NextPartNumberMarker, page.MaxParts, page.IsTruncated = &behind, &last, &most, &truncated
	return page, nil
}
