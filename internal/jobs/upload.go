package jobs

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"loradeck/internal/cloud"
	"loradeck/internal/jobs/journal"
	"loradeck/internal/lora"
	"loradeck/internal/plan"
)

const partSize = 16 << 20 // bytes; S3 takes 5 MiB to 5 GiB and at most 10,000 parts

// upload sends the archive in parts. Its key is its digest, so one that is there with the right size is the right one.
func (j *Jobs) upload(ctx context.Context, run *journal.Run) error {
	d, err := j.deploy(ctx, run)
	if err != nil {
		return err
	}
	to, packed, err := j.artifact(ctx, run, d)
	if err != nil {
		return err
	}
	uploaded := Uploaded{URL: to.URL()}
	head, err := d.place.Head(ctx, to)
	switch {
	case err == nil && head.Size == packed.Bytes:
		run.Done(uploaded, "there already: same digest, same size")
		return nil
	case err != nil && lora.KindOf(err) != lora.NotFound:
		return fmt.Errorf("look for %s: %w", to.URL(), err)
	}
	archive, err := j.config.Spool.Archive(packed.Digest)
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := d.place.EnsureBucket(ctx, to.Bucket); err != nil {
		return fmt.Errorf("make sure of bucket %s: %w", to.Bucket, err)
	}
	before := Uploaded{}
	if _, err := run.Output(ctx, lora.StepUpload, &before); err != nil {
		return err
	}
	if before.URL == to.URL() {
		uploaded.UploadID = before.UploadID
	}
	if err := j.sendParts(ctx, run, d, to, archive, packed, &uploaded); err != nil {
		return err
	}
	uploaded.UploadID = ""
	run.Done(uploaded, "%s in %s to bucket %s", lora.Bytes(packed.Bytes), parts(uploaded.Parts), to.Bucket)
	return nil
}

// artifact says where the archive of a job goes: its key is its digest, so jobs with the same content share it.
func (j *Jobs) artifact(ctx context.Context, run *journal.Run, d deploy) (to cloud.ObjectRef, packed Packed, err error) {
	if _, err := run.Output(ctx, lora.StepPack, &packed); err != nil {
		return to, packed, err
	}
	place, err := j.config.DB.Read().Place(ctx, run.Job.PlaceID)
	if err != nil {
		return to, packed, fmt.Errorf("read place: %w", err)
	}
	return cloud.ObjectRef{Bucket: place.Bucket, Key: plan.ArtifactKey(d.adapter.Tenant, packed.Digest)}, packed, nil
}

// sendParts goes on with the upload that the last attempt began, or begins one, and completes it.
func (j *Jobs) sendParts(ctx context.Context, run *journal.Run, d deploy, to cloud.ObjectRef, archive *os.File, packed Packed, uploaded *Uploaded) error {
	var done []cloud.Part
	var err error
	if uploaded.UploadID != "" {
		done, err = d.place.ListParts(ctx, to, uploaded.UploadID)
		if err != nil && lora.KindOf(err) != lora.NotFound {
			return fmt.Errorf("list the parts of %s: %w", to.URL(), err)
		}
	}
	if uploaded.UploadID == "" || err != nil {
		if done, err = j.adoptUpload(ctx, d, to, uploaded); err != nil {
			return err
		}
	}
	if uploaded.UploadID == "" {
		uploaded.UploadID, err = d.place.CreateUpload(ctx, to, d.shipment(to).Metadata())
		if err != nil {
			return fmt.Errorf("begin the upload of %s: %w", to.URL(), err)
		}
	}
	if err := run.Save(ctx, *uploaded); err != nil {
		return err
	}
	sent := map[int]cloud.Part{}
	for _, part := range done {
		sent[part.Number] = part
	}
	var parts []cloud.Part
	for offset, number := int64(0), 1; offset < packed.Bytes; offset, number = offset+partSize, number+1 {
		size := min(partSize, packed.Bytes-offset)
		part, there := sent[number]
		if !there || part.Size != size {
			part, err = d.place.UploadPart(ctx, to, uploaded.UploadID, number, io.NewSectionReader(archive, offset, size))
			if err != nil {
				return fmt.Errorf("send part %d of %s: %w", number, to.URL(), anew(err))
			}
			if err := run.Note(ctx, "%s of %s sent", lora.Bytes(offset+size), lora.Bytes(packed.Bytes)); err != nil {
				return err
			}
		}
		parts = append(parts, part)
	}
	uploaded.Parts = len(parts)
	err = d.place.CompleteUpload(ctx, to, uploaded.UploadID, parts)
	if lora.KindOf(err) == lora.NotFound {
		// When it was done and only its answer was lost, S3 may no longer know the upload.
		head, headErr := d.place.Head(ctx, to)
		if headErr == nil && head.Size == packed.Bytes && head.Metadata[plan.DigestKey] == d.version.Digest {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("complete the upload of %s: %w", to.URL(), anew(err))
	}
	return nil
}

// adoptUpload goes on with an upload to the archive's key that was begun before: its id is lost when the program ends between
// the call and our commit, and its parts would be paid for unseen. The key is the archive's digest, so the parts are the same.
func (j *Jobs) adoptUpload(ctx context.Context, d deploy, to cloud.ObjectRef, uploaded *Uploaded) ([]cloud.Part, error) {
	uploaded.UploadID = ""
	ids, err := d.place.OpenUploads(ctx, to)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	parts, err := d.place.ListParts(ctx, to, ids[0])
	if lora.KindOf(err) == lora.NotFound {
		return nil, nil // ended meanwhile
	}
	uploaded.UploadID = ids[0]
	return parts, err
}

// anew makes "no such upload" an error that is tried again: somebody, or a rule of the bucket, ended the upload while it was
// under way, and the next attempt begins another.
func anew(err error) error {
	if lora.KindOf(err) == lora.NotFound {
		return lora.Wrap(err, lora.Unavailable, "S3 no longer knows this upload; it may have been aborted from outside. It is sent anew.")
	}
	return err
}

func parts(n int) string {
	if n == 1 {
		return "one part"
	}
	return strconv.Itoa(n) + " parts"
}
