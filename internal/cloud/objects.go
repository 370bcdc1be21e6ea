package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"loradeck/internal/lora"
)

// ObjectRef names an object in S3.
type ObjectRef struct{ Bucket, Key string }

// URL gives the reference as s3://BUCKET/KEY.
func (o ObjectRef) URL() string { return "s3://" + o.Bucket + "/" + o.Key }

// Object is what S3 says of an object.
type Object struct {
	Size     int64
	ETag     string
	Metadata map[string]string
}

// Part is one part of a multipart upload that S3 has.
type Part struct {
	Number    int // from 1
	Size      int64
	ETag      string
	CRC64NVME string // base64
}

// EnsureBucket makes the bucket in the place's region unless it is there already and ours.
func (p *Place) EnsureBucket(ctx context.Context, bucket string) error {
	_, err := p.objects.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	if err == nil {
		return nil
	}
	if !missing(err) {
		return translate(err, "look for bucket "+bucket)
	}
	input := &s3.CreateBucketInput{Bucket: &bucket}
	if p.identity.Region != "us-east-1" { // us-east-1 is the one region that must not be named
		input.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(p.identity.Region)}
	}
	_, err = p.objects.CreateBucket(ctx, input)
	var mine *types.BucketAlreadyOwnedByYou
	if errors.As(err, &mine) {
		return nil
	}
	return translate(err, "create bucket "+bucket)
}

// Head gives an object's size and metadata, or an error of kind NotFound.
func (p *Place) Head(ctx context.Context, at ObjectRef) (Object, error) {
	out, err := p.objects.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &at.Bucket, Key: &at.Key})
	if missing(err) {
		return Object{}, lora.Wrap(err, lora.NotFound, "There is no %s.", at.URL())
	}
	if err != nil {
		return Object{}, translate(err, "look for "+at.URL())
	}
	return Object{Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Metadata: out.Metadata}, nil
}

// Get reads a small object whole; one of more than limit bytes is an error of kind TooLarge.
func (p *Place) Get(ctx context.Context, at ObjectRef, limit int64) ([]byte, error) {
	out, err := p.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: &at.Bucket, Key: &at.Key})
	if err != nil {
		return nil, translate(err, "read "+at.URL())
	}
	defer out.Body.Close()
	text, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	if err != nil {
		return nil, translate(err, "read "+at.URL())
	}
	if int64(len(text)) > limit {
		return nil, lora.Errorf(lora.TooLarge, "%s is larger than %d bytes, which is more than such a file should have.", at.URL(), limit)
	}
	return text, nil
}

// CreateUpload begins a multipart upload whose checksum, CRC64NVME, is taken over the whole object.
func (p *Place) CreateUpload(ctx context.Context, to ObjectRef, metadata map[string]string) (uploadID string, err error) {
	out, err := p.objects.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &to.Bucket, Key: &to.Key, Metadata: metadata, ContentType: aws.String("application/gzip"),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject,
	})
	if err != nil {
		return "", translate(err, "begin upload of "+to.URL())
	}
	return aws.ToString(out.UploadId), nil
}

// OpenUploads gives the ids of the uploads to that very key that were begun and not ended, oldest first.
func (p *Place) OpenUploads(ctx context.Context, to ObjectRef) ([]string, error) {
	var ids []string
	input := &s3.ListMultipartUploadsInput{Bucket: &to.Bucket, Prefix: &to.Key}
	for range maxPages {
		page, err := p.objects.ListMultipartUploads(ctx, input)
		if err != nil {
			return nil, translate(err, "list uploads to "+to.URL())
		}
		for _, upload := range page.Uploads {
			if aws.ToString(upload.Key) == to.Key {
				ids = append(ids, aws.ToString(upload.UploadId))
			}
		}
		if !aws.ToBool(page.IsTruncated) {
			return ids, nil
		}
		input.KeyMarker, input.UploadIdMarker = page.NextKeyMarker, page.NextUploadIdMarker
	}
	return nil, fmt.Errorf("list uploads to %s: %w", to.URL(), errEndless)
}

// UploadPart sends one part. Parts but the last hold at least 5 MiB.
func (p *Place) UploadPart(ctx context.Context, to ObjectRef, uploadID string, number int, body *io.SectionReader) (Part, error) {
	out, err := p.objects.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &to.Bucket, Key: &to.Key, UploadId: &uploadID, PartNumber: aws.Int32(int32(number)), Body: body,
		ContentLength: aws.Int64(body.Size()), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	})
	if err != nil {
		return Part{}, translate(err, fmt.Sprintf("send part %d of %s", number, to.URL()))
	}
	return Part{Number: number, Size: body.Size(), ETag: aws.ToString(out.ETag), CRC64NVME: aws.ToString(out.ChecksumCRC64NVME)}, nil
}

// ListParts gives the parts of an upload that S3 has, or an error of kind NotFound when it no longer knows the upload.
func (p *Place) ListParts(ctx context.Context, to ObjectRef, uploadID string) ([]Part, error) {
	var parts []Part
	input := &s3.ListPartsInput{Bucket: &to.Bucket, Key: &to.Key, UploadId: &uploadID}
	for range maxPages {
		page, err := p.objects.ListParts(ctx, input)
		if err != nil {
			return nil, translate(err, "list parts of "+to.URL())
		}
		for _, part := range page.Parts {
			parts = append(parts, Part{
				Number: int(aws.ToInt32(part.PartNumber)), Size: aws.ToInt64(part.Size), ETag: aws.ToString(part.ETag), CRC64NVME: aws.ToString(part.ChecksumCRC64NVME),
			})
		}
		if !aws.ToBool(page.IsTruncated) {
			return parts, nil
		}
		input.PartNumberMarker = page.NextPartNumberMarker
	}
	return nil, fmt.Errorf("list parts of %s: %w", to.URL(), errEndless)
}

// CompleteUpload joins the parts, in order of their numbers, into the object.
func (p *Place) CompleteUpload(ctx context.Context, to ObjectRef, uploadID string, parts []Part) error {
	list := make([]types.CompletedPart, len(parts))
	for i, part := range parts {
		list[i] = types.CompletedPart{PartNumber: aws.Int32(int32(part.Number)), ETag: &part.ETag}
		if part.CRC64NVME != "" {
			list[i].ChecksumCRC64NVME = &part.CRC64NVME
		}
	}
	_, err := p.objects.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &to.Bucket, Key: &to.Key, UploadId: &uploadID, ChecksumType: types.ChecksumTypeFullObject,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
	})
	return translate(err, "complete upload of "+to.URL())
}

// AbortUpload ends an upload and removes its parts. One that S3 no longer knows is an error of kind NotFound.
func (p *Place) AbortUpload(ctx context.Context, to ObjectRef, uploadID string) error {
	_, err := p.objects.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &to.Bucket, Key: &to.Key, UploadId: &uploadID})
	return translate(err, "abort upload of "+to.URL())
}
