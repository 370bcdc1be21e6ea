package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/lora"
)

// Forget removes an adapter that is deployed nowhere: its versions' files and archives leave the data folder, unless another
// adapter has the same content. Its jobs and proofs stay, and so do its artifacts in S3. Its errors are of kind Conflict while
// a deployment lives.
func (j *Jobs) Forget(ctx context.Context, adapter int64) error {
	versions, err := j.config.DB.Read().VersionsOf(ctx, adapter)
	if err != nil {
		return fmt.Errorf("read the versions of adapter %d: %w", adapter, err)
	}
	err = j.config.DB.Write(ctx, func(q *db.Queries) error {
		living, err := q.LiveDeploymentsOfAdapter(ctx, adapter)
		if err != nil {
			return err
		}
		if living > 0 {
			return lora.Errorf(lora.Conflict, "It is still deployed, so its files are needed. Remove its deployments first.")
		}
		now := db.Millis(time.Now())
		return q.RemoveAdapter(ctx, db.RemoveAdapterParams{RemovedAt: &now, ID: adapter})
	})
	if err != nil {
		return fmt.Errorf("forget adapter %d: %w", adapter, err)
	}
	var troubles []error
	for _, v := range versions {
		uses, err := j.config.DB.Read().KeptUsesOfDigest(ctx, v.Digest)
		if err == nil && uses == 0 {
			err = j.config.Spool.Drop(v.Digest)
			if err == nil && v.ArchiveDigest != "" {
				err = j.config.Spool.DropArchive(v.ArchiveDigest)
			}
		}
		troubles = append(troubles, err)
	}
	return errors.Join(troubles...)
}

// Files gives the files of a version as they are kept, or an error of kind NotFound when they are no longer in the data folder.
func (j *Jobs) Files(digest string) (fs.FS, error) { return j.config.Spool.Version(digest) }
