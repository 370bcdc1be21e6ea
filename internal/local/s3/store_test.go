package s3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"loradeck/internal/local/s3"
	"loradeck/internal/lora"
)

const bucket = "endpoints" // the runtime's paths begin with this word: as a bucket it must work all the same

func openStore(t testing.TB, dir string, opts ...s3.Option) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // a test may have closed it
	return store
}

// newClient starts a server for h and gives an SDK client for it. Over TLS the SDK sends checksums in trailers, over plain
// HTTP in headers.
func newClient(t testing.TB, h http.Handler, tls bool) *awss3.Client {
	t.Helper()
	start := httptest.NewServer
	if tls {
		start = httptest.NewTLSServer
	}
	server := start(h)
	t.Cleanup(server.Close)
	return clientFor(server.URL, server.Client())
}

func clientFor(url string, transport *http.Client) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url), UsePathStyle: true, HTTPClient: transport,
		Credentials: credentials.NewStaticCredentialsProvider("any", "any", ""), RetryMaxAttempts: 1,
	})
}

func newStore(t testing.TB, tls bool) (*s3.Store, *awss3.Client) {
	t.Helper()
	store := openStore(t, t.TempDir())
	if err := store.EnsureBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	return store, newClient(t, store, tls)
}

// both runs a test over plain HTTP and over TLS.
func both(t *testing.T, do func(t *testing.T, client *awss3.Client)) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			t.Parallel()
			_, client := newStore(t, tls)
			do(t, client)
		})
	}
}

func noise(size int) []byte {
	source := rand.NewChaCha8([32]byte{byte(size)})
	text := make([]byte, size)
	_, _ = source.Read(text)
	return text
}

func put(t testing.TB, client *awss3.Client, key, text string) *awss3.PutObjectOutput {
	t.Helper()
	out, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(text)})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return out
}

func get(t testing.TB, client *awss3.Client, in *awss3.GetObjectInput) (*awss3.GetObjectOutput, []byte) {
	t.Helper()
	in.Bucket = aws.String(bucket)
	out, err := client.GetObject(t.Context(), in)
	if err != nil {
		t.Fatalf("get %q: %v", *in.Key, err)
	}
	defer out.Body.Close()
	text, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatalf("read %q: %v", *in.Key, err)
	}
	return out, text
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func TestObjectComesBackAsItWasPut(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		text := noise(1 << 20)
		made, err := client.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("a/b.tar.gz"), Body: bytes.NewReader(text), ContentType: aws.String("application/gzip"),
			ContentEncoding: aws.String("gzip"), Metadata: map[string]string{"adapter": "pirate", "digest": "0f"},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf(`"%x"`, md5.Sum(text))
		if got := aws.ToString(made.ETag); got != want {
			t.Errorf("got ETag %s, want %s", got, want)
		}
		out, got := get(t, client, &awss3.GetObjectInput{Key: aws.String("a/b.tar.gz")})
		if !bytes.Equal(got, text) {
			t.Error("other bytes came back")
		}
		type facts struct {
			ETag, Type, Encoding, Sum string
			Meta                      map[string]string
			Size                      int64
		}
		wanted := facts{want, "application/gzip", "gzip", aws.ToString(made.ChecksumCRC32), map[string]string{"adapter": "pirate", "digest": "0f"}, 1 << 20}
		if diff := cmp.Diff(wanted, facts{*out.ETag, *out.ContentType, *out.ContentEncoding, aws.ToString(out.ChecksumCRC32), out.Metadata, *out.ContentLength}); diff != "" {
			t.Errorf("get (-want +got):\n%s", diff)
		}
		head, err := client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a/b.tar.gz"), ChecksumMode: "ENABLED"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, facts{*head.ETag, *head.ContentType, *head.ContentEncoding, aws.ToString(head.ChecksumCRC32), head.Metadata, *head.ContentLength}); diff != "" {
			t.Errorf("head (-want +got):\n%s", diff)
		}
	})
}

