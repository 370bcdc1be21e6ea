package s3_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	benchSize = 256 << 20
	benchPart = 16 << 20
)

// BenchmarkCopy is what the disk allows: the same bytes written to a file and synced.
func BenchmarkCopy(b *testing.B) {
	text, dir := noise(benchSize), b.TempDir()
	b.SetBytes(benchSize)
	for b.Loop() {
		file, err := os.Create(filepath.Join(dir, "copy"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(file, struct{ io.Reader }{bytes.NewReader(text)}); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := file.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpload sends an adapter's worth of bytes in parts, four at a time, as the app does: both ends of the wire and all
// their checksums share this machine's cores.
func BenchmarkUpload(b *testing.B) {
	for name, tls := range map[string]bool{"http": false, "https": true} {
		b.Run(name, func(b *testing.B) {
			_, client := newStore(b, tls)
			text := noise(benchSize)
			b.SetBytes(benchSize)
			for b.Loop() {
				benchUpload(b, client, text)
			}
		})
	}
}

func benchUpload(b *testing.B, client *awss3.Client, text []byte) {
	ctx, where, key := b.Context(), aws.String(bucket), aws.String("k")
	made, err := client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: where, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
	})
	if err != nil {
		b.Fatal(err)
	}
	parts := make([]types.CompletedPart, len(text)/benchPart)
	places := make(chan struct{}, 4)
	done := make(chan error)
	for i := range parts {
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			number := aws.Int32(int32(i + 1))
			out, err := client.UploadPart(ctx, &awss3.UploadPartInput{
				Bucket: where, Key: key, UploadId: made.UploadId, PartNumber: number, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
				Body: bytes.NewReader(text[i*benchPart : (i+1)*benchPart]),
			})
			if err == nil {
				parts[i] = types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC64NVME: out.ChecksumCRC64NVME}
			}
			done <- err
		}()
	}
	for range parts {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	if _, err := client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: where, Key: key, UploadId: made.UploadId, ChecksumType: types.ChecksumTypeFullObject, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDownload reads an object back through the SDK, without its checksum.
func BenchmarkDownload(b *testing.B) {
	_, client := newStore(b, false)
	benchUpload(b, client, noise(benchSize))
	b.SetBytes(benchSize)
	for b.Loop() {
		out, err := client.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, out.Body); err != nil || n != benchSize {
			b.Fatal(n, err)
		}
		_ = out.Body.Close()
	}
}
