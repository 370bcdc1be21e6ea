package s3

import (
	"context"
	"os"
)

// Link makes target another name of the file that holds an object's bytes, and reports false when that cannot be: the object
// lies in several files, or target on another file system. Whoever takes it only reads it; the bytes stay as they are when the
// object is replaced or deleted. A missing key or bucket is a lora.NotFound.
func (s *Store) Link(ctx context.Context, bucket, key, target string) (bool, error) {
	_, body, err := s.read(ctx, bucket, key)
	if err != nil {
		return false, forPlatform(err)
	}
	defer body.Close()
	return len(body.parts) == 1 && os.Link(s.files.path(body.parts[0].file), target) == nil, nil
}
