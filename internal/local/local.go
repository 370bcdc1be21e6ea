// Package local is the local platform: S3, SageMaker, its runtime and STS behind one listener, with a CPU engine inside the
// containers. Other AWS clients may use it as they use AWS, with this address as their endpoint.
//
// It knows nothing of the app. Requests are told apart by the service in their signature, never by their path, so a bucket
// may have any name. Signatures are not verified and any access key is taken: whoever can reach the listener may do
// everything, so it belongs on loopback, where browsers are kept out by the checks of Host and Origin.
package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"loradeck/internal/local/container"
	"loradeck/internal/local/s3"
	"loradeck/internal/local/sagemaker"
	"loradeck/internal/sqlite"
)

// Config is what a Server needs.
type Config struct {
	Dir     string // everything it keeps
	Account string // twelve digits
	Region  string
	Hosts   []string      // host names besides loopback's under which it may be reached, without port
	Demo    fs.FS         // Hugging Face directory of the base to provision; nil for none
	Log     *slog.Logger  //
	Pace    time.Duration // pause before each change of state that comes by itself
}

// Server is the platform. It is an http.Handler and safe for concurrent use.
type Server struct {
	config  Config
	db      *sqlite.DB
	objects *s3.Store
	control *sagemaker.Platform
}

// Open opens the state in config.Dir and loads again what was in service. The caller listens and serves.
func Open(ctx context.Context, config Config) (*Server, error) {
	s := &Server{config: config}
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
	if s.objects, err = s3.Open(ctx, filepath.Join(s.config.Dir, "s3"), s3.Region(s.config.Region), s3.Log(s.config.Log)); err != nil {
		return err
	}
	scratch, err := filepath.Abs(filepath.Join(s.config.Dir, "containers"))
	if err != nil {
		return err
	}
	s.control, err = sagemaker.Open(ctx, sagemaker.Config{
		DB: s.db, Objects: store{s.objects}, Run: s.run, Account: s.config.Account, Region: s.config.Region, Dir: scratch, Log: s.config.Log, Pace: s.config.Pace,
	})
	return err
}

// Close stops the containers and closes the state.
func (s *Server) Close() error {
	var err error
	if s.control != nil {
		err = errors.Join(err, s.control.Close())
	}
	if s.objects != nil {
		err = errors.Join(err, s.objects.Close())
	}
	if s.db != nil {
		err = errors.Join(err, s.db.Close())
	}
	return err
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

// run starts vLLM's container contract over the built-in engine.
func (s *Server) run(ctx context.Context, spec sagemaker.ContainerSpec) (sagemaker.Container, error) {
	c, err := container.Start(ctx, container.Config{
		ModelDir: spec.ModelDir, Name: spec.Name, Environment: spec.Environment, Version: imageVersion(spec.Image),
		Scratch: spec.ModelDir + "-scratch", Log: s.config.Log,
	})
	if err != nil {
		return nil, err // a nil *container.Container in the interface would not be nil
	}
	return c, nil
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

// ServeHTTP sends a request to the service its signature names.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := s.refused(r); why != "" {
		answerJSON(w, http.StatusForbidden, map[string]string{"__type": "AccessDeniedException", "message": why})
		return
	}
	if strings.HasPrefix(r.URL.Path, "/_local/") {
		s.serveLevers(w, r)
		return
	}
	scope, signed := scopeOf(r)
	switch {
	case !signed:
		answerJSON(w, http.StatusForbidden, map[string]string{"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token: sign the request with any access key, as AWS clients do."})
	case scope.service == "s3":
		s.objects.ServeHTTP(w, r)
	case scope.service == "sagemaker":
		s.control.ServeHTTP(w, r)
	case scope.service == "sts":
		s.serveSTS(w, r, scope)
	default:
		answerJSON(w, http.StatusBadRequest, map[string]string{"__type": "UnknownOperationException", "message": "The local platform has no service " + scope.service + "; it has s3, sagemaker and sts."})
	}
}

// serveLevers answers the local place's own addresses, which AWS does not have.
func (s *Server) serveLevers(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/_local/state" || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	type held struct {
		Base     string              `json:"base"`
		Adapters []container.Adapter `json:"adapters"`
	}
	state := []held{}
	for name, running := range s.control.Containers() {
		if c, ok := running.(*container.Container); ok {
			state = append(state, held{name, append([]container.Adapter{}, c.Adapters()...)})
		}
	}
	answerJSON(w, http.StatusOK, map[string]any{"containers": state})
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone when this fails
}
