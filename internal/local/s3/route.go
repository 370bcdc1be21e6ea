package s3

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"loradeck/internal/sqlite"
)

// maxKey is the longest key in bytes of UTF-8 (Amazon S3 user guide, object key names).
const maxKey = 1024

// target is what a request is about. A service request has neither, a bucket request no key.
type target struct{ bucket, key string }

func targetOf(r *http.Request) (t target) {
	t.bucket, t.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return t
}

// operation answers one request, or gives the error to answer with before it has written anything.
type operation func(w http.ResponseWriter, r *http.Request, t target) error

// ServeHTTP answers one S3 request.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var id [8]byte
	rand.Read(id[:]) // never fails
	w.Header().Set("x-amz-request-id", strings.ToUpper(hex.EncodeToString(id[:])))
	w.Header().Set("x-amz-id-2", "loradeck")
	w.Header().Set("Server", "AmazonS3")
	if err := s.serve(w, r); err != nil {
		s.refuse(w, r, err)
	}
}

func (s *Store) serve(w http.ResponseWriter, r *http.Request) error {
	t := targetOf(r)
	if r.Method == http.MethodOptions {
		return preflight(r.Header, t)
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errInvalidURI
	}
	chain, err := s.authenticate(r, query, time.Now())
	if err != nil {
		return err
	}
	unhoist(r.Header, query)
	if strings.HasPrefix(r.Header.Get("x-amz-content-sha256"), "STREAMING-") {
		r.Body = newChunkedReader(r.Body, chain)
	}
	do, err := s.operation(r, t, query)
	if err != nil {
		return err
	}
	switch {
	case t.bucket != "" && !validBucket(t.bucket):
		return errInvalidBucketName
	case len(t.key) > maxKey:
		return errKeyTooLong
	case !utf8.ValidString(t.key):
		return errInvalidURI
	}
	if err := s.checkOwner(r.Header); err != nil {
		return err
	}
	return do(w, r, t)
}

// accountID is what AWS takes for the number of an account.
var accountID = regexp.MustCompile(`^[0-9]{12}$`)

// checkOwner refuses a request that expects a bucket, or the one it copies from, to be another account's.
func (s *Store) checkOwner(h http.Header) error {
	for _, name := range []string{"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"} {
		switch expected := h.Get(name); {
		case expected == "":
		case !accountID.MatchString(expected):
			return errInvalidBucketOwner
		case s.owner != "" && expected != s.owner:
			return errAccessDenied
		}
	}
	return nil
}

// preflight refuses a browser's question whether a page of another site may send a request, as S3 does for a bucket without
// CORS rules (Amazon S3 user guide, troubleshooting CORS). No bucket has rules here: what guards a store on loopback is that
// no page reaches it. Preflights are never signed, so this comes before signatures.
func preflight(h http.Header, t target) error {
	method := h.Get("Access-Control-Request-Method")
	switch {
	case h.Get("Origin") == "":
		return errBadRequest.saying("Insufficient information. Origin request header needed.")
	case method == "":
		return errBadRequest.saying("Invalid Access-Control-Request-Method: null")
	}
	kind := "BUCKET"
	if t.key != "" {
		kind = "OBJECT"
	}
	return errAccessForbidden.with("Method", method).with("ResourceType", kind)
}

// operation finds what a request asks for by its method and the subresource in its query.
func (s *Store) operation(r *http.Request, t target, query url.Values) (operation, error) {
	if unsupported(r.Header) {
		return nil, errNotImplemented
	}
	sub := subresource(query)
	var do operation
	switch {
	case t.bucket == "":
		do = s.serviceOperation(r.Method, sub)
	case t.key == "":
		do = s.bucketOperation(r.Method, sub)
	default:
		do = s.objectOperation(r.Method, sub, r.Header.Get("x-amz-copy-source") != "")
	}
	switch {
	case do != nil:
		return do, nil
	case sub == "":
		return nil, errMethodNotAllowed
	}
	return nil, errNotImplemented
}

func (s *Store) serviceOperation(method, sub string) operation {
	if method == http.MethodGet && sub == "" {
		return s.listBuckets
	}
	return nil
}

func (s *Store) bucketOperation(method, sub string) operation {
	switch method + " " + sub {
	case "PUT ":
		return s.createBucket
	case "HEAD ":
		return s.headBucket
	case "DELETE ":
		return s.deleteBucket
	case "GET location":
		return s.bucketLocation
	case "GET list-type", "GET ":
		return s.listObjects
	case "GET uploads":
		return s.listUploads
	case "POST delete":
		return s.deleteObjects
	}
	return nil
}

