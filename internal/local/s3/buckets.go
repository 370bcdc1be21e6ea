package s3

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// owner is who everything belongs to: this platform has no users. S3 stopped giving a DisplayName in November 2025.
type owner struct{ ID string }

var everyone = owner{ID: "0000000000000000000000000000000000000000000000000000000000000000"}

// timestamp is a time as S3 writes it in XML. It keeps whole seconds, as S3 does.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// listBuckets answers with all buckets, or with a page of them where the client asks for pages.
func (s *Store) listBuckets(w http.ResponseWriter, r *http.Request, _ target) error {
	query := r.URL.Query()
	most, err := maxBuckets(query.Get("max-buckets"))
	if err != nil {
		return err
	}
	buckets, err := s.index.buckets(r.Context())
	if err != nil {
		return err
	}
	type entry struct{ Name, CreationDate, BucketRegion string }
	answer := struct {
		XMLName           xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner             owner
		Buckets           []entry `xml:"Buckets>Bucket"`
		Prefix            string  `xml:",omitempty"`
		ContinuationToken string  `xml:",omitempty"`
	}{Owner: everyone, Prefix: query.Get("prefix")}
	for _, b := range buckets {
		if !strings.HasPrefix(b.name, answer.Prefix) || b.name <= query.Get("continuation-token") {
			continue
		}
		if len(answer.Buckets) == most {
			answer.ContinuationToken = answer.Buckets[most-1].Name // the last that was given stands for itself
			break
		}
		answer.Buckets = append(answer.Buckets, entry{b.name, timestamp(b.created.Truncate(time.Second)), s.region})
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}

// maxBuckets reads max-buckets; without it all are given.
func maxBuckets(text string) (int, error) {
	const all = 10_000 // the most that S3 gives at once (API reference, ListBuckets)
	if text == "" {
		return all, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > all {
		return 0, errInvalidArgument.saying("Argument max-buckets must be an integer between 1 and 10000")
	}
	return n, nil
}

func (s *Store) createBucket(w http.ResponseWriter, r *http.Request, t target) error {
	var wish struct{ LocationConstraint string }
	if err := readXML(r, &wish); err != nil {
		return err
	}
	place := wish.LocationConstraint
	if place != s.region && (place != "" || s.region != "us-east-1") {
		if place == "" {
			place = "unspecified"
		}
		return errIllegalLocation.saying("The %s location constraint is incompatible for the region specific endpoint this request was sent to.", place)
	}
	created, err := s.index.createBucket(r.Context(), t.bucket, time.Now())
	if err != nil {
		return err
	}
	// In us-east-1 alone, S3 answers 200 when the bucket was there (API reference, CreateBucket, BucketAlreadyOwnedByYou).
	if !created && s.region != "us-east-1" {
		return errBucketOwned
	}
	w.Header().Set("Location", "/"+t.bucket)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Store) headBucket(w http.ResponseWriter, r *http.Request, t target) error {
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	w.Header().Set("x-amz-bucket-region", s.region)
	w.Header().Set("x-amz-access-point-alias", "false")
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Store) deleteBucket(w http.ResponseWriter, r *http.Request, t target) error {
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	old, err := s.index.deleteBucket(r.Context(), t.bucket)
	if err != nil {
		return err
	}
	s.files.remove(old)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Store) bucketLocation(w http.ResponseWriter, r *http.Request, t target) error {
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	region := s.region
	if region == "us-east-1" {
		region = "" // S3's oldest region has no name here
	}
	writeXML(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{Region: region})
	return nil
}
