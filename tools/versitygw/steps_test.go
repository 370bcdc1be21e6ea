//go:build versitygw

package versitygw

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"strings"
)

// step is one request, sent to both servers. Names in braces stand for what an earlier answer of the same server gave.
type step struct {
	name           string
	method, target string
	body           string
	headers        []string          // in pairs
	sign           string            // how: see sign; "" is in the header
	keep           map[string]string // name → header or element of the answer
}

const (
	partSize = 5 << 20
	trailing = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	past     = "Tue, 01 Jan 2002 00:00:00 GMT"
	future   = "Fri, 01 Jan 2100 00:00:00 GMT"
)

// steps build on each other: buckets, objects, reads, conditions, listings, copies, uploads, deletions, signatures.
func steps() []step {
	return concat(buckets(), puts(), reads(), conditions(), listings(), copies(), uploads(), completions(), deletions(), signatures(), others())
}

func concat(all ...[]step) (joined []step) {
	for _, some := range all {
		joined = append(joined, some...)
	}
	return joined
}

func h(pairs ...string) []string { return pairs }

func buckets() []step {
	return []step{
		{name: "create bucket", method: "PUT", target: "/first-bucket"},
		{name: "create it again", method: "PUT", target: "/first-bucket"},
		{name: "create another", method: "PUT", target: "/second-bucket"},
		{name: "create one in another region", method: "PUT", target: "/third-bucket", body: `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`},
		{name: "bucket in capitals", method: "PUT", target: "/First"},
		{name: "bucket of two letters", method: "PUT", target: "/ab"},
		{name: "bucket that is an address", method: "PUT", target: "/192.168.0.1"},
		{name: "list buckets", method: "GET", target: "/"},
		{name: "list buckets by prefix", method: "GET", target: "/?prefix=second"},
		{name: "list one bucket", method: "GET", target: "/?max-buckets=1"},
		{name: "list no buckets", method: "GET", target: "/?max-buckets=0"},
		{name: "head bucket", method: "HEAD", target: "/first-bucket"},
		{name: "head missing bucket", method: "HEAD", target: "/no-such-bucket"},
		{name: "location", method: "GET", target: "/first-bucket?location"},
		{name: "location of a missing bucket", method: "GET", target: "/no-such-bucket?location"},
		{name: "list empty bucket", method: "GET", target: "/first-bucket?list-type=2"},
		{name: "delete bucket", method: "DELETE", target: "/second-bucket"},
		{name: "delete it again", method: "DELETE", target: "/second-bucket"},
	}
}

