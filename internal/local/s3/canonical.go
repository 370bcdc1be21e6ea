package s3

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// canonicalV4 writes a request as its signer saw it (Signature Version 4, canonical request). Path and query are decoded and
// encoded again, so it does not matter how the client escaped them.
func canonicalV4(r *http.Request, query url.Values, given signatureV4) string {
	var pairs []string
	for name, values := range query {
		for _, value := range values {
			if name != "X-Amz-Signature" {
				pairs = append(pairs, escapeV4(name, false)+"="+escapeV4(value, false))
			}
		}
	}
	slices.Sort(pairs)
	var headers strings.Builder
	for _, name := range given.headers {
		headers.WriteString(name + ":" + signedValue(r, name) + "\n")
	}
	payload := r.Header.Get("x-amz-content-sha256")
	if payload == "" {
		payload = unsigned
	}
	return strings.Join([]string{r.Method, escapeV4(r.URL.Path, true), strings.Join(pairs, "&"), headers.String(), strings.Join(given.headers, ";"), payload}, "\n")
}

// signedValue gives a header's value as it is signed. Host and Content-Length are where net/http puts them.
func signedValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, value := range values {
		values[i] = strings.Join(strings.Fields(value), " ")
	}
	return strings.Join(values, ",")
}

// escapeV4 percent-encodes all but the unreserved characters of RFC 3986, and slashes where they part a path.
func escapeV4(text string, path bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, path && c == '/':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func toSign(kind string, given signatureV4, canonical string) string {
	return strings.Join([]string{kind, given.at.UTC().Format(stampV4), given.scope(), hexSHA256(canonical)}, "\n")
}

func keyV4(secret string, given signatureV4) []byte {
	key := []byte("AWS4" + secret)
	for _, step := range []string{given.date, given.region, given.service, "aws4_request"} {
		key = macSHA256(key, step)
	}
	return key
}

func signV4(key []byte, text string) string { return hex.EncodeToString(macSHA256(key, text)) }

func macSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// authenticateV2 holds a request to a signature of version 2, which covers neither the body nor most of the query.
func (s *Store) authenticateV2(r *http.Request, query url.Values, now time.Time) error {
	key, sum, when := query.Get("AWSAccessKeyId"), query.Get("Signature"), query.Get("Expires")
	if old, ok := strings.CutPrefix(r.Header.Get("Authorization"), oldScheme); ok {
		key, sum, _ = strings.Cut(old, ":")
		when = r.Header.Get("Date")
		if r.Header.Get("X-Amz-Date") != "" {
			when = ""
		}
	} else {
		seconds, err := strconv.ParseInt(when, 10, 64)
		if err != nil {
			return errAccessDenied.saying("Invalid date (should be seconds since epoch): %s", when)
		}
		if end := time.Unix(seconds, 0); now.After(end) {
			return expired(end, now)
		}
	}
	secret, known := s.secrets[key]
	if !known {
		return nil
	}
	text := canonicalV2(r, query, when)
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); !hmac.Equal([]byte(want), []byte(sum)) {
		return errSignature.with("AWSAccessKeyId", key).with("StringToSign", text).with("SignatureProvided", sum)
	}
	return nil
}

// signedV2 are the query parameters that version 2 signs (Amazon S3 developer guide, signing and authenticating REST requests).
var signedV2 = []string{
	"acl", "cors", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy", "requestPayment",
	"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
	"restore", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

func canonicalV2(r *http.Request, query url.Values, when string) string {
	var amz []string
	for name, values := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") {
			amz = append(amz, lower+":"+strings.Join(values, ",")+"\n")
		}
	}
	slices.Sort(amz)
	var sub []string
	for _, name := range signedV2 {
		switch value := query.Get(name); {
		case value != "":
			sub = append(sub, name+"="+value)
		case query.Has(name):
			sub = append(sub, name)
		}
	}
	resource := r.URL.EscapedPath()
	if len(sub) > 0 {
		resource += "?" + strings.Join(sub, "&")
	}
	return strings.Join([]string{r.Method, r.Header.Get("Content-MD5"), r.Header.Get("Content-Type"), when, strings.Join(amz, "") + resource}, "\n")
}