func TestRangeGivesThatPieceOnly(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		put(t, client, "k", "0123456789")
		for spec, want := range map[string]struct{ text, where string }{
			"bytes=2-4": {"234", "bytes 2-4/10"}, "bytes=7-": {"789", "bytes 7-9/10"}, "bytes=-3": {"789", "bytes 7-9/10"},
			"bytes=8-99": {"89", "bytes 8-9/10"}, "bytes=5-2": {"0123456789", ""}, "lines=1-2": {"0123456789", ""}, "bytes=0-1,4-5": {"0123456789", ""},
		} {
			out, text := get(t, client, &awss3.GetObjectInput{Key: aws.String("k"), Range: aws.String(spec)})
			if string(text) != want.text || aws.ToString(out.ContentRange) != want.where {
				t.Errorf("%s: got %q (%s), want %q (%s)", spec, text, aws.ToString(out.ContentRange), want.text, want.where)
			}
		}
		_, err := client.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Range: aws.String("bytes=10-")})
		wantCode(t, err, "InvalidRange")
	})
}

func TestErrorsAreThoseOfS3(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		ctx, key, no := t.Context(), aws.String("k"), aws.String("no-such-bucket")
		b := aws.String(bucket)
		body := func() io.Reader { return strings.NewReader("text") }
		calls := map[string]func() error{
			"get NoSuchKey":    func() error { _, err := client.GetObject(ctx, &awss3.GetObjectInput{Bucket: b, Key: key}); return err },
			"get NoSuchBucket": func() error { _, err := client.GetObject(ctx, &awss3.GetObjectInput{Bucket: no, Key: key}); return err },
			"head NotFound": func() error {
				_, err := client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: b, Key: key})
				return err
			},
			"head bucket NotFound": func() error { _, err := client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: no}); return err },
			"put NoSuchBucket": func() error {
				_, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: no, Key: key, Body: body()})
				return err
			},
			"list NoSuchBucket": func() error { _, err := client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: no}); return err },
			"create InvalidBucketName": func() error {
				_, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("Upper")})
				return err
			},
			"upload NoSuchUpload": func() error {
				_, err := client.UploadPart(ctx, &awss3.UploadPartInput{Bucket: b, Key: key, UploadId: aws.String("x"), PartNumber: aws.Int32(1), Body: body()})
				return err
			},
			"abort NoSuchUpload": func() error {
				_, err := client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: b, Key: key, UploadId: aws.String("x")})
				return err
			},
			"copy NoSuchKey": func() error {
				_, err := client.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: b, Key: key, CopySource: aws.String("endpoints/k")})
				return err
			},
			"copy NoSuchBucket": func() error {
				_, err := client.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: b, Key: key, CopySource: aws.String("no-such-bucket/k")})
				return err
			},
			"tagging NotImplemented": func() error {
				_, err := client.GetObjectTagging(ctx, &awss3.GetObjectTaggingInput{Bucket: b, Key: key})
				return err
			},
			"long KeyTooLongError": func() error {
				_, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: b, Key: aws.String(strings.Repeat("k", 1025)), Body: body()})
				return err
			},
			"metadata MetadataTooLarge": func() error {
				_, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: b, Key: key, Body: body(), Metadata: map[string]string{"a": strings.Repeat("x", 3000)}})
				return err
			},
		}
		for name, call := range calls {
			t.Run(name, func(t *testing.T) { wantCode(t, call(), name[strings.LastIndex(name, " ")+1:]) })
		}
	})
}

