package s3_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const partSize = 5 << 20 // the smallest S3 takes

// uploading is a multipart upload as a client that keeps its own books drives it.
type uploading struct {
	t      *testing.T
	client *awss3.Client
	key    string
	id     *string
	how    types.ChecksumAlgorithm
	kind   types.ChecksumType
	parts  []types.CompletedPart
}

func startUpload(t *testing.T, client *awss3.Client, key string, how types.ChecksumAlgorithm, kind types.ChecksumType) *uploading {
	t.Helper()
	out, err := client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ChecksumAlgorithm: how, ChecksumType: kind,
		ContentType: aws.String("application/gzip"), Metadata: map[string]string{"job": "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &uploading{t: t, client: client, key: key, id: out.UploadId, how: how, kind: kind}
}

func (u *uploading) part(number int32, text []byte) {
	u.t.Helper()
	out, err := u.client.UploadPart(u.t.Context(), &awss3.UploadPartInput{
		Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id, PartNumber: &number, Body: bytes.NewReader(text), ChecksumAlgorithm: u.how,
	})
	if err != nil {
		u.t.Fatalf("part %d: %v", number, err)
	}
	u.parts = append(u.parts, types.CompletedPart{
		PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
		ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA256: out.ChecksumSHA256,
	})
}

func (u *uploading) completion() *awss3.CompleteMultipartUploadInput {
	return &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id, ChecksumType: u.kind, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
}

func (u *uploading) complete() *awss3.CompleteMultipartUploadOutput {
	u.t.Helper()
	out, err := u.client.CompleteMultipartUpload(u.t.Context(), u.completion())
	if err != nil {
		u.t.Fatal(err)
	}
	return out
}

// multipartETag is computed here from S3's documented rule, not by the store's code.
func multipartETag(text []byte) string {
	var sums []byte
	count := 0
	for ; len(text) > 0; count++ {
		n := min(len(text), partSize)
		sum := md5.Sum(text[:n])
		sums, text = append(sums, sum[:]...), text[n:]
	}
	return fmt.Sprintf(`"%x-%d"`, md5.Sum(sums), count)
}

func nvme(text []byte) string {
	sum := crc64.Checksum(text, crc64.MakeTable(0x9a6c9329ac4bc9b5))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

func TestMultipartObjectIsSummedAsS3Does(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		scheme, _, _ := strings.Cut(aws.ToString(client.Options().BaseEndpoint), ":")
		text := noise(2*partSize + 12345)
		ieee := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(text)))
		castagnoli := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli))))
		var ofSums []byte
		for at := 0; at < len(text); at += partSize {
			ofSums = binary.BigEndian.AppendUint32(ofSums, crc32.ChecksumIEEE(text[at:min(at+partSize, len(text))]))
		}
		sumOfSums := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(ofSums)))
		tests := []struct {
			how  types.ChecksumAlgorithm
			kind types.ChecksumType
			want string
		}{
			{types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject, nvme(text)},
			{types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject, ieee},
			{types.ChecksumAlgorithmCrc32c, types.ChecksumTypeFullObject, castagnoli},
			{types.ChecksumAlgorithmCrc32, types.ChecksumTypeComposite, sumOfSums + "-3"},
			{types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite, ""},
		}
		for _, test := range tests {
			u := startUpload(t, client, fmt.Sprint(test.how, test.kind), test.how, test.kind)
			u.part(1, text[:partSize])
			u.part(2, text[partSize:2*partSize])
			u.part(3, text[2*partSize:])
			out := u.complete()
			got := aws.ToString(out.ChecksumCRC64NVME) + aws.ToString(out.ChecksumCRC32) + aws.ToString(out.ChecksumCRC32C)
			if got != test.want || out.ChecksumType != test.kind {
				t.Errorf("%s: got %s %s, want %s", u.key, got, out.ChecksumType, test.want)
			}
			if where, err := url.Parse(aws.ToString(out.Location)); err != nil || where.Scheme != scheme {
				t.Errorf("%s: got location %s, want %s", u.key, aws.ToString(out.Location), scheme)
			}
			if want := multipartETag(text); aws.ToString(out.ETag) != want {
				t.Errorf("%s: got ETag %s, want %s", u.key, aws.ToString(out.ETag), want)
			}
			back, bytesBack := get(t, client, &awss3.GetObjectInput{Key: &u.key, ChecksumMode: types.ChecksumModeEnabled})
			if !bytes.Equal(bytesBack, text) || back.Metadata["job"] != "7" || aws.ToString(back.ContentType) != "application/gzip" {
				t.Errorf("%s: other content or metadata came back", u.key)
			}
			_, piece := get(t, client, &awss3.GetObjectInput{Key: &u.key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", partSize-3, 2*partSize+2))})
			if !bytes.Equal(piece, text[partSize-3:2*partSize+3]) {
				t.Errorf("%s: a range across parts came back wrong", u.key)
			}
		}
	})
}

func TestUploadResumesAfterTheStoreIsOpenedAgain(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), noise(partSize+99)
	store := openStore(t, dir)
	if err := store.EnsureBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	u := startUpload(t, newClient(t, store, true), "k", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	u.part(1, noise(7)) // replaced below
	u.parts = nil
	u.part(1, text[:partSize])
	u.part(9, noise(3)) // left out below
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	u.client = newClient(t, openStore(t, dir), true)
	u.resume(text)
}