func puts() []step {
	put := func(name, key, body string, headers ...string) step {
		return step{name: name, method: "PUT", target: "/first-bucket/" + key, body: body, headers: headers}
	}
	chunk := "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
	chunked := func(length, trailer string) []string {
		return h("x-amz-content-sha256", trailing, "x-amz-decoded-content-length", length, "x-amz-trailer", trailer, "Content-Encoding", "aws-chunked")
	}
	return []step{
		put("put", "plain", "0123456789"),
		put("put with headers", "headers", "text", "Content-Type", "text/x", "Cache-Control", "no-store", "Content-Disposition", `attachment; filename="a"`, "Content-Encoding", "gzip", "Content-Language", "zh", "x-amz-meta-adapter", "pirate", "x-amz-meta-two", "a b"),
		put("put empty", "empty", ""),
		put("put a key to escape", "a%20b%2Bc/%C3%A9", "text"),
		put("put MD5", "md5", "hello", "Content-MD5", "XUFAKrxLKna5cZ2REBfFkg=="),
		put("put wrong MD5", "wrong", "hello", "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
		put("put short MD5", "wrong", "hello", "Content-MD5", "short"),
		put("put CRC32", "sums/crc32", "hello", "x-amz-checksum-crc32", "NhCmhg=="),
		put("put CRC32C", "sums/crc32c", "hello", "x-amz-checksum-crc32c", "mnG7TA=="),
		put("put CRC64NVME", "sums/crc64nvme", "hello", "x-amz-checksum-crc64nvme", "M3eFcAZSQlc="),
		put("put SHA1", "sums/sha1", "hello", "x-amz-checksum-sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="),
		put("put SHA256", "sums/sha256", "hello", "x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
		put("put wrong CRC32", "wrong", "hello", "x-amz-checksum-crc32", "AAAAAA=="),
		put("put wrong CRC32C", "wrong", "hello", "x-amz-checksum-crc32c", "AAAAAA=="),
		put("put wrong CRC64NVME", "wrong", "hello", "x-amz-checksum-crc64nvme", "AAAAAAAAAAA="),
		put("put wrong SHA256", "wrong", "hello", "x-amz-checksum-sha256", strings.Repeat("A", 43)+"="),
		put("put short CRC32", "wrong", "hello", "x-amz-checksum-crc32", "short"),
		put("put two checksums", "wrong", "hello", "x-amz-checksum-crc32", "NhCmhg==", "x-amz-checksum-crc32c", "mnG7TA=="),
		put("put a promised checksum", "wrong", "hello", "x-amz-sdk-checksum-algorithm", "CRC32"),
		put("put another algorithm than promised", "wrong", "hello", "x-amz-sdk-checksum-algorithm", "CRC32C", "x-amz-checksum-crc32", "NhCmhg=="),
		put("put wrong payload hash", "wrong", "hello", "x-amz-content-sha256", strings.Repeat("0", 64)),
		put("put payload hash", "hashed", "hello", "x-amz-content-sha256", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"),
		put("put payload hash that is none", "wrong", "hello", "x-amz-content-sha256", "nonsense"),
		put("put trailer", "trailer", chunk, chunked("5", "x-amz-checksum-crc32")...),
		put("put wrong trailer", "wrong", strings.Replace(chunk, "hello", "jello", 1), chunked("5", "x-amz-checksum-crc32")...),
		put("put trailer of no checksum", "wrong", chunk, chunked("5", "x-amz-checksum-crc7")...),
		put("put trailer that does not come", "wrong", "5\r\nhello\r\n0\r\n\r\n", chunked("5", "x-amz-checksum-crc32")...),
		put("put longer than said", "wrong", chunk, chunked("4", "x-amz-checksum-crc32")...),
		put("put shorter than said", "wrong", chunk, chunked("6", "x-amz-checksum-crc32")...),
		put("put frames that are none", "wrong", "hello", chunked("5", "x-amz-checksum-crc32")...),
		put("put without decoded length", "wrong", chunk, "x-amz-content-sha256", trailing, "x-amz-trailer", "x-amz-checksum-crc32"),
		put("put too much metadata", "wrong", "text", "x-amz-meta-a", strings.Repeat("x", 3000)),
		put("put a long key", strings.Repeat("k", 1025), "text"),
		{name: "put into a missing bucket", method: "PUT", target: "/no-such-bucket/k", body: "text"},
		{name: "nothing of the wrong ones is there", method: "GET", target: "/first-bucket/wrong"},
	}
}

func reads() []step {
	var all []step
	get := func(name, target string, headers ...string) {
		all = append(all, step{name: name, method: "GET", target: "/first-bucket/" + target, headers: headers})
	}
	get("get", "plain")
	get("get headers", "headers")
	get("get empty", "empty")
	get("get a key to escape", "a%20b%2Bc/%C3%A9")
	get("get what came with a trailer", "trailer", "x-amz-checksum-mode", "ENABLED")
	for _, name := range []string{"crc32", "crc32c", "crc64nvme", "sha1", "sha256"} {
		get("get "+name, "sums/"+name, "x-amz-checksum-mode", "ENABLED")
	}
	get("get the sum that nobody asked for", "plain", "x-amz-checksum-mode", "ENABLED")
	get("get missing", "none")
	all = append(all,
		step{name: "get in a missing bucket", method: "GET", target: "/no-such-bucket/k"},
		step{name: "head", method: "HEAD", target: "/first-bucket/headers", headers: h("x-amz-checksum-mode", "ENABLED")},
		step{name: "head missing", method: "HEAD", target: "/first-bucket/none"},
		step{name: "head range", method: "HEAD", target: "/first-bucket/plain", headers: h("Range", "bytes=1-2")},
	)
	for _, span := range []string{"bytes=2-4", "bytes=7-", "bytes=-3", "bytes=-99", "bytes=8-99", "bytes=10-", "bytes=-0", "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=x"} {
		get("range "+span, "plain", "Range", span)
	}
	get("range of an empty object", "empty", "Range", "bytes=0-")
	get("last bytes of an empty object", "empty", "Range", "bytes=-1")
	get("other headers by query", "headers?response-content-type=text%2Fy&response-cache-control=private&response-content-disposition=inline&response-content-encoding=br&response-content-language=de&response-expires="+strings.ReplaceAll(past, " ", "%20"))
	get("first part of a whole", "plain?partNumber=1")
	get("second part of a whole", "plain?partNumber=2")
	get("part and range", "plain?partNumber=1", "Range", "bytes=0-1")
	get("part 0", "plain?partNumber=0")
	get("attributes", "sums/sha256?attributes", "x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize")
	get("some attributes", "plain?attributes", "x-amz-object-attributes", "ObjectSize")
	get("an attribute that is none", "plain?attributes", "x-amz-object-attributes", "Colour")
	get("no attribute", "plain?attributes")
	get("attributes of a missing key", "none?attributes", "x-amz-object-attributes", "ETag")
	return all
}

func conditions() []step {
	const right, wrong = `"781e5e245d69b566979b86e28d23f2c7"`, `"00000000000000000000000000000000"` // MD5 of 0123456789
	get := func(name string, headers ...string) step {
		return step{name: name, method: "GET", target: "/first-bucket/plain", headers: headers}
	}
	put := func(name, key string, headers ...string) step {
		return step{name: name, method: "PUT", target: "/first-bucket/" + key, body: "0123456789", headers: headers}
	}
	return []step{
		get("get if match", "If-Match", right),
		get("get if match any", "If-Match", "*"),
		get("get if match wrong", "If-Match", wrong),
		get("get if none match", "If-None-Match", right),
		get("get if none match wrong", "If-None-Match", wrong),
		get("get if modified since past", "If-Modified-Since", past),
		get("get if modified since future", "If-Modified-Since", future),
		get("get if unmodified since past", "If-Unmodified-Since", past),
		get("get if unmodified since future", "If-Unmodified-Since", future),
		get("get match before unmodified", "If-Match", right, "If-Unmodified-Since", past),
		get("get none match before modified", "If-None-Match", right, "If-Modified-Since", past),
		get("get if range", "Range", "bytes=1-2", "If-Range", right),
		get("get if range wrong", "Range", "bytes=1-2", "If-Range", wrong),
		{name: "head if none match", method: "HEAD", target: "/first-bucket/plain", headers: h("If-None-Match", right)},
		{name: "head if match wrong", method: "HEAD", target: "/first-bucket/plain", headers: h("If-Match", wrong)},
		put("put if absent", "guarded", "If-None-Match", "*"),
		put("put if absent and there", "guarded", "If-None-Match", "*"),
		put("put if match", "guarded", "If-Match", right),
		put("put if match wrong", "guarded", "If-Match", wrong),
		put("put if match and absent", "none", "If-Match", right),
		put("put if none match an ETag", "guarded", "If-None-Match", right),
		put("put if match any", "guarded", "If-Match", "*"),
		put("put both conditions", "guarded", "If-Match", right, "If-None-Match", "*"),
		{name: "delete if match wrong", method: "DELETE", target: "/first-bucket/guarded", headers: h("If-Match", wrong)},
		{name: "delete if match", method: "DELETE", target: "/first-bucket/guarded", headers: h("If-Match", right)},
		{name: "delete if match and absent", method: "DELETE", target: "/first-bucket/guarded", headers: h("If-Match", right)},
	}
}

func listings() []step {
	var all []step
	for _, key := range []string{"list/a", "list/b/1", "list/b/2", "list/c", "list/d%20%2B%C3%A9", "list/e/1"} {
		all = append(all, step{name: "put " + key, method: "PUT", target: "/first-bucket/" + key, body: "text", headers: h("x-amz-checksum-crc32", "O4RnDA==")})
	}
	for _, query := range []string{
		"list-type=2", "list-type=2&prefix=list/", "list-type=2&prefix=list/&delimiter=/", "list-type=2&prefix=list/b&delimiter=/", "list-type=2&delimiter=/",
		"list-type=2&prefix=none", "list-type=2&prefix=list/&max-keys=0", "list-type=2&prefix=list/&max-keys=2000", "list-type=2&prefix=list/&start-after=list/b/1",
		"list-type=2&prefix=list/&encoding-type=url", "list-type=2&prefix=list/&fetch-owner=true", "list-type=2&prefix=list/&delimiter=/&start-after=list/b/",
		"list-type=2&max-keys=-1", "list-type=2&max-keys=x", "list-type=2&encoding-type=x", "list-type=2&continuation-token=%21", "list-type=3",
		"prefix=list/", "prefix=list/&delimiter=/&max-keys=2", "prefix=list/&max-keys=2", "prefix=list/&marker=list/b/1", "prefix=list/&delimiter=/&marker=list/b/", "prefix=list/&max-keys=0", "prefix=list/&encoding-type=url",
	} {
		all = append(all, step{name: "list " + query, method: "GET", target: "/first-bucket?" + query})
	}
	return append(all,
		step{name: "first page", method: "GET", target: "/first-bucket?list-type=2&prefix=list/&max-keys=2", keep: map[string]string{"token": "NextContinuationToken"}},
		step{name: "second page", method: "GET", target: "/first-bucket?list-type=2&prefix=list/&max-keys=2&continuation-token={token}", keep: map[string]string{"token": "NextContinuationToken"}},
		step{name: "last page", method: "GET", target: "/first-bucket?list-type=2&prefix=list/&max-keys=2&continuation-token={token}"},
		step{name: "first folders", method: "GET", target: "/first-bucket?list-type=2&prefix=list/&delimiter=/&max-keys=2", keep: map[string]string{"token": "NextContinuationToken"}},
		step{name: "further folders", method: "GET", target: "/first-bucket?list-type=2&prefix=list/&delimiter=/&max-keys=9&continuation-token={token}"},
		step{name: "list a missing bucket", method: "GET", target: "/no-such-bucket?list-type=2"},
	)
}

func copies() []step {
	copied := func(name, key, from string, headers ...string) step {
		return step{name: name, method: "PUT", target: "/first-bucket/" + key, headers: append(headers, "x-amz-copy-source", from)}
	}
	return []step{
		copied("copy", "copy/1", "/first-bucket/headers"),
		{name: "get the copy", method: "GET", target: "/first-bucket/copy/1", headers: h("x-amz-checksum-mode", "ENABLED")},
		copied("copy of an escaped key", "copy/2", "first-bucket/a%20b%2Bc/%C3%A9"),
		copied("copy with new headers", "copy/3", "first-bucket/headers", "x-amz-metadata-directive", "REPLACE", "Content-Type", "text/z", "x-amz-meta-new", "1"),
		{name: "get the copy with new headers", method: "GET", target: "/first-bucket/copy/3"},
		copied("copy summed", "copy/4", "first-bucket/sums/sha256"),
		copied("copy summed anew", "copy/5", "first-bucket/sums/sha256", "x-amz-checksum-algorithm", "CRC32C"),
		copied("copy onto itself", "plain", "first-bucket/plain"),
		copied("copy of a missing key", "copy/6", "first-bucket/none"),
		copied("copy from a missing bucket", "copy/6", "no-such-bucket/none"),
		copied("copy of no key", "copy/6", "first-bucket"),
		copied("copy if match wrong", "copy/6", "first-bucket/plain", "x-amz-copy-source-if-match", `"00000000000000000000000000000000"`),
		copied("copy if none match", "copy/6", "first-bucket/plain", "x-amz-copy-source-if-none-match", `"781e5e245d69b566979b86e28d23f2c7"`),
		copied("copy if unmodified since past", "copy/6", "first-bucket/plain", "x-amz-copy-source-if-unmodified-since", past),
		copied("copy if absent and there", "copy/1", "first-bucket/plain", "If-None-Match", "*"),
		copied("copy with a directive that is none", "copy/6", "first-bucket/plain", "x-amz-metadata-directive", "MERGE"),
		copied("copy summed by what is none", "copy/6", "first-bucket/plain", "x-amz-checksum-algorithm", "CRC7"),
		{name: "copy into a missing bucket", method: "PUT", target: "/no-such-bucket/k", headers: h("x-amz-copy-source", "first-bucket/plain")},
	}
}

func uploads() []step {
	create := func(name, key, keep string, headers ...string) step {
		return step{name: name, method: "POST", target: "/first-bucket/" + key + "?uploads", headers: headers, keep: map[string]string{keep: "UploadId"}}
	}
	part := func(name, query, body string, keep string, headers ...string) step {
		s := step{name: name, method: "PUT", target: "/first-bucket/up/plain?" + query, body: body, headers: headers}
		if keep != "" {
			s.keep = map[string]string{keep: "ETag"}
		}
		return s
	}
	list := func(name, query string) step { return step{name: name, method: "GET", target: "/first-bucket" + query} }
	return []step{
		create("create upload", "up/plain", "plain", "Content-Type", "text/x", "x-amz-meta-job", "7"),
		create("create upload CRC32", "up/crc32", "crc32", "x-amz-checksum-algorithm", "CRC32"),
		create("create upload CRC32 of the whole", "up/whole", "whole", "x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "FULL_OBJECT"),
		create("create upload CRC64NVME", "up/nvme", "nvme", "x-amz-checksum-algorithm", "CRC64NVME"),
		create("create upload SHA256", "up/sha256", "sha256", "x-amz-checksum-algorithm", "SHA256"),
		create("create upload SHA256 of the whole", "up/wrong", "wrong", "x-amz-checksum-algorithm", "SHA256", "x-amz-checksum-type", "FULL_OBJECT"),
		create("create upload CRC64NVME of parts", "up/wrong", "wrong", "x-amz-checksum-algorithm", "CRC64NVME", "x-amz-checksum-type", "COMPOSITE"),
		create("create upload CRC7", "up/wrong", "wrong", "x-amz-checksum-algorithm", "CRC7"),
		create("create upload with a type alone", "up/wrong", "wrong", "x-amz-checksum-type", "COMPOSITE"),
		{name: "create upload in a missing bucket", method: "POST", target: "/no-such-bucket/k?uploads"},
		part("part 1", "uploadId={plain}&partNumber=1", strings.Repeat("a", partSize), "one"),
		part("part 2", "uploadId={plain}&partNumber=2", "end", "two"),
		part("part 2 again", "uploadId={plain}&partNumber=2", "END", "two"),
		part("part 3 with a checksum", "uploadId={plain}&partNumber=3", "hello", "three", "x-amz-checksum-crc32", "NhCmhg=="),
		part("part 4 with a wrong checksum", "uploadId={plain}&partNumber=4", "hello", "", "x-amz-checksum-crc32", "AAAAAA=="),
		part("part number 0", "uploadId={plain}&partNumber=0", "x", ""),
		part("part number 10001", "uploadId={plain}&partNumber=10001", "x", ""),
		part("part number that is none", "uploadId={plain}&partNumber=x", "x", ""),
		part("part of no upload", "uploadId=none&partNumber=1", "x", ""),
		{name: "part of another sum than the upload's", method: "PUT", target: "/first-bucket/up/crc32?uploadId={crc32}&partNumber=1", body: "hello", headers: h("x-amz-checksum-crc32c", "mnG7TA==")},
		{name: "part of the upload's sum", method: "PUT", target: "/first-bucket/up/crc32?uploadId={crc32}&partNumber=1", body: "hello", headers: h("x-amz-checksum-crc32", "NhCmhg=="), keep: map[string]string{"crc32part": "ETag"}},
		{name: "part of the whole", method: "PUT", target: "/first-bucket/up/whole?uploadId={whole}&partNumber=1", body: strings.Repeat("a", partSize), headers: h("x-amz-sdk-checksum-algorithm", "CRC32", "x-amz-checksum-crc32", crc32a), keep: map[string]string{"wholeone": "ETag"}},
		{name: "last part of the whole", method: "PUT", target: "/first-bucket/up/whole?uploadId={whole}&partNumber=2", body: "hello", headers: h("x-amz-checksum-crc32", "NhCmhg=="), keep: map[string]string{"wholetwo": "ETag"}},
		{name: "copied part", method: "PUT", target: "/first-bucket/up/plain?uploadId={plain}&partNumber=5", headers: h("x-amz-copy-source", "first-bucket/plain"), keep: map[string]string{"five": "ETag"}},
		{name: "copied part of a range", method: "PUT", target: "/first-bucket/up/plain?uploadId={plain}&partNumber=6", headers: h("x-amz-copy-source", "first-bucket/plain", "x-amz-copy-source-range", "bytes=2-4")},
		{name: "copied part of a range too long", method: "PUT", target: "/first-bucket/up/plain?uploadId={plain}&partNumber=7", headers: h("x-amz-copy-source", "first-bucket/plain", "x-amz-copy-source-range", "bytes=2-40")},
		{name: "copied part of an open range", method: "PUT", target: "/first-bucket/up/plain?uploadId={plain}&partNumber=7", headers: h("x-amz-copy-source", "first-bucket/plain", "x-amz-copy-source-range", "bytes=2-")},
		{name: "copied part of a missing key", method: "PUT", target: "/first-bucket/up/plain?uploadId={plain}&partNumber=7", headers: h("x-amz-copy-source", "first-bucket/none")},
		list("list parts", "/up/plain?uploadId={plain}"),
		list("list parts with sums", "/up/crc32?uploadId={crc32}"),
		list("list one part", "/up/plain?uploadId={plain}&max-parts=1"),
		list("list parts behind", "/up/plain?uploadId={plain}&part-number-marker=2"),
		list("list no parts", "/up/plain?uploadId={plain}&max-parts=0"),
		list("list parts, bad limit", "/up/plain?uploadId={plain}&max-parts=-1"),
		list("list parts of no upload", "/up/plain?uploadId=none"),
		list("list parts under another key", "/up/crc32?uploadId={plain}"),
		list("list uploads", "?uploads"),
		list("list uploads by prefix", "?uploads&prefix=up/s"),
		list("list uploads in folders", "?uploads&delimiter=/"),
		list("list two uploads", "?uploads&max-uploads=2"),
		list("list no uploads", "?uploads&max-uploads=0"),
		list("list uploads behind a key", "?uploads&key-marker=up/nvme"),
		list("list uploads, encoded", "?uploads&encoding-type=url&prefix=up/p"),
		list("list uploads, bad limit", "?uploads&max-uploads=-1"),
	}
}

// crc32a is the CRC32 of partSize times "a".
var crc32a = base64CRC32(strings.Repeat("a", partSize))

func completion(parts ...string) string {
	var b strings.Builder
	b.WriteString(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
	for i := 0; i+1 < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>", parts[i], parts[i+1])
	}
	b.WriteString("</CompleteMultipartUpload>")
	return b.String()
}

func completions() []step {
	complete := func(name, key, body string, headers ...string) step {
		return step{name: name, method: "POST", target: "/first-bucket/up/" + key + "?uploadId={" + key + "}", body: body, headers: headers}
	}
	return []step{
		complete("complete without parts", "plain", completion()),
		complete("complete with no XML", "plain", "no XML"),
		complete("complete in the wrong order", "plain", completion("2", "{two}", "1", "{one}")),
		complete("complete with a part twice", "plain", completion("1", "{one}", "1", "{one}")),
		complete("complete with a part that never came", "plain", completion("1", "{one}", "9", "{two}")),
		complete("complete with a wrong ETag", "plain", completion("1", "{two}")),
		complete("complete with a small part in between", "plain", completion("2", "{two}", "3", "{three}")),
		complete("complete with a wrong size", "plain", completion("1", "{one}", "2", "{two}"), "x-amz-mp-object-size", "1"),
		{name: "complete no upload", method: "POST", target: "/first-bucket/up/plain?uploadId=none", body: completion("1", "{one}")},
		complete("complete", "plain", completion("1", "{one}", "2", "{two}")),
		complete("complete again", "plain", completion("1", "{one}", "2", "{two}")),
		{name: "list parts of a completed upload", method: "GET", target: "/first-bucket/up/plain?uploadId={plain}"},
		complete("complete parts without their sums", "crc32", completion("1", "{crc32part}")),
		complete("complete with sums", "crc32", strings.Replace(completion("1", "{crc32part}"), "</Part>", "<ChecksumCRC32>NhCmhg==</ChecksumCRC32></Part>", 1)),
		complete("complete the whole", "whole", completion("1", "{wholeone}", "2", "{wholetwo}"), "x-amz-checksum-type", "FULL_OBJECT"),
		{name: "head the completed", method: "HEAD", target: "/first-bucket/up/plain", headers: h("x-amz-checksum-mode", "ENABLED")},
		{name: "head the completed with sums", method: "HEAD", target: "/first-bucket/up/crc32", headers: h("x-amz-checksum-mode", "ENABLED")},
		{name: "head the completed whole", method: "HEAD", target: "/first-bucket/up/whole", headers: h("x-amz-checksum-mode", "ENABLED")},
		{name: "range across parts", method: "GET", target: "/first-bucket/up/plain", headers: h("Range", fmt.Sprintf("bytes=%d-%d", partSize-3, partSize+1))},
		{name: "second part by number", method: "GET", target: "/first-bucket/up/plain?partNumber=2"},
		{name: "part behind the last", method: "GET", target: "/first-bucket/up/plain?partNumber=3"},
		{name: "attributes of the completed", method: "GET", target: "/first-bucket/up/plain?attributes", headers: h("x-amz-object-attributes", "ETag,Checksum,ObjectParts,StorageClass,ObjectSize")},
		{name: "attributes of the completed with sums", method: "GET", target: "/first-bucket/up/crc32?attributes", headers: h("x-amz-object-attributes", "ETag,Checksum,ObjectParts,ObjectSize")},
		{name: "copy of the completed", method: "PUT", target: "/first-bucket/up/copy", headers: h("x-amz-copy-source", "first-bucket/up/plain")},
		{name: "abort", method: "DELETE", target: "/first-bucket/up/sha256?uploadId={sha256}"},
		{name: "abort again", method: "DELETE", target: "/first-bucket/up/sha256?uploadId={sha256}"},
		{name: "complete the aborted", method: "POST", target: "/first-bucket/up/sha256?uploadId={sha256}", body: completion("1", "{one}")},
		{name: "abort under another key", method: "DELETE", target: "/first-bucket/up/plain?uploadId={nvme}"},
	}
}

func deletions() []step {
	sent := func(name, body string, headers ...string) step {
		sum := md5.Sum([]byte(body))
		if headers == nil {
			headers = h("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
		}
		return step{name: name, method: "POST", target: "/first-bucket?delete", body: body, headers: headers}
	}
	return []step{
		{name: "delete", method: "DELETE", target: "/first-bucket/md5"},
		{name: "delete what is not there", method: "DELETE", target: "/first-bucket/md5"},
		{name: "delete in a missing bucket", method: "DELETE", target: "/no-such-bucket/k"},
		sent("delete many", "<Delete><Object><Key>list/a</Key></Object><Object><Key>none</Key></Object></Delete>"),
		sent("delete many quietly", "<Delete><Object><Key>list/b/1</Key></Object><Quiet>true</Quiet></Delete>"),
		sent("delete none", "<Delete></Delete>"),
		sent("delete with no XML", "no XML"),
		sent("delete an empty key", "<Delete><Object><Key></Key></Object></Delete>"),
		sent("delete many with a checksum", "<Delete><Object><Key>list/c</Key></Object></Delete>", "x-amz-checksum-crc32", base64CRC32("<Delete><Object><Key>list/c</Key></Object></Delete>")),
		sent("delete many without a sum", "<Delete><Object><Key>list/c</Key></Object></Delete>", "Content-Type", "application/xml"),
		sent("delete many with a wrong sum", "<Delete><Object><Key>list/c</Key></Object></Delete>", "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
		{name: "what is left", method: "GET", target: "/first-bucket?list-type=2&prefix=list/"},
		{name: "delete a full bucket", method: "DELETE", target: "/first-bucket"},
	}
}

func signatures() []step {
	get := func(name, sign string) step {
		return step{name: name, method: "GET", target: "/first-bucket/plain", sign: sign}
	}
	return []step{
		get("presigned", "presigned"),
		get("presigned, altered", "presigned altered"),
		get("presigned, with another secret", "presigned other"),
		get("presigned, expired", "presigned expired"),
		get("presigned for too long", "presigned long"),
		get("signed with another secret", "other"),
		get("signed an hour ago", "skewed"),
		get("signed for another region", "region"),
		get("signed by something else", "malformed"),
		{name: "presigned put", method: "PUT", target: "/first-bucket/presigned", body: "text", sign: "presigned"},
		{name: "get what was put presigned", method: "GET", target: "/first-bucket/presigned"},
		{name: "presigned with other headers by query", method: "GET", target: "/first-bucket/plain?response-content-type=text%2Fy", sign: "presigned"},
	}
}

func others() []step {
	return []step{
		{name: "preflight", method: "OPTIONS", target: "/first-bucket/plain", headers: h("Origin", "https://a.example", "Access-Control-Request-Method", "PUT"), sign: "none"},
		{name: "preflight without origin", method: "OPTIONS", target: "/first-bucket/plain", headers: h("Access-Control-Request-Method", "PUT"), sign: "none"},
		{name: "method", method: "PATCH", target: "/first-bucket/plain"},
		{name: "versioning", method: "GET", target: "/first-bucket?versioning"},
		{name: "tagging", method: "GET", target: "/first-bucket/plain?tagging"},
		{name: "acl", method: "GET", target: "/first-bucket/plain?acl"},
		{name: "policy", method: "GET", target: "/first-bucket?policy"},
		{name: "accelerate", method: "GET", target: "/first-bucket?accelerate"},
	}
}
