package s3_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// send makes a request that no SDK would, and gives status and S3 error code.
func send(t *testing.T, h http.Handler, method, target, body string, headers ...string) (int, string) {
	t.Helper()
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Content-Length" && headers[i+1] == "-1" {
			request.ContentLength = -1
		}
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, request)
	if answer.Header().Get("x-amz-request-id") == "" {
		t.Errorf("%s %s: no request id", method, target)
	}
	if answer.Code < 300 || method == http.MethodHead {
		return answer.Code, ""
	}
	var fault struct {
		XMLName         xml.Name `xml:"Error"`
		Code, RequestId string
	}
	if err := xml.Unmarshal(answer.Body.Bytes(), &fault); err != nil || fault.RequestId == "" {
		t.Errorf("%s %s: got %q, want S3's error document", method, target, answer.Body)
	}
	return answer.Code, fault.Code
}

func TestBadRequestsGetS3sErrors(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	put(t, client, "there", "text")
	const trailing = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	good := "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
	tests := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		code                       string
	}{
		{"trailer", "PUT", "/endpoints/k", good, []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5", "x-amz-trailer", "x-amz-checksum-crc32"}, 200, ""},
		{"signed chunks", "PUT", "/endpoints/k", "5;chunk-signature=0f\r\nhello\r\n0;chunk-signature=0f\r\n\r\n", []string{"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length", "5"}, 200, ""},
		{"trailer of other bytes", "PUT", "/endpoints/k", strings.Replace(good, "hello", "jello", 1), []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5", "x-amz-trailer", "x-amz-checksum-crc32"}, 400, "BadDigest"},
		{"decoded length too long", "PUT", "/endpoints/k", good, []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "6", "x-amz-trailer", "x-amz-checksum-crc32"}, 400, "IncompleteBody"},
		{"decoded length too short", "PUT", "/endpoints/k", good, []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "4", "x-amz-trailer", "x-amz-checksum-crc32"}, 400, "IncompleteBody"},
		{"no decoded length", "PUT", "/endpoints/k", good, []string{"x-amz-content-sha256", trailing, "x-amz-trailer", "x-amz-checksum-crc32"}, 411, "MissingContentLength"},
		{"trailer missing", "PUT", "/endpoints/k", "5\r\nhello\r\n0\r\n\r\n", []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5", "x-amz-trailer", "x-amz-checksum-crc32"}, 400, "MalformedTrailerError"},
		{"unknown trailer", "PUT", "/endpoints/k", good, []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5", "x-amz-trailer", "x-amz-checksum-crc7"}, 400, "InvalidRequest"},
		{"not chunked at all", "PUT", "/endpoints/k", "hello", []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5"}, 400, "IncompleteBody"},
		{"cut off", "PUT", "/endpoints/k", "5\r\nhel", []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5"}, 400, "IncompleteBody"},
		{"long and cut off", "PUT", "/endpoints/k", "100000\r\n" + strings.Repeat("x", 1<<19), []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "1048576"}, 400, "IncompleteBody"},
		{"long and longer than said", "PUT", "/endpoints/k", "100001\r\n" + strings.Repeat("x", 1<<20+1) + "\r\n0\r\n\r\n", []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "1048576"}, 400, "IncompleteBody"},
		{"long with a wrong MD5", "PUT", "/endpoints/k", strings.Repeat("x", 1<<20), []string{"Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="}, 400, "BadDigest"},
		{"huge chunk", "PUT", "/endpoints/k", "ffffffffffffffff\r\nhello", []string{"x-amz-content-sha256", trailing, "x-amz-decoded-content-length", "5"}, 400, "IncompleteBody"},
		{"no length", "PUT", "/endpoints/k", "x", []string{"Content-Length", "-1"}, 411, "MissingContentLength"},
		{"signed sum of other bytes", "PUT", "/endpoints/k", "x", []string{"x-amz-content-sha256", strings.Repeat("0", 64)}, 400, "XAmzContentSHA256Mismatch"},
		{"nonsense sum", "PUT", "/endpoints/k", "x", []string{"x-amz-content-sha256", "nonsense"}, 400, "InvalidArgument"},
		{"two checksums", "PUT", "/endpoints/k", "x", []string{"x-amz-checksum-crc32", "AAAAAA==", "x-amz-checksum-crc32c", "AAAAAA=="}, 400, "InvalidRequest"},
		{"checksum promised only", "PUT", "/endpoints/k", "x", []string{"x-amz-sdk-checksum-algorithm", "CRC32"}, 400, "InvalidRequest"},
		{"key not UTF-8", "PUT", "/endpoints/%ff", "x", nil, 400, "InvalidURI"},
		{"query not parsable", "GET", "/endpoints/k?a=%zz", "", nil, 400, "InvalidURI"},
		{"condition", "PUT", "/endpoints/k", "x", []string{"If-None-Match", `"0f"`}, 501, "NotImplemented"},
		{"encryption key", "PUT", "/endpoints/k", "x", []string{"x-amz-server-side-encryption", "aws:kms"}, 501, "NotImplemented"},
		{"checksum that is not done here", "PUT", "/endpoints/k", "x", []string{"x-amz-checksum-xxhash64", "AAAAAAAAAAA="}, 501, "NotImplemented"},
		{"preflight", "OPTIONS", "/endpoints/there", "", []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT"}, 403, "AccessForbidden"},
		{"preflight of a missing bucket", "OPTIONS", "/no-such-bucket", "", []string{"Origin", "https://a.example", "Access-Control-Request-Method", "GET"}, 403, "AccessForbidden"},
		{"preflight without an origin", "OPTIONS", "/endpoints/there", "", []string{"Access-Control-Request-Method", "PUT"}, 400, "BadRequest"},
		{"preflight for nothing", "OPTIONS", "/endpoints/there", "", []string{"Origin", "https://a.example"}, 400, "BadRequest"},
		{"method", "PATCH", "/endpoints/k", "x", nil, 405, "MethodNotAllowed"},
		{"method on the service", "PUT", "/", "", nil, 405, "MethodNotAllowed"},
		{"post on a key", "POST", "/endpoints/k", "", nil, 405, "MethodNotAllowed"},
		{"list type", "GET", "/endpoints?list-type=3", "", nil, 400, "InvalidArgument"},
		{"policy", "GET", "/endpoints?policy", "", nil, 501, "NotImplemented"},
		{"part number 0 read", "GET", "/endpoints/there?partNumber=0", "", nil, 400, "InvalidArgument"},
		{"part behind the last", "GET", "/endpoints/there?partNumber=2", "", nil, 416, "InvalidPartNumber"},
		{"part and range", "GET", "/endpoints/there?partNumber=1", "", []string{"Range", "bytes=0-1"}, 400, "InvalidRequest"},
		{"the only version", "GET", "/endpoints/there?versionId=null", "", nil, 200, ""},
		{"another version", "GET", "/endpoints/there?versionId=7", "", nil, 501, "NotImplemented"},
		{"unknown attribute", "GET", "/endpoints/there?attributes", "", []string{"x-amz-object-attributes", "ETag,Colour"}, 400, "InvalidArgument"},
		{"no attribute", "GET", "/endpoints/there?attributes", "", nil, 400, "InvalidRequest"},
		{"max-keys", "GET", "/endpoints?list-type=2&max-keys=-1", "", nil, 400, "InvalidArgument"},
		{"token", "GET", "/endpoints?list-type=2&continuation-token=%21", "", nil, 400, "InvalidArgument"},
		{"made-up token", "GET", "/endpoints?list-type=2&continuation-token=dGhlcmU", "", nil, 400, "InvalidArgument"},
		{"owner that is no account", "HEAD", "/endpoints", "", []string{"x-amz-expected-bucket-owner", "me"}, 400, ""},
		{"encoding", "GET", "/endpoints?list-type=2&encoding-type=x", "", nil, 400, "InvalidArgument"},
		{"part number 0", "PUT", "/endpoints/k?uploadId=x&partNumber=0", "x", nil, 400, "InvalidArgument"},
		{"part number 10001", "PUT", "/endpoints/k?uploadId=x&partNumber=10001", "x", nil, 400, "InvalidArgument"},
		{"complete without XML", "POST", "/endpoints/k?uploadId=x", "no XML", nil, 400, "MalformedXML"},
		{"complete with another document", "POST", "/endpoints/k?uploadId=x", "<Delete/>", nil, 400, "MalformedXML"},
		{"complete with a number that is none", "POST", "/endpoints/k?uploadId=x", "<CompleteMultipartUpload><Part><PartNumber>x</PartNumber></Part></CompleteMultipartUpload>", nil, 400, "MalformedXML"},
		{"sha over the whole", "POST", "/endpoints/k?uploads", "", []string{"x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-type", "FULL_OBJECT"}, 400, "InvalidRequest"},
		{"unknown algorithm", "POST", "/endpoints/k?uploads", "", []string{"x-amz-checksum-algorithm", "CRC7"}, 400, "InvalidRequest"},
		{"delete without a checksum", "POST", "/endpoints?delete", "<Delete/>", nil, 400, "InvalidRequest"},
		{"bucket that is an address", "PUT", "/127.0.0.1", "", nil, 400, "InvalidBucketName"},
		{"bucket with dots", "HEAD", "/a..b", "", nil, 400, ""},
		{"missing on HEAD", "HEAD", "/endpoints/none", "", nil, 404, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, code := send(t, store, test.method, test.target, test.body, test.headers...)
			if status != test.status || code != test.code {
				t.Errorf("got %d %s, want %d %s", status, code, test.status, test.code)
			}
		})
	}
}

func TestPreflightIsRefusedAsOfABucketWithoutRules(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	put(t, client, "there", "text")
	answer := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodOptions, "/endpoints/there", nil)
	request.Header.Set("Origin", "https://a.example")
	request.Header.Set("Access-Control-Request-Method", "PUT")
	store.ServeHTTP(answer, request)
	for _, want := range []string{"<Message>CORSResponse: CORS is not enabled for this bucket.</Message>", "<Method>PUT</Method>", "<ResourceType>OBJECT</ResourceType>"} {
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("got %s, want %s", answer.Body, want)
		}
	}
	for name := range answer.Header() {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("got %s: a browser would let the page go on", name)
		}
	}
}

func TestErrorOfHEADHasNoBody(t *testing.T) {
	t.Parallel()
	store, _ := newStore(t, false)
	answer := httptest.NewRecorder()
	store.ServeHTTP(answer, httptest.NewRequest(http.MethodHead, "/endpoints/none", nil))
	if text, _ := io.ReadAll(answer.Body); answer.Code != http.StatusNotFound || len(text) != 0 {
		t.Errorf("got %d %q", answer.Code, text)
	}
}
