package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "loradeck/internal/sqlite" // registers the driver
)

const (
	place    = "aws:000000000000:us-east-1"
	base     = "tiny-llama-base"
	bucket   = "loradeck-000000000000-us-east-1"
	patience = 3 * time.Minute // a limit for what hangs, not a measure
)

// program is one process of the binary under test.
type program struct {
	binary string
	args   []string
	log    *lockedBuffer
	cmd    *exec.Cmd
	urls   map[string]string // by what it prints them as: "dashboard", "AWS endpoint"
}

// start starts it and waits until it has printed its address.
func (p *program) start(ctx context.Context) error {
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), p.binary, p.args...)
	p.cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=chaos", "AWS_SECRET_ACCESS_KEY=chaos")
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.urls = map[string]string{}
	lines := bufio.NewScanner(out)
	for len(p.urls) == 0 && lines.Scan() {
		if name, at, found := strings.Cut(lines.Text(), "http://"); found {
			p.urls[strings.TrimSpace(name)] = "http://" + at
		}
	}
	go io.Copy(io.Discard, out)
	if len(p.urls) == 0 {
		p.cmd.Wait()
		return fmt.Errorf("%s %s ended without an address:\n%s", p.binary, strings.Join(p.args, " "), p.log)
	}
	return nil
}

// kill ends it as a power cut would.
func (p *program) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// platform is a local platform in a process of its own, which is never killed, and can be asked what it holds.
type platform struct {
	program
	url string
}

func startPlatform(ctx context.Context, binary, dir string) (*platform, error) {
	p := &platform{program: program{binary: binary, args: []string{"local", "--local-addr", "127.0.0.1:0", "--data", dir}, log: &lockedBuffer{}}}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	p.url = p.urls["AWS endpoint"]
	return p, await(ctx, "the base is in service", func() (bool, error) {
		status, err := p.status(ctx, base)
		return status == "InService", err
	})
}

// ask sends an operation of the control plane and decodes its answer. A name that is not known gives an empty answer.
func (p *platform) ask(ctx context.Context, operation string, input, output any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-Amz-Target", "SageMaker."+operation)
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	answer, err := p.send(request, "sagemaker")
	if err != nil || strings.Contains(string(answer), "Could not find") {
		return err
	}
	return json.Unmarshal(answer, output)
}

func (p *platform) send(request *http.Request, service string) ([]byte, error) {
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=chaos/20260101/us-east-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// status gives a component's status, "" when there is none.
func (p *platform) status(ctx context.Context, component string) (string, error) {
	var described struct{ InferenceComponentStatus string }
	err := p.ask(ctx, "DescribeInferenceComponent", map[string]string{"InferenceComponentName": component}, &described)
	return described.InferenceComponentStatus, err
}

// components counts the components whose names contain a text.
func (p *platform) components(ctx context.Context, containing string) (int, error) {
	var list struct {
		InferenceComponents []struct{ InferenceComponentName string }
	}
	err := p.ask(ctx, "ListInferenceComponents", map[string]any{"NameContains": containing, "MaxResults": 100}, &list)
	return len(list.InferenceComponents), err
}

// objects counts the objects, and the uploads begun and not ended, under a prefix of the artifacts' bucket.
func (p *platform) objects(ctx context.Context, prefix string) (objects, uploads int, err error) {
	var list struct {
		Contents []struct{ Key string }
		Upload   []struct{ Key string }
	}
	for _, query := range []string{"list-type=2", "uploads="} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/"+bucket+"?"+query+"&prefix="+url.QueryEscape(prefix), nil)
		if err != nil {
			return 0, 0, err
		}
		answer, err := p.send(request, "s3")
		if err != nil {
			return 0, 0, err
		}
		if err := xml.Unmarshal(answer, &list); err != nil {
			return 0, 0, fmt.Errorf("list %s: %w: %s", prefix, err, answer)
		}
	}
	return len(list.Contents), len(list.Upload), nil
}

// rig is a dashboard that speaks to the platform through a proxy, which may kill it at any call. It starts again by itself.
type rig struct {
	program
	dir   string
	proxy *proxy
	url   string

	mu    sync.Mutex // guards kills and the process
	kills int
}

