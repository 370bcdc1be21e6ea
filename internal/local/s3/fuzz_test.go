package s3_test

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"loradeck/internal/local/s3"
)

// seeds are whole requests that reach far into the store. UPLOAD stands for the id of an upload that is under way.
var seeds = []string{
	"GET / HTTP/1.1\nHost: a\n\n",
	"GET /endpoints?list-type=2&prefix=a&delimiter=%2F&start-after=b&max-keys=2&encoding-type=url&fetch-owner=true HTTP/1.1\nHost: a\n\n",
	"GET /endpoints?marker=a&delimiter=%00 HTTP/1.1\nHost: a\n\n",
	"GET /endpoints?uploads&prefix=u&delimiter=p&key-marker=a HTTP/1.1\nHost: a\n\n",
	"GET /endpoints/there HTTP/1.1\nHost: a\nRange: bytes=1-2\nIf-Range: \"0f\"\nIf-None-Match: *\n\n",
	"GET /endpoints/there?partNumber=1&response-content-type=text%2Fx HTTP/1.1\nHost: a\nx-amz-checksum-mode: ENABLED\n\n",
	"GET /endpoints/there?attributes HTTP/1.1\nHost: a\nx-amz-object-attributes: ETag,ObjectParts\nx-amz-max-parts: 1\n\n",
	"GET /endpoints/there?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00 HTTP/1.1\nHost: a\n\n",
	"GET /endpoints/there HTTP/1.1\nHost: a\nAuthorization: AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00\n\n",
	"GET /endpoints/there HTTP/1.1\nHost: a\nDate: x\nAuthorization: AWS any:00\n\n",
	"PUT /endpoints/k HTTP/1.1\nHost: a\nContent-Length: 4\nx-amz-meta-a: b\nIf-None-Match: *\n\ntext",
	"PUT /endpoints/k HTTP/1.1\nHost: a\nContent-Length: 60\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\nx-amz-decoded-content-length: 5\nx-amz-trailer: x-amz-checksum-crc32\n\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
	"PUT /endpoints/copy HTTP/1.1\nHost: a\nx-amz-copy-source: /endpoints/there\nx-amz-metadata-directive: REPLACE\n\n",
	"PUT /endpoints/upload?partNumber=1&uploadId=UPLOAD HTTP/1.1\nHost: a\nx-amz-copy-source: endpoints/there\nx-amz-copy-source-range: bytes=0-1\n\n",
	"PUT /endpoints/upload?partNumber=2&uploadId=UPLOAD HTTP/1.1\nHost: a\nContent-Length: 4\n\ntext",
	"GET /endpoints/upload?uploadId=UPLOAD&max-parts=1&part-number-marker=0 HTTP/1.1\nHost: a\n\n",
	"POST /endpoints/upload?uploadId=UPLOAD HTTP/1.1\nHost: a\nContent-Length: 88\n\n<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
	"POST /endpoints/new?uploads HTTP/1.1\nHost: a\nx-amz-checksum-algorithm: SHA256\nx-amz-checksum-type: COMPOSITE\n\n",
	"POST /endpoints?delete HTTP/1.1\nHost: a\nContent-Length: 57\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==\n\n<Delete><Object><Key>k</Key><ETag>*</ETag></Object></Delete>",
	"DELETE /endpoints/k HTTP/1.1\nHost: a\nIf-Match: *\n\n",
	"PUT /another-bucket HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
}

// fuzzed gives a store that holds the object "there" and an upload of "upload", and the upload's id.
func fuzzed(f *testing.F) (store *s3.Store, upload string) {
	f.Helper()
	store = openStore(f, f.TempDir(), s3.Secrets(map[string]string{"any": "any"}))
	if err := store.EnsureBucket(f.Context(), bucket); err != nil {
		f.Fatal(err)
	}
	client := newClient(f, store, false)
	put(f, client, "there", "text")
	made, err := client.CreateMultipartUpload(f.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("upload")})
	if err != nil {
		f.Fatal(err)
	}
	return store, *made.UploadId
}

// FuzzRequest sends whole requests to a store that holds an object and an upload. Whatever comes, it answers; never with an
// internal error; and what it calls XML is XML.
func FuzzRequest(f *testing.F) {
	store, upload := fuzzed(f)
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = bytes.ReplaceAll(raw, []byte("UPLOAD"), []byte(upload))
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		method := request.Method // the store may keep nothing of a request, but it may change it
		answer := httptest.NewRecorder()
		store.ServeHTTP(answer, request.WithContext(t.Context()))
		if answer.Code >= 500 && answer.Code != http.StatusNotImplemented {
			t.Fatalf("got %d %s", answer.Code, answer.Body)
		}
		if method != http.MethodHead && answer.Header().Get("Content-Type") == "application/xml" && !strings.Contains(string(raw), "application/xml") {
			wantXML(t, answer.Body)
		}
	})
}

// FuzzXMLBody sends bodies, with their right MD5, to each operation that reads XML. None may end in an internal error or an
// answer that is not XML, and no upload without parts may become an object.
func FuzzXMLBody(f *testing.F) {
	store, upload := fuzzed(f)
	for _, body := range []string{
		"<Delete><Object><Key>k</Key></Object><Object><Key>there</Key><ETag>*</ETag></Object><Quiet>true</Quiet></Delete>",
		"<Delete><Object><Key>a&#1;&amp;<![CDATA[<]]></Key><VersionId>null</VersionId><Size>4</Size></Object></Delete>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"0f\"</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></CompleteMultipartUpload>",
		`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`,
		`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := md5.Sum(body)
		for _, operation := range []string{"POST /endpoints?delete", "POST /endpoints/upload?uploadId=" + upload, "PUT /endpoints"} {
			method, address, _ := strings.Cut(operation, " ")
			request := httptest.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
			request.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
			answer := httptest.NewRecorder()
			store.ServeHTTP(answer, request)
			if answer.Code >= 500 && answer.Code != http.StatusNotImplemented {
				t.Fatalf("%s: got %d %s", operation, answer.Code, answer.Body)
			}
			if strings.Contains(operation, "uploadId") && answer.Code == http.StatusOK {
				t.Fatalf("%s: an upload without parts was completed: %s", operation, answer.Body)
			}
			wantXML(t, answer.Body)
		}
	})
}

func wantXML(t *testing.T, text io.Reader) {
	t.Helper()
	for decoder := xml.NewDecoder(text); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
}
