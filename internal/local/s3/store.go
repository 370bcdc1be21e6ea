// Package s3 is the local platform's object store: the part of Amazon S3 that adapters, base models and their tools need,
// spoken in S3's own protocol (path-style addresses, XML, checksums in headers and trailers) over a directory.
//
// The bytes are files with names made up here; everything else — buckets, keys, checksums, unfinished uploads — is in a
// SQLite file beside them. So a key is only ever data, completing an upload or guarding a write is one transaction, and
// "dir" and "dir/child" are just two rows. What was acknowledged survives a kill and a power cut.
//
// It verifies the signatures of the keys it is told of, believes all others and knows no users. It knows nothing of SageMaker either: whoever wants objects inside this process
// takes the door of Fetch and List.
package s3

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"loradeck/internal/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open object store, and the http.Handler that speaks S3. Mount it where paths arrive as the client sent them: a
// ServeMux would "clean" keys such as "a//b". It is safe for concurrent use.
type Store struct {
	index  index
	files  *files
	region string
	owner  string // the account that all buckets belong to; "" is any
	log    *slog.Logger
	unlock func() error

	secrets map[string]string // by access key
}

// Option changes how Open opens the store.
type Option func(*Store)

// Region names the region that all buckets are in; without it they are in us-east-1.
func Region(name string) Option { return func(s *Store) { s.region = name } }

// Account names the account that all buckets belong to: requests that expect another owner are refused. Without it none is.
func Account(id string) Option { return func(s *Store) { s.owner = id } }

// Log takes what the store has to say: internal errors and files that could not be removed. Without it nobody hears them.
func Log(log *slog.Logger) Option { return func(s *Store) { s.log = log } }

// Secrets names access keys with their secrets. Signatures made with one of them are verified; those of other keys are believed,
// though presigned addresses still expire.
func Secrets(byKey map[string]string) Option { return func(s *Store) { s.secrets = byKey } }

// Open opens or creates the store in dir, which belongs to this process until Close, and removes the bytes that a crash left
// unfinished.
func Open(ctx context.Context, dir string, opts ...Option) (*Store, error) {
	s := &Store{region: "us-east-1", log: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(s)
	}
	if err := s.open(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open object store: %w", err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, dir string) (err error) {
	if s.unlock, err = sqlite.Lock(dir); err != nil {
		return err
	}
	if s.files, err = openFiles(filepath.Join(dir, "parts"), s.log); err != nil {
		return err
	}
	// Durable, because a file is removed right after the commit that forgets it: had a power cut undone that commit, the
	// object would be back without its bytes.
	if s.index.db, err = sqlite.Open(ctx, filepath.Join(dir, "index.db"), sqlite.Durable()); err != nil {
		return err
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	if err := s.index.db.Migrate(ctx, steps); err != nil {
		return err
	}
	return s.files.sweep(ctx, s.index.names)
}

// Close closes the store and gives the directory back. Requests in flight fail.
func (s *Store) Close() error {
	var errs []error
	if s.index.db != nil {
		errs = append(errs, s.index.db.Close())
	}
	if s.unlock != nil {
		errs = append(errs, s.unlock())
	}
	return errors.Join(errs...)
}

// ObjectInfo describes an object as S3 would.
type ObjectInfo struct {
	Key         string
	Size        int64  // bytes
	ETag        string // with its quotes
	ContentType string
	Modified    time.Time
}

func (o object) info() ObjectInfo {
	return ObjectInfo{Key: o.key, Size: o.size, ETag: o.quotedETag(), ContentType: o.headers["Content-Type"], Modified: o.modified}
}

// EnsureBucket makes the bucket unless it is there. A name that S3 would refuse is a lora.Invalid.
func (s *Store) EnsureBucket(ctx context.Context, name string) error {
	if !validBucket(name) {
		return forPlatform(errInvalidBucketName)
	}
	if _, err := s.index.createBucket(ctx, name, time.Now()); err != nil {
		return fmt.Errorf("create bucket %s: %w", name, err)
	}
	return nil
}

// Fetch opens an object. The caller closes the reader, which gives the bytes that were current when it was opened, whatever
// happens to the key meanwhile. A missing key or bucket is a lora.NotFound.
func (s *Store) Fetch(ctx context.Context, bucket, key string) (io.ReadCloser, ObjectInfo, error) {
	o, body, err := s.read(ctx, bucket, key)
	if err != nil {
		return nil, ObjectInfo{}, forPlatform(err)
	}
	return body, o.info(), nil
}

// List gives all objects of the bucket whose keys begin with prefix, in the order of their keys. A missing bucket is a
// lora.NotFound.
func (s *Store) List(ctx context.Context, bucket, prefix string) ([]ObjectInfo, error) {
	if err := s.index.hasBucket(ctx, bucket); err != nil {
		return nil, forPlatform(err)
	}
	objects, err := s.index.page(ctx, bucket, prefix, "", -1)
	if err != nil {
		return nil, fmt.Errorf("list %s/%s: %w", bucket, prefix, err)
	}
	infos := make([]ObjectInfo, len(objects))
	for i, o := range objects {
		infos[i] = o.info()
	}
	return infos, nil
}

// read finds an object and keeps its files until the content is closed.
func (s *Store) read(ctx context.Context, bucket, key string) (object, *content, error) {
	s.files.looking.RLock()
	defer s.files.looking.RUnlock()
	o, parts, err := s.index.object(ctx, bucket, key)
	if err != nil {
		return object{}, nil, err
	}
	s.files.pin(parts)
	return o, &content{files: s.files, parts: parts, left: o.size}, nil
}
