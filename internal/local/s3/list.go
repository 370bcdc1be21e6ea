package s3

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"hash/crc32"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxPage = 1000 // entries in one answer of any listing (API reference)

// limit reads a max-… parameter: 1000 when missing, and never more.
func limit(query url.Values, name string) (int, error) {
	text := query.Get(name)
	if text == "" {
		return maxPage, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, errInvalidArgument.saying("Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(int(n), maxPage), nil
}

// encoder gives how keys are written in an answer: with encoding-type=url percent-encoded, because XML cannot carry every
// character that a key may hold.
func encoder(query url.Values) (func(string) string, error) {
	switch query.Get("encoding-type") {
	case "":
		return func(s string) string { return s }, nil
	case "url":
		return func(s string) string {
			return strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(s))
		}, nil
	}
	return nil, errInvalidArgument.saying("Invalid Encoding Method specified in Request")
}

// listing is one page of a bucket's entries.
type listing struct {
	objects  []object
	prefixes []string
	next     string // the lowest key not yet looked at; "" at the end
}

func (l listing) count() int { return len(l.objects) + len(l.prefixes) }

// last gives the highest key or common prefix of the page.
func (l listing) last() (last string) {
	if n := len(l.objects); n > 0 {
		last = l.objects[n-1].key
	}
	if n := len(l.prefixes); n > 0 {
		last = max(last, l.prefixes[n-1])
	}
	return last
}

// list collects a page of up to most entries whose keys are not below from. Keys that share what lies between prefix and the
// next delimiter are one entry, and are skipped over rather than read.
func (s *Store) list(ctx context.Context, bucket, prefix, delimiter, from string, most int) (listing, error) {
	var page listing
	for most > 0 { // with max-keys=0 S3 gives an empty, complete page
		batch := most - page.count() + 1
		if delimiter != "" {
			batch = min(batch, 64) // most of a longer one would be skipped
		}
		objects, err := s.index.page(ctx, bucket, prefix, from, batch)
		if err != nil {
			return listing{}, err
		}
		jumped := false
		for _, o := range objects {
			if page.count() == most {
				page.next = o.key
				return page, nil
			}
			if at := strings.Index(o.key[len(prefix):], delimiter); delimiter != "" && at >= 0 {
				shared := o.key[:len(prefix)+at+len(delimiter)]
				page.prefixes = append(page.prefixes, shared)
				from, jumped = after(shared), true
				break
			}
			page.objects = append(page.objects, o)
			from = behind(o.key)
		}
		if !jumped && len(objects) < batch {
			return page, nil
		}
	}
	return page, nil
}

// listObjects answers ListObjectsV2, and ListObjects as boto3's resources still call it.
func (s *Store) listObjects(w http.ResponseWriter, r *http.Request, t target) error {
	query := r.URL.Query()
	most, err := limit(query, "max-keys")
	if err != nil {
		return err
	}
	encode, err := encoder(query)
	if err != nil {
		return err
	}
	from, err := listStart(query)
	if err != nil {
		return err
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	page, err := s.list(r.Context(), t.bucket, query.Get("prefix"), query.Get("delimiter"), from, most)
	if err != nil {
		return err
	}
	w.Header().Set("x-amz-bucket-region", s.region)
	writeXML(w, http.StatusOK, page.document(t.bucket, query, most, encode))
	return nil
}

// listStart gives the lowest key that a listing looks at.
func listStart(query url.Values) (string, error) {
	if !query.Has("list-type") {
		marker := query.Get("marker")
		if delimiter := query.Get("delimiter"); delimiter != "" && strings.HasSuffix(marker, delimiter) {
			return after(marker), nil // the last entry was a common prefix
		}
		return behind(marker), nil
	}
	if query.Get("list-type") != "2" {
		return "", errInvalidArgument.saying("Invalid List Type specified in Request")
	}
	token := query.Get("continuation-token")
	if token == "" {
		return behind(query.Get("start-after")), nil
	}
	return readToken(token)
}

// newToken gives a continuation token for the lowest key not yet looked at: opaque to clients, with a sum that tells it from what
// they make up.
func newToken(next string) string {
	raw := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(next)))
	return base64.RawURLEncoding.EncodeToString(append(raw, next...))
}

// readToken gives the key that newToken was given.
func readToken(token string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 4 || binary.BigEndian.Uint32(raw) != crc32.ChecksumIEEE(raw[4:]) {
		return "", errInvalidArgument.saying("The continuation token provided is incorrect")
	}
	return string(raw[4:]), nil
}

// behind gives the lowest key above key, and the lowest of all for "".
func behind(key string) string {
	if key == "" {
		return ""
	}
	return key + "\x00"
}

type listedObject struct {
	Key, LastModified, ETag         string
	ChecksumAlgorithm, ChecksumType string
	Size                            int64
	StorageClass                    string
	Owner                           *owner
}

type commonPrefix struct{ Prefix string }

type listDocument struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name, Prefix          string
	Delimiter             string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	EncodingType          string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	Marker                *string // of ListObjects alone
	NextMarker            string  `xml:",omitempty"`
	KeyCount              *int    // of ListObjectsV2 alone
	MaxKeys               int
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []commonPrefix
}

func (l listing) document(bucket string, query url.Values, most int, encode func(string) string) listDocument {
	d := listDocument{
		Name: bucket, Prefix: encode(query.Get("prefix")), Delimiter: encode(query.Get("delimiter")), StartAfter: encode(query.Get("start-after")),
		EncodingType: query.Get("encoding-type"), ContinuationToken: query.Get("continuation-token"), MaxKeys: most,
		IsTruncated: l.next != "",
	}
	owned := query.Get("fetch-owner") == "true"
	if query.Has("list-type") {
		count := l.count()
		d.KeyCount = &count
		if d.IsTruncated {
			d.NextContinuationToken = newToken(l.next)
		}
	} else {
		owned = true
		marker := encode(query.Get("marker"))
		d.Marker = &marker
		// Without a delimiter S3 leaves NextMarker out: the last key says as much (API reference, ListObjects).
		if d.IsTruncated && d.Delimiter != "" {
			d.NextMarker = encode(l.last())
		}
	}
	for _, o := range l.objects {
		d.Contents = append(d.Contents, listedObject{
			Key: encode(o.key), LastModified: timestamp(o.modified.Truncate(time.Second)), ETag: o.quotedETag(),
			ChecksumAlgorithm: string(o.algorithm), ChecksumType: o.checksumType, Size: o.size, StorageClass: "STANDARD",
		})
		if owned {
			d.Contents[len(d.Contents)-1].Owner = &everyone
		}
	}
	for _, p := range l.prefixes {
		d.CommonPrefixes = append(d.CommonPrefixes, commonPrefix{encode(p)})
	}
	return d
}
