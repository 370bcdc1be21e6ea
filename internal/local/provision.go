package local

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Names of what a new platform starts with.
const (
	demoEndpoint = "local"
	demoModel    = "tiny-llama"
	demoBase     = "tiny-llama-base"
	demoVariant  = "main"
	demoImage    = "local/vllm:0.11.2" // the twin plays that version; nothing is pulled
	// demoMachine is one of AWS's names, because clients know no other; what serves is this machine.
	demoMachine = "ml.m5.xlarge"
	demoMemory  = 512 // MiB
	// reservedMemory is the most that is held for a base of the user's own, in MiB: fifteen of them have a place. Memory is held
	// for a component and not bounded by it, on SageMaker too.
	reservedMemory = 1024
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the platform's one table up to date.
func (s *Server) migrate(ctx context.Context) error {
	tables, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return s.db.MigrateSet(ctx, "local", tables)
}

func (s *Server) marked(ctx context.Context, name string) (bool, error) {
	var count int
	err := s.db.Read().QueryRowContext(ctx, "SELECT count(*) FROM local_marker WHERE name = ?", name).Scan(&count)
	return count > 0, err
}

// Provision gives a new platform an endpoint with a base, so that there is something to see, and every platform the bases of
// its configuration. It goes through the public API like any client and takes up what an interrupted one began. The demo base
// comes once: when the user takes it down it stays down. It returns when all is made, or with everything that went wrong; for a
// vLLM that does not answer it waits until ctx ends.
func (s *Server) Provision(ctx context.Context) error {
	failed := s.provisionDemo(ctx)
	var mu sync.Mutex
	var running sync.WaitGroup
	for _, base := range s.config.Bases {
		running.Go(func() {
			if err := s.provide(ctx, base); err != nil {
				mu.Lock()
				failed = errors.Join(failed, fmt.Errorf("provide the base %s: %w", base.Component(), err))
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return failed
}

func (s *Server) provisionDemo(ctx context.Context) error {
	const marker = "provisioned"
	if s.config.Demo == nil {
		return nil
	}
	if done, err := s.marked(ctx, marker); err != nil || done {
		return err
	}
	if err := s.provision(ctx); err != nil {
		return fmt.Errorf("provision the demo base: %w", err)
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO local_marker (name) VALUES (?) ON CONFLICT DO NOTHING", marker)
		return err
	})
}

// object is a JSON object.
type object = map[string]any

func (s *Server) provision(ctx context.Context) error {
	c := client{s}
	names, err := modelFiles(s.config.Demo, true)
	if err != nil {
		return err
	}
	files, err := filesOf(s.config.Demo, demoModel+"/", names)
	if err != nil {
		return err
	}
	if err := c.makeBucket(ctx, s.bucket()); err != nil {
		return err
	}
	for _, f := range files {
		if err := c.put(ctx, s.bucket(), f); err != nil {
			return err
		}
	}
	if err := c.create(ctx, "CreateModel", s.modelInput(demoModel, demoImage, object{
		"SM_VLLM_ENABLE_LORA": "true", "SM_VLLM_MAX_LORA_RANK": "16", "SM_VLLM_MAX_LORAS": "4", "SM_VLLM_MAX_CPU_LORAS": "16",
		"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
	})); err != nil {
		return err
	}
	if err := s.makeEndpoint(ctx); err != nil {
		return err
	}
	return c.create(ctx, "CreateInferenceComponent", baseInput(demoBase, demoModel, demoMemory))
}

// bucket is where the platform puts the files of the bases it makes.
func (s *Server) bucket() string {
	return "loradeck-models-" + s.config.Account + "-" + s.config.Region
}

func (s *Server) role() string { return "arn:aws:iam::" + s.config.Account + ":role/local" }

// modelInput is a CreateModel of the files below the model's name in the bucket.
func (s *Server) modelInput(name, image string, environment object) object {
	return object{"ModelName": name, "ExecutionRoleArn": s.role(), "PrimaryContainer": object{
		"Image": image,
		"ModelDataSource": object{"S3DataSource": object{
			"S3Uri": "s3://" + s.bucket() + "/" + name + "/", "S3DataType": "S3Prefix", "CompressionType": "None",
		}},
		"Environment": environment,
	}}
}

// baseInput is a CreateInferenceComponent of a base that may take so many MiB of memory.
func baseInput(name, model string, memory int64) object {
	return object{
		"InferenceComponentName": name, "EndpointName": demoEndpoint, "VariantName": demoVariant,
		"Specification": object{"ModelName": model, "ComputeResourceRequirements": object{"MinMemoryRequiredInMb": memory}},
		"RuntimeConfig": object{"CopyCount": 1},
	}
}

// makeEndpoint makes the endpoint that the platform's own bases are on, unless it is there, and waits until it is in service.
func (s *Server) makeEndpoint(ctx context.Context) error {
	c := client{s}
	err := c.create(ctx, "CreateEndpointConfig", object{"EndpointConfigName": demoEndpoint, "ExecutionRoleArn": s.role(), "ProductionVariants": []object{
		{"VariantName": demoVariant, "InstanceType": demoMachine, "InitialInstanceCount": 1},
	}})
	if err != nil {
		return err
	}
	if err := c.create(ctx, "CreateEndpoint", object{"EndpointName": demoEndpoint, "EndpointConfigName": demoEndpoint}); err != nil {
		return err
	}
	return c.inService(ctx)
}

// client sends requests to the platform as an AWS client would.
type client struct{ server *Server }

// send gives status and body of the answer.
func (c client) send(ctx context.Context, method, path, service, target string, body []byte) (int, []byte, error) {
	w, err := c.ask(ctx, method, path, service, target, body)
	if err != nil {
		return 0, nil, err
	}
	return w.status, w.body.Bytes(), nil
}

// ask sends a request behind the front door, where no fault is played: the platform's own calls are not rehearsed.
func (c client) ask(ctx context.Context, method, path, service, target string, body []byte) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if target != "" {
		r.Header.Set("X-Amz-Target", "SageMaker."+target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	return c.do(r, service), nil
}

// stream sends a request with size bytes of body to S3, and with the mark of a file unless that is empty.
func (c client) stream(ctx context.Context, method, path string, body io.Reader, size int64, mark string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	if r.ContentLength = size; size == 0 {
		r.Body = http.NoBody
	}
	if mark != "" {
		r.Header.Set(markHeader, mark)
	}
	return c.do(r, "s3"), nil
}

// do signs a request for a service and has it answered.
func (c client) do(r *http.Request, service string) *answer {
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/"+time.Now().UTC().Format("20060102")+"/"+c.server.config.Region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	w := &answer{header: http.Header{}, status: http.StatusOK}
	from, signed := scopeOf(r)
	c.server.route(w, r, from, signed)
	return w
}

// create calls an operation. A name that is taken is what an interrupted provisioning left.
func (c client) create(ctx context.Context, operation string, input any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	status, text, err := c.send(ctx, http.MethodPost, "/", "sagemaker", operation, body)
	if err != nil || status == http.StatusOK || strings.Contains(string(text), "already existing") {
		return err
	}
	return fmt.Errorf("%s answers %d: %s", operation, status, text)
}

// inService waits for the endpoint.
func (c client) inService(ctx context.Context) error {
	for {
		status, text, err := c.send(ctx, http.MethodPost, "/", "sagemaker", "DescribeEndpoint", []byte(`{"EndpointName":"`+demoEndpoint+`"}`))
		if err != nil {
			return err
		}
		var out struct{ EndpointStatus string }
		if err := json.Unmarshal(text, &out); status != http.StatusOK || err != nil {
			return fmt.Errorf("DescribeEndpoint answers %d: %s", status, text)
		}
		switch out.EndpointStatus {
		case "InService":
			return nil
		case "Creating":
		default:
			return fmt.Errorf("endpoint %s is %s", demoEndpoint, out.EndpointStatus)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// makeBucket makes a bucket unless it is there.
func (c client) makeBucket(ctx context.Context, bucket string) error {
	var where []byte
	if region := c.server.config.Region; region != "us-east-1" { // the one region that has no name as a constraint
		where = []byte("<CreateBucketConfiguration><LocationConstraint>" + region + "</LocationConstraint></CreateBucketConfiguration>")
	}
	status, text, err := c.send(ctx, http.MethodPut, "/"+bucket, "s3", "", where)
	if err != nil {
		return err
	}
	if status != http.StatusOK && !strings.Contains(string(text), "BucketAlreadyOwnedByYou") { // outside us-east-1 S3 refuses one's own
		return fmt.Errorf("create bucket %s: %d: %s", bucket, status, text)
	}
	return nil
}

// answer holds an answer in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header gives the headers.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the status.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write keeps the body.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

var _ io.Writer = (*answer)(nil)
