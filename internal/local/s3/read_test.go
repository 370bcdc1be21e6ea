package s3_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// read sends a plain GET with headers in pairs.
func read(h http.Handler, target string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, request)
	return answer
}

func TestConditionalReads(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	etag := *put(t, client, "k", "text").ETag
	const past, future = "Tue, 01 Jan 2002 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
	for _, test := range []struct {
		headers []string
		want    int
	}{
		{[]string{"If-Match", etag}, 200},
		{[]string{"If-Match", "*"}, 200},
		{[]string{"If-Match", `"0f"`}, 412},
		{[]string{"If-None-Match", etag}, 304},
		{[]string{"If-None-Match", "*"}, 304},
		{[]string{"If-None-Match", `"0f", W/"1f"`}, 200},
		{[]string{"If-Modified-Since", past}, 200},
		{[]string{"If-Modified-Since", future}, 304},
		{[]string{"If-Unmodified-Since", past}, 412},
		{[]string{"If-Unmodified-Since", future}, 200},
		{[]string{"If-Match", etag, "If-Unmodified-Since", past}, 200},
		{[]string{"If-None-Match", etag, "If-Modified-Since", past}, 304},
		{[]string{"If-None-Match", `"0f"`, "If-Modified-Since", future}, 200},
		{[]string{"If-Modified-Since", "yesterday"}, 200},
		{[]string{"Range", "bytes=1-2", "If-Range", etag}, 206},
		{[]string{"Range", "bytes=1-2", "If-Range", `"0f"`}, 200},
		{[]string{"Range", "bytes=1-2", "If-Range", past}, 200},
	} {
		answer := read(store, "/endpoints/k", test.headers...)
		if answer.Code != test.want || answer.Header().Get("ETag") != etag || answer.Header().Get("Last-Modified") == "" {
			t.Errorf("%v: got %d %v, want %d with the object's ETag and date", test.headers, answer.Code, answer.Header(), test.want)
		}
	}
}

func TestQueryPutsHeadersInPlaceOfTheStored(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	put(t, client, "k", "text")
	at := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	out, _ := get(t, client, &awss3.GetObjectInput{
		Key: aws.String("k"), ResponseContentType: aws.String("text/x"), ResponseContentDisposition: aws.String("attachment; filename=a.txt"), ResponseContentEncoding: aws.String("br"),
		ResponseContentLanguage: aws.String("zh"), ResponseCacheControl: aws.String("no-store"), ResponseExpires: &at,
	})
	got := fmt.Sprint(*out.ContentType, *out.ContentDisposition, *out.ContentEncoding, *out.ContentLanguage, *out.CacheControl, *out.ExpiresString)
	if want := fmt.Sprint("text/x", "attachment; filename=a.txt", "br", "zh", "no-store", "Wed, 02 Jan 2030 03:04:05 GMT"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// mixed puts an object together of parts sent under numbers with a gap.
func mixed(t *testing.T, client *awss3.Client, how types.ChecksumAlgorithm, kind types.ChecksumType) (string, [][]byte) {
	t.Helper()
	u := startUpload(t, client, fmt.Sprint("mixed-", kind), how, kind)
	pieces := [][]byte{noise(partSize), noise(partSize + 3), noise(7)}
	for i, number := range []int32{2, 5, 9} {
		u.part(number, pieces[i])
	}
	u.complete()
	return u.key, pieces
}

func TestPartsAreReadByNumber(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		key, pieces := mixed(t, client, types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
		for i, piece := range pieces {
			out, text := get(t, client, &awss3.GetObjectInput{Key: &key, PartNumber: aws.Int32(int32(i + 1)), ChecksumMode: types.ChecksumModeEnabled})
			if !bytes.Equal(text, piece) || aws.ToInt32(out.PartsCount) != 3 || out.ContentRange == nil {
				t.Errorf("part %d: got %d bytes, %d parts, range %v", i+1, len(text), aws.ToInt32(out.PartsCount), out.ContentRange)
			}
			head, err := client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key, PartNumber: aws.Int32(int32(i + 1))})
			if err != nil || *head.ContentLength != int64(len(piece)) || aws.ToInt32(head.PartsCount) != 3 {
				t.Errorf("part %d: got %v, %v", i+1, head, err)
			}
		}
		put(t, client, "plain", "text")
		out, text := get(t, client, &awss3.GetObjectInput{Key: aws.String("plain"), PartNumber: aws.Int32(1)})
		if string(text) != "text" || out.PartsCount != nil {
			t.Errorf("got %q of %v parts, want all of an object that has none", text, out.PartsCount)
		}
	})
}

func TestAttributesAreWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	key, pieces := mixed(t, client, types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite)
	all := []types.ObjectAttributes{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}
	in := &awss3.GetObjectAttributesInput{Bucket: aws.String(bucket), Key: &key, ObjectAttributes: all, MaxParts: aws.Int32(2)}
	out, err := client.GetObjectAttributes(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	parts := out.ObjectParts
	if *out.ObjectSize != 2*partSize+10 || out.StorageClass != "STANDARD" || aws.ToString(out.Checksum.ChecksumSHA256) == "" || out.Checksum.ChecksumType != types.ChecksumTypeComposite || out.LastModified == nil {
		t.Errorf("got %v", out)
	}
	if *parts.TotalPartsCount != 3 || len(parts.Parts) != 2 || !*parts.IsTruncated || *parts.Parts[1].Size != int64(len(pieces[1])) || *parts.Parts[1].PartNumber != 2 {
		t.Fatalf("got %v", parts)
	}
	in.PartNumberMarker = parts.NextPartNumberMarker
	if out, err = client.GetObjectAttributes(t.Context(), in); err != nil || len(out.ObjectParts.Parts) != 1 || *out.ObjectParts.IsTruncated || *out.ObjectParts.Parts[0].Size != 7 {
		t.Errorf("second page: got %v, %v", out, err)
	}
	head, err := client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil || *head.ETag != `"`+*out.ETag+`"` {
		t.Errorf("got ETag %s, want that of HEAD without its quotes, %s", *out.ETag, *head.ETag)
	}
	put(t, client, "plain", "text")
	out, err = client.GetObjectAttributes(t.Context(), &awss3.GetObjectAttributesInput{Bucket: aws.String(bucket), Key: aws.String("plain"), ObjectAttributes: all[1:3]})
	if err != nil || out.ObjectParts != nil || out.ETag != nil || out.Checksum.ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("got %v, %v, want a checksum alone", out, err)
	}
}

func TestMetadataNamesAreSentInLowerCase(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Metadata: map[string]string{"Job": "7"}}); err != nil {
		t.Fatal(err)
	}
	if got := read(store, "/endpoints/k").Header()["x-amz-meta-job"]; len(got) != 1 || got[0] != "7" {
		t.Errorf("got %q: boto3 shows the names as they come over the wire", got)
	}
}