// resume finds by ListParts what the server has, sends the rest and completes, as the app does after a crash.
func (u *uploading) resume(text []byte) {
	u.t.Helper()
	ctx, b := u.t.Context(), aws.String(bucket)
	listed, err := u.client.ListParts(ctx, &awss3.ListPartsInput{Bucket: b, Key: &u.key, UploadId: u.id})
	if err != nil || len(listed.Parts) != 2 || *listed.Parts[0].Size != partSize || listed.ChecksumAlgorithm != u.how {
		u.t.Fatalf("got %v, %v", listed, err)
	}
	first := listed.Parts[0]
	u.parts = []types.CompletedPart{{PartNumber: first.PartNumber, ETag: first.ETag, ChecksumCRC64NVME: first.ChecksumCRC64NVME}}
	paged, err := u.client.ListParts(ctx, &awss3.ListPartsInput{Bucket: b, Key: &u.key, UploadId: u.id, MaxParts: aws.Int32(1)})
	if err != nil || !*paged.IsTruncated || *paged.NextPartNumberMarker != "1" {
		u.t.Errorf("got %v, %v, want a truncated page", paged, err)
	}
	uploads, err := u.client.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: b})
	if err != nil || len(uploads.Uploads) != 1 || *uploads.Uploads[0].UploadId != *u.id {
		u.t.Errorf("got %v, %v", uploads, err)
	}
	u.part(2, text[partSize:])
	if out := u.complete(); aws.ToString(out.ChecksumCRC64NVME) != nvme(text) {
		u.t.Errorf("got %s, want %s", aws.ToString(out.ChecksumCRC64NVME), nvme(text))
	}
	if _, got := get(u.t, u.client, &awss3.GetObjectInput{Key: &u.key}); !bytes.Equal(got, text) {
		u.t.Error("other bytes came back")
	}
	_, err = u.client.ListParts(ctx, &awss3.ListPartsInput{Bucket: b, Key: &u.key, UploadId: u.id})
	wantCode(u.t, err, "NoSuchUpload")
}

func TestCompletionIsRefusedAsS3Does(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	u := startUpload(t, client, "k", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	u.part(1, noise(9))
	u.part(2, noise(10))
	one, two := u.parts[0], u.parts[1]
	wrong := func(change func(in *awss3.CompleteMultipartUploadInput), code string) {
		t.Helper()
		in := u.completion()
		change(in)
		_, err := client.CompleteMultipartUpload(t.Context(), in)
		wantCode(t, err, code)
	}
	parts := func(all ...types.CompletedPart) func(in *awss3.CompleteMultipartUploadInput) {
		return func(in *awss3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts = all }
	}
	other := two
	other.ETag = one.ETag
	third := two
	third.PartNumber = aws.Int32(3)
	sum := two
	sum.ChecksumCRC64NVME = one.ChecksumCRC64NVME
	wrong(parts(), "MalformedXML")
	wrong(parts(two, one), "InvalidPartOrder")
	wrong(parts(one, one), "InvalidPartOrder")
	wrong(parts(one, other), "InvalidPart")
	wrong(parts(one, third), "InvalidPart")
	wrong(parts(one, sum), "InvalidPart")
	wrong(parts(one, two), "EntityTooSmall")
	u.parts = []types.CompletedPart{two}
	wrong(func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumType = types.ChecksumTypeComposite }, "InvalidRequest")
	wrong(func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = one.ChecksumCRC64NVME }, "BadDigest")
	wrong(func(in *awss3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(11) }, "InvalidRequest")
	put(t, client, "k", "there")
	wrong(func(in *awss3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed")
	u.complete() // nothing of the above has harmed it
}

func TestCompositeCompletionNeedsEveryPartsChecksum(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	u := startUpload(t, client, "k", types.ChecksumAlgorithmCrc32, types.ChecksumTypeComposite)
	u.part(1, noise(9))
	u.parts[0].ChecksumCRC32 = nil
	_, err := client.CompleteMultipartUpload(t.Context(), u.completion())
	wantCode(t, err, "InvalidRequest")
}

func TestAbortedUploadIsGone(t *testing.T) {
	t.Parallel()
	_, client := newStore(t, false)
	u := startUpload(t, client, "k", types.ChecksumAlgorithmCrc64nvme, "")
	u.part(1, noise(9))
	if _, err := client.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id}); err != nil {
		t.Fatal(err)
	}
	_, err := client.CompleteMultipartUpload(t.Context(), u.completion())
	wantCode(t, err, "NoSuchUpload")
}

func TestCompletingAgainGivesTheSameAnswerAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openStore(t, dir)
	if err := store.EnsureBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	u := startUpload(t, newClient(t, store, false), "k", types.ChecksumAlgorithmCrc32, types.ChecksumTypeComposite)
	u.part(1, noise(partSize))
	u.part(2, noise(9))
	in := u.completion()
	in.IfNoneMatch = aws.String("*")
	first, err := u.client.CompleteMultipartUpload(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, openStore(t, dir), false)
	put(t, client, "k", "another content by now")
	again, err := client.CompleteMultipartUpload(t.Context(), in)
	if err != nil || *again.ETag != *first.ETag || *again.ChecksumCRC32 != *first.ChecksumCRC32 || again.ChecksumType != first.ChecksumType {
		t.Fatalf("got %v, %v, want %v once more", again, err, first)
	}
	if _, text := get(t, client, &awss3.GetObjectInput{Key: &u.key}); string(text) != "another content by now" {
		t.Error("completing again has changed the object")
	}
	in.MultipartUpload.Parts = in.MultipartUpload.Parts[:1]
	_, err = client.CompleteMultipartUpload(t.Context(), in)
	wantCode(t, err, "NoSuchUpload")
	_, err = client.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id})
	wantCode(t, err, "NoSuchUpload")
}
