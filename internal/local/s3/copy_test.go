package s3_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// source names an object as a copy does.
func source(key string) *string { return aws.String(bucket + "/" + url.PathEscape(key)) }

func TestCopyTakesBytesAndMetadata(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		const from = "a b+c/é?x=1%.bin"
		_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(from), Body: bytes.NewReader(noise(4321)), ContentType: aws.String("text/x"), Metadata: map[string]string{"a": "1"},
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		})
		if err != nil {
			t.Fatal(err)
		}
		made, err := client.CopyObject(t.Context(), &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("same"), CopySource: source(from)})
		if err != nil {
			t.Fatal(err)
		}
		out, text := get(t, client, &awss3.GetObjectInput{Key: aws.String("same"), ChecksumMode: types.ChecksumModeEnabled})
		if !bytes.Equal(text, noise(4321)) || *out.ContentType != "text/x" || out.Metadata["a"] != "1" || aws.ToString(out.ChecksumSHA256) == "" {
			t.Errorf("got %v, want everything of the source", out)
		}
		if *made.CopyObjectResult.ETag != *out.ETag || *made.CopyObjectResult.ChecksumSHA256 != *out.ChecksumSHA256 {
			t.Errorf("got %v, want what the copy then says of itself", made.CopyObjectResult)
		}
		_, err = client.CopyObject(t.Context(), &awss3.CopyObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(from), CopySource: source(from), MetadataDirective: types.MetadataDirectiveReplace,
			ContentType: aws.String("text/y"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
		})
		if err != nil {
			t.Fatal(err)
		}
		out, text = get(t, client, &awss3.GetObjectInput{Key: aws.String(from), ChecksumMode: types.ChecksumModeEnabled})
		if !bytes.Equal(text, noise(4321)) || *out.ContentType != "text/y" || len(out.Metadata) != 0 || aws.ToString(out.ChecksumCRC32C) == "" {
			t.Errorf("got %v, want the new metadata over the old bytes", out)
		}
	})
}

func TestCopyIsRefusedAsS3Does(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	etag := put(t, client, "k", "text").ETag
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		change func(in *awss3.CopyObjectInput)
		code   string
	}{
		"onto itself":        {func(in *awss3.CopyObjectInput) { in.Key = aws.String("k") }, "InvalidRequest"},
		"no key":             {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String(bucket) }, "InvalidArgument"},
		"bad escape":         {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String(bucket + "/%zz") }, "InvalidArgument"},
		"version":            {func(in *awss3.CopyObjectInput) { in.CopySource = aws.String(bucket + "/k?versionId=7") }, "NotImplemented"},
		"other ETag":         {func(in *awss3.CopyObjectInput) { in.CopySourceIfMatch = aws.String(`"0f"`) }, "PreconditionFailed"},
		"same ETag":          {func(in *awss3.CopyObjectInput) { in.CopySourceIfNoneMatch = etag }, "PreconditionFailed"},
		"not modified":       {func(in *awss3.CopyObjectInput) { in.CopySourceIfModifiedSince = &future }, "PreconditionFailed"},
		"modified":           {func(in *awss3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = &past }, "PreconditionFailed"},
		"target is there":    {func(in *awss3.CopyObjectInput) { in.IfNoneMatch, in.Key = aws.String("*"), aws.String("there") }, "PreconditionFailed"},
		"target is another":  {func(in *awss3.CopyObjectInput) { in.IfMatch, in.Key = aws.String(`"0f"`), aws.String("there") }, "PreconditionFailed"},
		"unknown directive":  {func(in *awss3.CopyObjectInput) { in.MetadataDirective = "MERGE" }, "InvalidArgument"},
		"unknown algorithm":  {func(in *awss3.CopyObjectInput) { in.ChecksumAlgorithm = "CRC7" }, "InvalidRequest"},
		"into a bucket gone": {func(in *awss3.CopyObjectInput) { in.Bucket = aws.String("no-such-bucket") }, "NoSuchBucket"},
	} {
		put(t, client, "there", "old")
		in := &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("new"), CopySource: source("k")}
		test.change(in)
		if _, err := client.CopyObject(t.Context(), in); err == nil {
			t.Errorf("%s: got no error", name)
		} else {
			wantCode(t, err, test.code)
		}
	}
	if _, text := get(t, client, &awss3.GetObjectInput{Key: aws.String("there")}); string(text) != "old" {
		t.Errorf("got %q: a refused copy has changed its target", text)
	}
}

func TestPartsAreCopiedFromRangesOfAnObject(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		text := noise(2*partSize + 99)
		first := startUpload(t, client, "source", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
		first.part(1, text[:partSize+50])
		first.part(2, text[partSize+50:])
		first.complete()

		u := startUpload(t, client, "target", types.ChecksumAlgorithmCrc32, types.ChecksumTypeComposite)
		for i, span := range []string{fmt.Sprintf("bytes=0-%d", partSize-1), fmt.Sprintf("bytes=%d-%d", partSize, len(text)-1)} {
			out, err := client.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
				Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id, PartNumber: aws.Int32(int32(i + 1)), CopySource: source("source"), CopySourceRange: &span,
			})
			if err != nil {
				t.Fatal(err)
			}
			u.parts = append(u.parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.CopyPartResult.ETag, ChecksumCRC32: out.CopyPartResult.ChecksumCRC32})
		}
		u.complete()
		if _, got := get(t, client, &awss3.GetObjectInput{Key: &u.key}); !bytes.Equal(got, text) {
			t.Error("other bytes came back")
		}
		made, err := client.CopyObject(t.Context(), &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("plain"), CopySource: source("target")})
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`"%x"`, md5.Sum(text)); *made.CopyObjectResult.ETag != want {
			t.Errorf("got ETag %s, want %s: a copy is one piece", *made.CopyObjectResult.ETag, want)
		}
	})
}

func TestCopiedPartsNeedARangeWithinTheSource(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	put(t, client, "k", "0123456789")
	u := startUpload(t, client, "target", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	for _, span := range []string{"bytes=0-10", "bytes=3-", "bytes=-3", "bytes=5-4", "0-4", "bytes=a-b"} {
		_, err := client.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
			Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id, PartNumber: aws.Int32(1), CopySource: source("k"), CopySourceRange: &span,
		})
		wantCode(t, err, "InvalidArgument")
	}
}
