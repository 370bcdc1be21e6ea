package s3

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// FuzzSignature makes requests with any Authorization, date and query. Every refusal is one of S3's, and nothing passes in the
// name of a key whose secret is known: no input can hold the right signature but by chance.
func FuzzSignature(f *testing.F) {
	const scope = "/20260101/us-east-1/s3/aws4_request"
	const sum = "00000000000000000000000000000000000000000000000000000000000000ff"
	f.Add("", "", "")
	f.Add(schemeV4+" Credential=known"+scope+", SignedHeaders=host;x-amz-date, Signature="+sum, "20260101T000000Z", "list-type=2")
	f.Add(schemeV4+" Credential=known"+scope+",SignedHeaders=host,Signature="+sum, "Thu, 01 Jan 2026 00:00:00 GMT", "")
	f.Add(schemeV4+" Credential=un/known"+scope+", SignedHeaders=, Signature=", "", "")
	f.Add("AWS known:"+sum, "20260101T000000Z", "acl")
	f.Add("", "", "AWSAccessKeyId=known&Signature=AAAA&Expires=1767225660")
	f.Add("", "", "X-Amz-Algorithm="+schemeV4+"&X-Amz-Credential=known"+scope+"&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature="+sum)
	store := &Store{region: "us-east-1", secrets: map[string]string{"known": "a secret"}}
	now := time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC)
	f.Fuzz(func(t *testing.T, authorization, date, rawQuery string) {
		query, err := url.ParseQuery(rawQuery)
		if err != nil {
			return
		}
		r := &http.Request{Method: http.MethodGet, Host: "a", URL: &url.URL{Path: "/bucket/key", RawQuery: rawQuery}, Header: http.Header{}}
		for name, value := range map[string]string{"Authorization": authorization, "X-Amz-Date": date, "Date": date} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		chain, err := store.authenticate(r, query, now)
		var refusal *fault
		switch {
		case err != nil && !errors.As(err, &refusal):
			t.Fatalf("got %v, which S3 does not say", err)
		case err == nil && (chain != nil || claims(store, r, query, now) == "known"):
			t.Fatal("a forged signature passed")
		}
	})
}

// claims gives the key in whose name a request that was let through is made, "" for none.
func claims(store *Store, r *http.Request, query url.Values, now time.Time) string {
	if given, err := presignedV4(query, now); err == nil {
		return given.key
	}
	if given, err := store.headerV4(r.Header, now); err == nil {
		return given.key
	}
	if key, ok := strings.CutPrefix(r.Header.Get("Authorization"), oldScheme); ok {
		key, _, _ = strings.Cut(key, ":")
		return key
	}
	if !query.Has("Signature") {
		return "" // it is not signed at all, whatever key it names
	}
	return query.Get("AWSAccessKeyId")
}
