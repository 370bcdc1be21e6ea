package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const partSize = 16 << 20 // as the app sends adapters

// step is one way of moving the object.
type step struct {
	name string
	do   func() error
}

// steps are taken in order; the first is what the others are compared with.
func steps(dir, source, address string, size int64) []step {
	object := address + "/" + bucket + "/object"
	copied := filepath.Join(dir, "copy")
	client := awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: &address, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("any", "any", ""),
	})
	return []step{
		{"raw copy, synced", func() error { return copyFile(copied, source) }},
		{"put in one piece", func() error { return put(object, source, size) }},
		{"get to a file", func() error { return get(object, copied) }},
		{"get and drop", func() error { return get(object, os.DevNull) }},
		{"copy on the server", func() error { return copyObject(client) }},
		{"put in parts, four at a time, CRC64NVME (SDK)", func() error { return upload(client, source, size) }},
		{"get of the parts and drop", func() error { return get(object, os.DevNull) }},
	}
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return into(to, func(w io.Writer) error {
		_, err := io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{source}) // bytes through this process, as through a server
		return err
	})
}

func put(address, from string, size int64) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	request, err := http.NewRequest(http.MethodPut, address, source)
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.Header.Set("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s", answer.Status, said)
	}
	return nil
}

func get(address, to string) error {
	answer, err := http.Get(address)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	if to == os.DevNull {
		_, err := io.Copy(io.Discard, answer.Body)
		return err
	}
	return into(to, func(w io.Writer) error {
		_, err := io.Copy(w, answer.Body)
		return err
	})
}

func copyObject(client *awss3.Client) error {
	ctx := context.Background()
	if _, err := client.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy"), CopySource: aws.String(bucket + "/object")}); err != nil {
		return err
	}
	_, err := client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("copy")})
	return err
}

func upload(client *awss3.Client, from string, size int64) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	ctx, where, key := context.Background(), aws.String(bucket), aws.String("object")
	made, err := client.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: where, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
	})
	if err != nil {
		return err
	}
	parts := make([]types.CompletedPart, (size+partSize-1)/partSize)
	places, done := make(chan struct{}, 4), make(chan error, len(parts))
	for i := range parts {
		go func() {
			places <- struct{}{}
			defer func() { <-places }()
			at := int64(i) * partSize
			number := aws.Int32(int32(i + 1))
			out, err := client.UploadPart(ctx, &awss3.UploadPartInput{
				Bucket: where, Key: key, UploadId: made.UploadId, PartNumber: number, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
				Body: io.NewSectionReader(source, at, min(partSize, size-at)),
			})
			if err == nil {
				parts[i] = types.CompletedPart{PartNumber: number, ETag: out.ETag, ChecksumCRC64NVME: out.ChecksumCRC64NVME}
			}
			done <- err
		}()
	}
	for range parts {
		err = errors.Join(err, <-done)
	}
	if err != nil {
		return err
	}
	_, err = client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: where, Key: key, UploadId: made.UploadId, ChecksumType: types.ChecksumTypeFullObject, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}
