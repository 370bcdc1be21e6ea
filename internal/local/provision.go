package local

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
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

// Provision gives a new platform an endpoint with a base, so that there is something to see. It goes through the public API
// like any client, takes up what an interrupted one began, and does nothing once it has been done: what the user takes down
// stays down.
func (s *Server) Provision(ctx context.Context) error {
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
	bucket := "loradeck-models-" + s.config.Account + "-" + s.config.Region
	if err := c.upload(ctx, bucket, demoModel+"/", s.config.Demo); err != nil {
		return err
	}
	role := "arn:aws:iam::" + s.config.Account + ":role/local"
	err := c.create(ctx, "CreateModel", object{"ModelName": demoModel, "ExecutionRoleArn": role, "PrimaryContainer": object{
		"Image": demoImage,
		"ModelDataSource": object{"S3DataSource": object{
			"S3Uri": "s3://" + bucket + "/" + demoModel + "/", "S3DataType": "S3Prefix", "CompressionType": "None",
		}},
		"Environment": object{
			"SM_VLLM_ENABLE_LORA": "true", "SM_VLLM_MAX_LORA_RANK": "16", "SM_VLLM_MAX_LORAS": "4", "SM_VLLM_MAX_CPU_LORAS": "16",
			"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "true",
		},
	}})
	if err != nil {
		return err
	}
	err = c.create(ctx, "CreateEndpointConfig", object{"EndpointConfigName": demoEndpoint, "ExecutionRoleArn": role, "ProductionVariants": []object{
		{"VariantName": demoVariant, "InstanceType": demoMachine, "InitialInstanceCount": 1},
	}})
	if err != nil {
		return err
	}
	if err := c.create(ctx, "CreateEndpoint", object{"EndpointName": demoEndpoint, "EndpointConfigName": demoEndpoint}); err != nil {
		return err
	}
	if err := c.inService(ctx); err != nil {
		return err
	}
	return c.create(ctx, "CreateInferenceComponent", object{
		"InferenceComponentName": demoBase, "EndpointName": demoEndpoint, "VariantName": demoVariant,
		"Specification": object{"ModelName": demoModel, "ComputeResourceRequirements": object{"MinMemoryRequiredInMb": 512}},
		"RuntimeConfig": object{"CopyCount": 1},
	})
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
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/"+time.Now().UTC().Format("20060102")+"/"+c.server.config.Region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	if target != "" {
		r.Header.Set("X-Amz-Target", "SageMaker."+target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	w := &answer{header: http.Header{}, status: http.StatusOK}
	from, signed := scopeOf(r)
	c.server.route(w, r, from, signed)
	return w, nil
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

// upload puts the files of a directory below a prefix.
func (c client) upload(ctx context.Context, bucket, prefix string, files fs.FS) error {
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
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		status, text, err := c.send(ctx, http.MethodPut, "/"+bucket+"/"+prefix+name, "s3", "", body)
		if err != nil {
			return err
		}
		if status != http.StatusOK {
			return fmt.Errorf("put %s: %d: %s", name, status, text)
		}
		return nil
	})
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