func TestChecksumsAreVerified(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		bad := func(in awss3.PutObjectInput) error {
			in.Bucket, in.Key, in.Body = aws.String(bucket), aws.String("bad"), strings.NewReader("hello")
			_, err := client.PutObject(t.Context(), &in)
			return err
		}
		wantCode(t, bad(awss3.PutObjectInput{ChecksumCRC32: aws.String("AAAAAA==")}), "BadDigest")
		wantCode(t, bad(awss3.PutObjectInput{ChecksumCRC32C: aws.String("AAAAAA==")}), "BadDigest")
		wantCode(t, bad(awss3.PutObjectInput{ChecksumCRC64NVME: aws.String("AAAAAAAAAAA=")}), "BadDigest")
		wantCode(t, bad(awss3.PutObjectInput{ChecksumSHA256: aws.String(strings.Repeat("A", 43) + "=")}), "BadDigest")
		wantCode(t, bad(awss3.PutObjectInput{ContentMD5: aws.String(strings.Repeat("A", 22) + "==")}), "BadDigest")
		wantCode(t, bad(awss3.PutObjectInput{ContentMD5: aws.String("short")}), "InvalidDigest")
		wantCode(t, bad(awss3.PutObjectInput{ChecksumCRC32: aws.String("short")}), "InvalidRequest")
		_, err := client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("bad")})
		wantCode(t, err, "NotFound")
		for _, algorithm := range []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
			if _, err := client.PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: aws.String(bucket), Key: &algorithm, Body: strings.NewReader("hello"), ChecksumAlgorithm: awsAlgorithm(algorithm),
			}); err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
			get(t, client, &awss3.GetObjectInput{Key: &algorithm}) // the SDK checks what we say the sum is
		}
	})
}

func TestHostileKeysAreOnlyKeys(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		keys := []string{
			"dir", "dir/child", "dir/", "../../etc/passwd", "..", ".", "/absolute", "a//b", "a/./b", "nul\x00byte", "new\nline", "sp ace+plus%2F%25/é.txt",
			"\\..\\windows", "?query=1", "#hash", "index.db", strings.Repeat("long/", 204) + "long",
		}
		for _, key := range keys {
			put(t, client, key, "of "+key)
		}
		for _, key := range keys {
			if _, text := get(t, client, &awss3.GetObjectInput{Key: aws.String(key)}); string(text) != "of "+key {
				t.Errorf("%q holds %q", key, text)
			}
		}
		out, err := client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), EncodingType: "url"})
		if err != nil {
			t.Fatal(err)
		}
		if got := int(*out.KeyCount); got != len(keys) {
			t.Errorf("got %d keys, want %d", got, len(keys))
		}
	})
}

func TestStoreWritesOnlyItsOwnFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openStore(t, filepath.Join(dir, "inner"))
	if err := store.EnsureBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	client := newClient(t, store, false)
	for range 3 {
		put(t, client, "../../escaped", "x")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want the store's directory alone", entries, err)
	}
	parts, err := os.ReadDir(filepath.Join(dir, "inner", "parts"))
	if err != nil || len(parts) != 1 {
		t.Errorf("got %d files, %v, want those of replaced objects gone", len(parts), err)
	}
}

func TestReaderKeepsWhatItOpened(t *testing.T) {
	t.Parallel()
	store, client := newStore(t, false)
	put(t, client, "k", "first")
	body, info, err := store.Fetch(t.Context(), bucket, "k")
	if err != nil {
		t.Fatal(err)
	}
	put(t, client, "k", "second one")
	text, err := io.ReadAll(body)
	if err != nil || string(text) != "first" || info.Size != 5 {
		t.Errorf("got %q, %v, size %d", text, err, info.Size)
	}
	if err := errors.Join(body.Close(), body.Close()); err != nil {
		t.Error(err)
	}
	infos, err := store.List(t.Context(), bucket, "k")
	if err != nil || len(infos) != 1 || infos[0].Size != 10 {
		t.Errorf("got %v, %v", infos, err)
	}
	_, _, err = store.Fetch(t.Context(), bucket, "missing")
	if lora.KindOf(err) != lora.NotFound {
		t.Errorf("got %v, want not found", err)
	}
}

func TestOpenSweepsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := openStore(t, dir)
	if err := store.EnsureBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	put(t, newClient(t, store, false), "k", "kept")
	if _, err := s3.Open(t.Context(), dir); lora.KindOf(err) != lora.Conflict {
		t.Errorf("got %v, want the second owner refused", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, "parts", "half-written")
	if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	store = openStore(t, dir)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the leftover gone", err)
	}
	if _, text := get(t, newClient(t, store, false), &awss3.GetObjectInput{Key: aws.String("k")}); string(text) != "kept" {
		t.Errorf("got %q", text)
	}
}

func TestBucketsBelongToTheAccount(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	client := newClient(t, openStore(t, t.TempDir(), s3.Account("123456789012")), false)
	if _, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]string{"123456789012": "", "999999999999": "AccessDenied", "somebody": "InvalidBucketOwnerAWSAccountID"} {
		calls := map[string]func() error{
			"put": func() error {
				_, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), ExpectedBucketOwner: &account})
				return err
			},
			"list": func() error {
				_, err := client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), ExpectedBucketOwner: &account})
				return err
			},
			"copy": func() error {
				put(t, client, "from", "x")
				_, err := client.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("to"), CopySource: aws.String(bucket + "/from"), ExpectedSourceBucketOwner: &account})
				return err
			},
		}
		for name, call := range calls {
			if err := call(); want != "" {
				wantCode(t, err, want)
			} else if err != nil {
				t.Errorf("%s for the owner: %v", name, err)
			}
		}
	}
}

func TestBucketsFollowTheRegion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		client := newClient(t, openStore(t, t.TempDir(), s3.Region(region)), false)
		in := &awss3.CreateBucketInput{Bucket: aws.String("models")}
		if region != "us-east-1" {
			_, err := client.CreateBucket(ctx, in)
			wantCode(t, err, "IllegalLocationConstraintException")
			in.CreateBucketConfiguration = &awsBucketConfiguration{LocationConstraint: "eu-west-1"}
		}
		if _, err := client.CreateBucket(ctx, in); err != nil {
			t.Fatal(err)
		}
		_, err := client.CreateBucket(ctx, in)
		if region == "us-east-1" && err != nil {
			t.Errorf("got %v: in us-east-1 it is no error", err)
		}
		if region != "us-east-1" {
			wantCode(t, err, "BucketAlreadyOwnedByYou")
		}
		where, err := client.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: in.Bucket})
		if want := strings.TrimPrefix(region, "us-east-1"); err != nil || string(where.LocationConstraint) != want {
			t.Errorf("got %v, %v, want %q", where, err, want)
		}
		head, err := client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: in.Bucket})
		if err != nil || aws.ToString(head.BucketRegion) != region {
			t.Errorf("got %v, %v, want %s", head, err, region)
		}
		all, err := client.ListBuckets(ctx, &awss3.ListBucketsInput{})
		if err != nil || len(all.Buckets) != 1 || *all.Buckets[0].Name != "models" {
			t.Errorf("got %v, %v", all, err)
		}
		if _, err := client.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: in.Bucket}); err != nil {
			t.Error(err)
		}
	}
}

func TestConditionalPuts(t *testing.T) {
	both(t, func(t *testing.T, client *awss3.Client) {
		try := func(match, none string) error {
			in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("alias"), Body: strings.NewReader(match + none)}
			if match != "" {
				in.IfMatch = &match
			}
			if none != "" {
				in.IfNoneMatch = &none
			}
			_, err := client.PutObject(t.Context(), in)
			return err
		}
		wantCode(t, try(`"0f"`, ""), "NoSuchKey")
		if err := try("", "*"); err != nil {
			t.Error(err)
		}
		wantCode(t, try("", "*"), "PreconditionFailed")
		wantCode(t, try(`"0f"`, ""), "PreconditionFailed")
		head, err := client.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("alias")})
		if err != nil {
			t.Fatal(err)
		}
		if err := try(*head.ETag, ""); err != nil {
			t.Error(err)
		}
	})
}