func (s *Store) objectOperation(method, sub string, copies bool) operation {
	switch method + " " + sub {
	case "PUT ":
		if copies {
			return s.copyObject
		}
		return s.putObject
	case "GET ", "HEAD ", "GET partNumber", "HEAD partNumber":
		return s.getObject
	case "GET attributes":
		return s.getAttributes
	case "DELETE ":
		return s.deleteObject
	case "POST uploads":
		return s.createUpload
	case "PUT uploadId":
		if copies {
			return s.uploadPartCopy
		}
		return s.uploadPart
	case "GET uploadId":
		return s.listParts
	case "POST uploadId":
		return s.completeUpload
	case "DELETE uploadId":
		return s.abortUpload
	}
	return nil
}

// subresources are the query keys that change what a request means; all others S3 passes over. uploadId stands before
// partNumber, which comes with it.
var subresources = []string{
	"uploadId", "uploads", "delete", "location", "list-type", "partNumber",
	"accelerate", "acl", "analytics", "append", "attributes", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "logging", "metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus",
	"publicAccessBlock", "renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "versionId", "versioning", "versions", "website",
}

func subresource(query url.Values) string {
	for _, name := range subresources {
		if query.Has(name) && (name != "versionId" || query.Get(name) != "null") { // "null" is the version without versioning
			return name
		}
	}
	return ""
}

// unsupported reports whether a header asks for something that would be lost in silence here.
func unsupported(h http.Header) bool {
	for _, name := range []string{
		"x-amz-copy-source-server-side-encryption-customer-algorithm", "x-amz-tagging", "x-amz-website-redirect-location", "x-amz-write-offset-bytes", "x-amz-object-lock-mode",
		"x-amz-object-lock-legal-hold", "x-amz-bucket-object-lock-enabled", "x-amz-server-side-encryption-customer-algorithm",
		"x-amz-grant-read", "x-amz-grant-full-control",
		"x-amz-checksum-sha512", "x-amz-checksum-md5", "x-amz-checksum-xxhash64", "x-amz-checksum-xxhash3", "x-amz-checksum-xxhash128",
	} {
		if h.Get(name) != "" {
			return true
		}
	}
	// These have a value that says what happens here anyway.
	for name, fine := range map[string]string{
		"x-amz-server-side-encryption": "AES256", "x-amz-storage-class": "STANDARD", "x-amz-acl": "private bucket-owner-full-control",
	} {
		if value := h.Get(name); value != "" && !slices.Contains(strings.Fields(fine), value) {
			return true
		}
	}
	return false
}

// validBucket reports whether S3 would take the name (Amazon S3 user guide, general purpose bucket naming rules).
func validBucket(name string) bool {
	if len(name) < 3 || len(name) > 63 || strings.Contains(name, "..") || strings.HasPrefix(name, "xn--") || strings.HasSuffix(name, "-s3alias") {
		return false
	}
	letters := false
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z':
			letters = true
		case c >= '0' && c <= '9':
		case c == '-':
			letters = true // no IP address either
			fallthrough
		case c == '.':
			if i == 0 || i == len(name)-1 {
				return false
			}
		default:
			return false
		}
	}
	return letters || strings.Count(name, ".") != 3 // four numbers would be an IP address
}

// maxDrained is how much is read of a body that nobody wants, so that its sender gets to hear why: more than SDKs send in one part.
// Of one that is longer the connection is closed.
const maxDrained = 64 << 20

// refuse answers with an error. One that is not S3's is logged, and the client hears that it was internal.
func (s *Store) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var f *fault
	if !errors.As(err, &f) {
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "object store failed", "op", r.Method+" "+r.URL.Path, "err", err)
		}
		f = errInternal
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || sqlite.Full(err) {
			f = errDiskFull
		}
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained) // a client that is still sending would hear of a broken connection only
	}
	if f.status == http.StatusNotModified || r.Method == http.MethodHead {
		w.WriteHeader(f.status)
		return
	}
	writeXML(w, f.status, struct {
		XMLName                     xml.Name `xml:"Error"`
		Code, Message               string
		Facts                       []fact
		Resource, RequestId, HostId string
	}{Code: f.code, Message: f.message, Facts: f.about(r), Resource: r.URL.Path, RequestId: w.Header().Get("x-amz-request-id"), HostId: w.Header().Get("x-amz-id-2")})
}

// about gives the fault's facts with the names that S3 adds to what it does not find.
func (f *fault) about(r *http.Request) []fact {
	t := targetOf(r)
	switch {
	case r.Header.Get("x-amz-copy-source") != "": // it may be the source that is missing
	case errors.Is(f, errNoSuchKey):
		f = f.with("Key", t.key)
	case errors.Is(f, errNoSuchBucket):
		f = f.with("BucketName", t.bucket)
	case errors.Is(f, errNoSuchUpload):
		f = f.with("UploadId", r.URL.Query().Get("uploadId"))
	}
	return f.facts
}

// writeXML answers with a document. A client that has gone is no error.
func writeXML(w http.ResponseWriter, status int, v any) {
	text, err := xml.Marshal(v)
	if err != nil {
		panic("s3: " + err.Error()) // the documents are ours: only a broken build gets here
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xml.Header))
	_, _ = w.Write(text)
}
