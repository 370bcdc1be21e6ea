// Package sagemaker is the control plane and the runtime of the local platform: SageMaker's JSON 1.1 operations on endpoint
// configs, endpoints, models, inference components and tags, and InvokeEndpoint with and without a response stream, as far as
// they are listed in operations below. What it does not know it answers as AWS answers an operation it does not know.
//
// What operations take is read from AWS's own service model (shapes.json, a cut of botocore's), with every limit in AWS's words;
// refusals beyond it and the runtime are written from facts/sagemaker-vllm.md §1 and §1b. Nothing is shared with a client: a shared
// line would hide a shared mistake. It knows objects and containers through two small interfaces, and nothing of the app.
//
// "InService" and "the container has it" are kept apart, as they are on AWS: a component whose adapter the container refused,
// or whose archive could not be fetched, comes into service all the same, and only invoking it tells (facts §2.6, design §8).
package sagemaker

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"loradeck/internal/local/fault"
	"loradeck/internal/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Object is an object of the store.
type Object struct {
	Key  string
	Size int64
}

// Objects is the object store, as SageMaker reads it. Fetch and Link of what is not there is an error of kind lora.NotFound.
type Objects interface {
	Fetch(ctx context.Context, bucket, key string) (io.ReadCloser, error)
	// Link makes target another name of the object's file, and reports false when it has to be fetched instead.
	Link(ctx context.Context, bucket, key, target string) (bool, error)
	List(ctx context.Context, bucket, prefix string) ([]Object, error)
}

// Container is what runs inside a base component: it answers /ping, /invocations and /adapters.
type Container interface {
	http.Handler
	Close() error
}

// ContainerSpec says what to run.
type ContainerSpec struct {
	Name        string // of the base component
	ModelDir    string // the model's files
	Image       string
	Environment map[string]string
	InService   bool // the component was in service before the platform was restarted
}

// RunContainer starts a container. Its error's lora.Message becomes the component's FailureReason.
type RunContainer func(ctx context.Context, spec ContainerSpec) (Container, error)

// Config is what a Platform needs.
type Config struct {
	DB      *sqlite.DB
	Objects Objects
	Run     RunContainer
	Account string // twelve digits
	Region  string
	Dir     string // scratch for models and adapters; its content is made again at every start
	Log     *slog.Logger
	Now     func() time.Time // nil means time.Now
	Pace    Pace             // of changes of state that come by themselves, until SetPace
	Faults  *fault.Registry  // what invocations are to meet on purpose; nil is nothing

	AnswerWithin time.Duration // how long a container may take to answer; 0 means SageMaker's 60 s
	StreamWithin time.Duration // and to stream an answer; 0 means SageMaker's 8 min
}

// Platform is a control plane with its containers. It is safe for concurrent use.
type Platform struct {
	config  Config
	service *service
	store   store
	ctx     context.Context // of work that goes on after a request
	stop    context.CancelFunc
	work    sync.WaitGroup

	made atomic.Int64 // the last number that a directory in scratch was given

	mu       sync.Mutex // guards what follows
	pace     Pace
	paced    chan struct{} // closed when pace changes
	bases    map[string]*base
	rosters  map[string]*roster       // by base
	loaded   map[string]loaded        // by adapter component
	bringing map[string]chan struct{} // by component name; closed when it has been brought as far as it gets
}

// Open brings the tables up to date and takes up what the last process left: components in service are really loaded again,
// what was being created or deleted goes on.
func Open(ctx context.Context, config Config) (*Platform, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	config.AnswerWithin = cmp.Or(config.AnswerWithin, answersWithin)
	config.StreamWithin = cmp.Or(config.StreamWithin, streamsWithin)
	var err error
	if config.Dir, err = filepath.Abs(config.Dir); err != nil { // containers are told absolute paths only
		return nil, fmt.Errorf("open control plane: %w", err)
	}
	tables, err := fs.Sub(migrations, "migrations")
	if err == nil {
		err = config.DB.MigrateSet(ctx, "sagemaker", tables)
	}
	if err != nil {
		return nil, fmt.Errorf("open control plane: %w", err)
	}
	shapes, err := readService(shapesText)
	if err != nil {
		return nil, fmt.Errorf("open control plane: %w", err)
	}
	p := &Platform{
		config: config, service: shapes, store: store{config.DB},
		pace: config.Pace, paced: make(chan struct{}),
		bases: map[string]*base{}, rosters: map[string]*roster{}, loaded: map[string]loaded{}, bringing: map[string]chan struct{}{},
	}
	p.made.Store(time.Now().UnixMilli())
	p.ctx, p.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := p.resume(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close stops all containers and waits for work under way, which goes on at the next Open.
func (p *Platform) Close() error {
	p.stop()
	p.work.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var failed error
	for name, b := range p.bases {
		failed = errors.Join(failed, b.close())
		delete(p.bases, name)
	}
	return failed
}

// Containers gives the running containers by the name of their base component.
func (p *Platform) Containers() map[string]Container {
	p.mu.Lock()
	defer p.mu.Unlock()
	running := map[string]Container{}
	for name, b := range p.bases {
		if b.up() {
			running[name] = b.container
		}
	}
	return running
}

// background runs work that outlives its request. Close waits for it. A panic in it must not end the process: the dashboard
// lives there too.
func (p *Platform) background(do func(ctx context.Context)) {
	p.work.Go(func() {
		defer func() {
			if broken := recover(); broken != nil {
				p.config.Log.ErrorContext(p.ctx, "control plane panicked", "err", fmt.Sprint(broken), "stack", string(debug.Stack()))
			}
		}()
		do(p.ctx)
	})
}

// arn names a resource. SageMaker writes names inside ARNs in lower case.
func (p *Platform) arn(kind, name string) string {
	return "arn:aws:sagemaker:" + p.config.Region + ":" + p.config.Account + ":" + kind + "/" + strings.ToLower(name)
}

// ServeHTTP answers control plane operations, which name themselves in X-Amz-Target, and the runtime's two paths.
func (p *Platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", newID())
	if r.Header.Get("X-Amz-Target") != "" || r.URL.Path == "/" {
		p.operate(w, r)
		return
	}
	p.serveRuntime(w, r)
}