func startRig(ctx context.Context, binary, dir string, p *platform) (*rig, error) {
	r := &rig{dir: dir}
	var err error
	if r.proxy, err = startProxy(p.url); err != nil {
		return nil, err
	}
	r.program = program{binary: binary, log: &lockedBuffer{}, args: []string{
		"--addr", "127.0.0.1:0", "--local-addr", "none", "--aws", "us-east-1,name=twin,endpoint=" + r.proxy.url, "--data", dir,
	}}
	if err := r.program.start(ctx); err != nil {
		return nil, err
	}
	r.url = r.urls["dashboard"]
	r.args[1] = strings.TrimPrefix(r.url, "http://") // it comes back where it was
	return r, nil
}

// die kills the dashboard now and starts it again once the caller has let go of what it holds.
func (r *rig) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kills++
	r.program.kill()
}

// revive starts a killed dashboard again on the same data folder.
func (r *rig) revive(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.program.start(ctx)
}

func (r *rig) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.program.kill()
	r.proxy.close()
}

// upload sends an adapter and waits until it has been read. It gives the upload's page.
func (r *rig) upload(ctx context.Context, name string, files map[string][]byte) (page string, err error) {
	type file struct {
		Path string `json:"path"`
		Size int    `json:"size"`
		URL  string `json:"url,omitempty"`
	}
	var offered []file
	for path, content := range files {
		offered = append(offered, file{Path: path, Size: len(content)})
	}
	body, err := json.Marshal(map[string]any{"kind": "folder", "name": name, "files": offered})
	if err != nil {
		return "", err
	}
	var said struct {
		Page  string
		Files []file
	}
	if err := r.do(ctx, http.MethodPost, "/api/v1/uploads", body, map[string]string{"Content-Type": "application/json"}, &said); err != nil {
		return "", err
	}
	for _, f := range said.Files {
		if f.URL == "" {
			continue
		}
		header := map[string]string{"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
		if err := r.do(ctx, http.MethodPatch, f.URL, files[f.Path], header, nil); err != nil {
			return "", err
		}
	}
	return said.Page, await(ctx, "the upload is read", func() (bool, error) {
		var now struct{ State, Reason string }
		err := r.do(ctx, http.MethodGet, "/api/v1"+said.Page, nil, nil, &now)
		if now.State == "refused" {
			err = errors.New(now.Reason)
		}
		return now.State == "ready", err
	})
}

// do sends a request to the dashboard and decodes a JSON answer into output, unless that is nil.
func (r *rig) do(ctx context.Context, method, path string, body []byte, header map[string]string, output any) error {
	request, err := http.NewRequestWithContext(ctx, method, r.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for key, value := range header {
		request.Header.Set(key, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 400 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	if output == nil {
		return nil
	}
	if err := json.Unmarshal(text, output); err != nil {
		return fmt.Errorf("%s %s: %s: %w: %q", method, path, answer.Status, err, text)
	}
	return nil
}

// post sends a page's form and gives where it leads. It is sent again while the dashboard is down: forms here lead to the same
// job when they are sent twice.
func (r *rig) post(ctx context.Context, path string, form url.Values) (string, error) {
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	location := ""
	err := await(ctx, "the dashboard takes "+path, func() (bool, error) {
		answer, err := client.PostForm(r.url+path, form)
		if err != nil {
			return false, nil
		}
		defer answer.Body.Close()
		if location = answer.Header.Get("Location"); location == "" {
			text, _ := io.ReadAll(answer.Body)
			return false, fmt.Errorf("%s: %s: %.600s", path, answer.Status, text)
		}
		return true, nil
	})
	return location, err
}

// rows counts what a query finds in the dashboard's database, also while it is down.
func (r *rig) rows(ctx context.Context, query string, args ...any) (count int, err error) {
	database, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "loradeck.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return 0, err
	}
	defer database.Close()
	err = database.QueryRowContext(ctx, query, args...).Scan(&count)
	return count, err
}

// text reads one value of the dashboard's database, "" for none.
func (r *rig) text(ctx context.Context, query string, args ...any) (value string, err error) {
	database, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "loradeck.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		return "", err
	}
	defer database.Close()
	err = database.QueryRowContext(ctx, query, args...).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

// await asks again and again until something holds.
func await(ctx context.Context, what string, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := holds()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("never: %s", what)
		case <-tick.C:
		}
	}
}

// lockedBuffer keeps what a process writes to its log.
type lockedBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write appends.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

// String gives all of it.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}
