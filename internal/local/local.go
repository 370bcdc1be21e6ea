// Package local is the local platform: S3, SageMaker, its runtime and STS behind one listener, with a CPU engine inside the
// containers. Other AWS clients may use it as they use AWS, with this address as their endpoint.
//
// It knows nothing of the app. Requests are told apart by the service in their signature, never by their path, so a bucket
// may have any name. Any access key is taken; only signatures of the one in the examples are verified, and only by S3, for the
// sake of the rehearsal. Whoever can reach the listener may do everything, so it belongs on loopback, where browsers are kept
// out by the checks of Host and Origin.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"loradeck/internal/local/container"
	"loradeck/internal/local/fault"
	"loradeck/internal/local/s3"
	"loradeck/internal/local/sagemaker"
	"loradeck/internal/local/vllm"
	"loradeck/internal/sqlite"
)

// exampleKey is the access key and the secret that the calls shown to users are made with. S3 verifies its signatures, so a
// presigned address that was altered fails in a rehearsal as it will on AWS; any other key is believed.
const exampleKey = "any"

// Config is what a Server needs.
type Config struct {
	Dir     string // everything it keeps
	Account string // twelve digits
	Region  string
	Hosts   []string       // host names besides loopback's under which it may be reached, without port
	Demo    fs.FS          // Hugging Face directory of the base to provision; nil for none
	Bases   []Base         // of the user's own, beside the demo's
	Log     *slog.Logger   // nil is silent
	Pace    sagemaker.Pace // of changes of state that come by themselves; see SetPace
}

// Server is the platform. It is an http.Handler and safe for concurrent use.
type Server struct {
	config  Config
	started time.Time
	db      *sqlite.DB
	objects *s3.Store
	control *sagemaker.Platform

	faults fault.Registry
	before snapshots
	paged  atomic.Bool // an empty page was answered, so its token may come back

	closing sync.Once
	closed  error // what Close met
}

// Open opens the state in config.Dir and loads again what was in service. The caller listens and serves.
func Open(ctx context.Context, config Config) (*Server, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	s := &Server{config: config, started: time.Now()}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open local platform: %w", err), s.Close())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) (err error) {
	if s.db, err = sqlite.Open(ctx, filepath.Join(s.config.Dir, "local.db")); err != nil {
		return err
	}
	if err = s.migrate(ctx); err != nil {
		return err
	}
	s.objects, err = s3.Open(ctx, filepath.Join(s.config.Dir, "s3"), s3.Region(s.config.Region), s3.Account(s.config.Account), s3.Log(s.config.Log), s3.Secrets(map[string]string{exampleKey: exampleKey}))
	if err != nil {
		return err
	}
	scratch, err := s.scratch()
	if err != nil {
		return err
	}
	s.control, err = sagemaker.Open(ctx, sagemaker.Config{
		DB: s.db, Objects: store{s.objects}, Run: s.run, Account: s.config.Account, Region: s.config.Region, Dir: scratch, Log: s.config.Log, Pace: s.config.Pace, Faults: &s.faults,
	})
	return err
}

// Close stops the containers and closes the state. Requests in flight fail; the caller stops serving first. Closing again
// does nothing.
func (s *Server) Close() error {
	s.closing.Do(func() {
		if s.control != nil {
			s.closed = s.control.Close()
		}
		if s.objects != nil {
			s.closed = errors.Join(s.closed, s.objects.Close())
		}
		if s.db != nil {
			s.closed = errors.Join(s.closed, s.db.Close())
		}
	})
	return s.closed
}

// store is the object store as the control plane reads it.
type store struct{ *s3.Store }

// Fetch opens an object.
func (s store) Fetch(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	body, _, err := s.Store.Fetch(ctx, bucket, key)
	return body, err
}

// List gives the objects below a prefix.
func (s store) List(ctx context.Context, bucket, prefix string) ([]sagemaker.Object, error) {
	found, err := s.Store.List(ctx, bucket, prefix)
	objects := make([]sagemaker.Object, len(found))
	for i, o := range found {
		objects[i] = sagemaker.Object{Key: o.Key, Size: o.Size}
	}
	return objects, err
}

// run starts vLLM's container contract over the built-in engine, or takes the vLLM that serves the base.
func (s *Server) run(ctx context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
	at, is, err := s.server(spec.Image)
	if err != nil {
		return nil, err
	}
	if is {
		c, err := vllm.Start(ctx, at, spec.Name, spec.InService, s.config.Log)
		if err != nil {
			return nil, err // a nil *vllm.Container in the interface would not be nil
		}
		return c, nil
	}
	version := imageVersion(spec.Image)
	c, err := container.Start(ctx, container.Config{
		ModelDir: spec.ModelDir, Name: spec.Name, Environment: spec.Environment, Version: version,
		Scratch: spec.ModelDir + "-scratch", Log: s.config.Log, Faults: &s.faults, Outage: func() container.Outage { return s.outage(version) },
	})
	if err != nil {
		return nil, err // a nil *container.Container in the interface would not be nil
	}
	return c, nil
}

// hurry is how many times shorter than recorded an outage is unless the pace is realistic.
const hurry = 10

// outage is how long a base's engine that died stays away.
func (s *Server) outage(version string) container.Outage {
	out := container.RecordedOutage(version)
	if s.Pace() != "realistic" {
		out.Dying, out.Down = out.Dying/hurry, out.Down/hurry
	}
	return out
}

// imageVersion reads the vLLM version off an image's tag. The twin plays 0.11.2 unless the tag names another that it was
// recorded from (design §8).
func imageVersion(image string) string {
	for _, version := range []string{"0.27.1", "0.32.0"} {
		if strings.Contains(image, ":"+version) || strings.Contains(image, ":v"+version) {
			return version
		}
	}
	return container.Version
}

// ServeHTTP sends a request to the service its signature names. It goes there as it came: keys of S3 objects may hold what a
// ServeMux would clean away.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, signed := scopeOf(r)
	if r.Method == http.MethodOptions && s.known(r.Host) {
		s.objects.ServeHTTP(w, r) // a preflight names no service; S3's refusal is the one that developers know
		return
	}
	if why := s.refused(r); why != "" {
		refuse(w, r, from.service, http.StatusForbidden, accessDenied, why)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/_local/") { // no bucket: their names hold no underscore
		s.serveLevers(w, r)
		return
	}
	w, r, answered := s.amiss(w, r, from.service)
	if !answered {
		s.route(w, r, from, signed)
	}
}

// route answers a request that was let in.
func (s *Server) route(w http.ResponseWriter, r *http.Request, from scope, signed bool) {
	switch {
	case !signed:
		refuse(w, r, "", http.StatusForbidden, missingToken, "Missing Authentication Token: sign the request with any access key, as AWS clients do.")
	case from.service == "s3":
		s.objects.ServeHTTP(w, r)
	case from.service == "sagemaker":
		s.control.ServeHTTP(w, r)
	case from.service == "sts":
		s.serveSTS(w, r, from)
	default:
		refuse(w, r, from.service, http.StatusBadRequest, unknownOperation, "The local platform has no service "+from.service+"; it has s3, sagemaker and sts.")
	}
}
