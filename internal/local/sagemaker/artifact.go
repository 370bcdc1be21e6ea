package sagemaker

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"loradeck/internal/lora"
)

// Bounds of an archive; the largest real adapters are a few GB in a dozen files, and a model for this machine is not larger.
const (
	maxEntries  = 1000
	maxUnpacked = 16 << 30
)

// fetchModel brings a model's files into dir, as SageMaker does before it starts a container: an archive is unpacked, objects
// below a prefix are copied. An artifact's URL that ends in a slash is such a prefix (facts §1.4). Containers only
// read there, so weights need not lie on the disk twice.
func (p *Platform) fetchModel(ctx context.Context, container containerShape, dir string) error {
	url, archive := container.ModelDataUrl, !strings.HasSuffix(container.ModelDataUrl, "/")
	if source := container.ModelDataSource; source != nil && source.S3DataSource != nil {
		url, archive = source.S3DataSource.S3Uri, source.S3DataSource.CompressionType == "Gzip"
		if !archive && source.S3DataSource.S3DataType == "S3Object" {
			return lora.Errorf(lora.Invalid, "The local platform reads a model from an S3 prefix or a tar.gz: an uncompressed S3Object is a single file.")
		}
	}
	if url == "" {
		return lora.Errorf(lora.Invalid, "The local platform reads models from S3 only: give ModelDataSource or ModelDataUrl of the model, or Container.ArtifactUrl of the component.")
	}
	bucket, key, ok := s3URL(url)
	if !ok {
		return lora.Errorf(lora.Invalid, "Failed to download model data: %s is no S3 URI.", url)
	}
	if archive {
		if err := p.fetchArchive(ctx, bucket, key, dir); err != nil {
			return lora.Wrap(err, lora.Invalid, "Failed to download model data for bucket %q and key %q. Please ensure that the object exists and is a gzip-compressed tar archive.", bucket, key)
		}
		return nil
	}
	return p.fetchPrefix(ctx, bucket, key, dir)
}

func (p *Platform) fetchPrefix(ctx context.Context, bucket, prefix, dir string) error {
	objects, err := p.config.Objects.List(ctx, bucket, prefix)
	if err != nil {
		return lora.Wrap(err, lora.Invalid, "Failed to download model data for bucket %q and prefix %q. Please ensure that the bucket exists and can be read.", bucket, prefix)
	}
	if len(objects) == 0 {
		return lora.Errorf(lora.Invalid, "Failed to download model data for bucket %q and prefix %q. Please ensure that there is at least one object located under the URI.", bucket, prefix)
	}
	paths, err := layout(objects, prefix)
	if err != nil {
		return err
	}
	for i, object := range objects {
		if err := p.fetchFile(ctx, bucket, object.Key, filepath.Join(dir, filepath.FromSlash(paths[i]))); err != nil {
			return fmt.Errorf("fetch %s: %w", object.Key, err)
		}
	}
	return nil
}

func (p *Platform) fetchFile(ctx context.Context, bucket, key, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	if linked, err := p.config.Objects.Link(ctx, bucket, key, target); linked || err != nil {
		return err
	}
	in, err := p.config.Objects.Fetch(ctx, bucket, key)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeFile(target, in)
}

func writeFile(target string, in io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// fetchAdapter downloads a tar.gz and unpacks it into dir: on the host, the container sees only the directory (facts §2.4).
func (p *Platform) fetchAdapter(ctx context.Context, artifact, dir string) error {
	bucket, key, ok := s3URL(artifact)
	if !ok {
		return fmt.Errorf("artifact %s is no S3 URI", artifact)
	}
	return p.fetchArchive(ctx, bucket, key, dir)
}

func (p *Platform) fetchArchive(ctx context.Context, bucket, key, dir string) error {
	object, err := p.config.Objects.Fetch(ctx, bucket, key)
	if err != nil {
		return err
	}
	defer object.Close()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return unpack(ctx, object, dir)
}

// unpack writes the regular files of a tar.gz into dir. A link, a device, a sparse file, a path that leaves dir or an archive
// beyond the bounds is an error.
func unpack(ctx context.Context, in io.Reader, dir string) error {
	zip, err := gzip.NewReader(in)
	if err != nil {
		return fmt.Errorf("artifact is no gzip: %w", err)
	}
	left := int64(maxUnpacked)
	archive := tar.NewReader(zip)
	for entries := 0; ; entries++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err := io.Copy(io.Discard, io.LimitReader(zip, maxUnpacked)) // to the checksum behind the last entry
			return err
		}
		if err != nil {
			return fmt.Errorf("artifact is no tar: %w", err)
		}
		name := path.Clean(header.Name)
		if left -= header.Size; entries > maxEntries || left < 0 || header.Size < 0 {
			return fmt.Errorf("artifact holds more than %d entries or %d bytes", maxEntries, int64(maxUnpacked))
		}
		if sparse(header) {
			return fmt.Errorf("artifact entry %q is sparse", header.Name)
		}
		switch {
		case header.Typeflag == tar.TypeDir || header.Typeflag == tar.TypeXGlobalHeader || name == ".":
			continue // "git archive" begins with a global header: no file
		case header.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(name)):
			return fmt.Errorf("artifact entry %q is not a regular file inside it", header.Name)
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(name)), archive); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
}

// sparse reports whether an entry is described by its holes: it can then be of any size in an archive of any size.
func sparse(header *tar.Header) bool {
	for record := range header.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse.") {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

func s3URL(text string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(text, "s3://")
	if !ok {
		return "", "", false
	}
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, bucket != ""
}
