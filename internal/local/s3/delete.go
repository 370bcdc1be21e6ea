package s3

import (
	"encoding/xml"
	"net/http"
	"strings"
)

func (s *Store) deleteObject(w http.ResponseWriter, r *http.Request, t target) error {
	if r.Header.Get("If-None-Match") != "" {
		return errNotImplemented
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	old, refused, err := s.index.remove(r.Context(), t.bucket, []removal{{t.key, deleteCondition(r.Header.Get("If-Match"))}})
	if err != nil {
		return err
	}
	if refused[0] != nil {
		return refused[0]
	}
	s.files.remove(old)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteCondition reads the ETag that a deletion expects; "*" stands for any.
func deleteCondition(etag string) condition {
	if etag == "*" {
		return condition{present: true}
	}
	return condition{etag: strings.Trim(etag, `"`)}
}

type deletedKey struct {
	Key                                     string
	VersionId, ETag, LastModifiedTime, Size string `xml:",omitempty"`
}

type undeletedKey struct{ Key, Code, Message string }

// deleteObjects deletes up to a thousand keys in one transaction.
func (s *Store) deleteObjects(w http.ResponseWriter, r *http.Request, t target) error {
	promise, err := promised(r)
	if err != nil {
		return err
	}
	if promise.md5 == nil && promise.algorithm == "" {
		return errInvalidRequest.saying("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	var wish struct {
		XMLName xml.Name `xml:"Delete"`
		Object  []deletedKey
		Quiet   bool
	}
	if err := readXML(r, &wish); err != nil {
		return err
	}
	if len(wish.Object) == 0 || len(wish.Object) > 1000 {
		return errMalformedXML
	}
	removals := make([]removal, len(wish.Object))
	for i, one := range wish.Object {
		if (one.VersionId != "" && one.VersionId != "null") || one.LastModifiedTime+one.Size != "" {
			return errNotImplemented // versions, and conditions of directory buckets: better refused than passed over
		}
		if one.Key == "" {
			return errMalformedXML
		}
		removals[i] = removal{one.Key, deleteCondition(one.ETag)}
	}
	if err := s.index.hasBucket(r.Context(), t.bucket); err != nil {
		return err
	}
	old, refused, err := s.index.remove(r.Context(), t.bucket, removals)
	if err != nil {
		return err
	}
	s.files.remove(old)
	answer := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deletedKey
		Error   []undeletedKey
	}{}
	for i, one := range wish.Object {
		switch f := refused[i]; {
		case f != nil:
			answer.Error = append(answer.Error, undeletedKey{one.Key, f.code, f.message})
		case !wish.Quiet:
			answer.Deleted = append(answer.Deleted, deletedKey{Key: one.Key, VersionId: one.VersionId})
		}
	}
	writeXML(w, http.StatusOK, answer)
	return nil
}
