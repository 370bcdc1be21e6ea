package local_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"loradeck/internal/local"
)

// set sets a fault as a user does, and gives its id.
func set(t *testing.T, s *local.Server, wish string) string {
	t.Helper()
	status, _, body := send(t, s, "POST", "/_local/faults", wish, "Content-Type", "application/json")
	var f struct{ ID string }
	if err := json.Unmarshal([]byte(body), &f); status != http.StatusCreated || err != nil {
		t.Fatalf("set %s: got %d %s", wish, status, body)
	}
	return f.ID
}

// answered gives status and body of what the control plane answers.
func answered(t *testing.T, s *local.Server, operation, input string) (int, string) {
	t.Helper()
	status, _, body := send(t, s, "POST", "/", input, "Authorization", signed("sagemaker"), "X-Amz-Target", "SageMaker."+operation)
	return status, body
}

const tinyConfig = `{"EndpointConfigName":"tiny","ExecutionRoleArn":"arn:aws:iam::000000000000:role/local","ProductionVariants":[{"VariantName":"all","InstanceType":"ml.g5.xlarge","InitialInstanceCount":1}]}`

func TestFaultsAreSetListedAndReleased(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	first := set(t, s, `{"kind":"throttle","resource":"tiny","calls":3}`)
	set(t, s, `{"kind":"quota"}`)
	if status, _, body := send(t, s, "GET", "/_local/faults", ""); status != 200 || !strings.Contains(body, `"sentence":`) || !strings.Contains(body, `"resource":"tiny","calls":3`) {
		t.Errorf("list: got %d %s", status, body)
	}
	if status, _, _ := send(t, s, "DELETE", "/_local/faults/"+first, ""); status != 204 {
		t.Errorf("release: got %d", status)
	}
	if status, _, body := send(t, s, "DELETE", "/_local/faults/"+first, ""); status != 404 || !strings.Contains(body, "No fault") {
		t.Errorf("release again: got %d %s", status, body)
	}
	if status, _, _ := send(t, s, "DELETE", "/_local/faults", ""); status != 204 {
		t.Errorf("release all: got %d", status)
	}
	if _, _, body := send(t, s, "GET", "/_local/faults", ""); !strings.Contains(body, `"set":[],"ended":[{"id":"2","kind":"quota"`) || !strings.Contains(body, `"calls":3,"happened":0,"released":true,"at":"`) {
		t.Errorf("after all were released: %s", body)
	}
}

func TestAFaultThatDoesNotExistIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	tests := []struct {
		name, body, kind string
		status           int
		says             string
	}{
		{"no such kind", `{"kind":"sharks"}`, "application/json", 400, "There is no fault"},
		{"negative", `{"kind":"quota","calls":-1}`, "application/json", 400, "until it is released"},
		{"unknown member", `{"kind":"quota","times":1}`, "application/json", 400, "times"},
		{"a name with NUL", `{"kind":"quota","resource":"ti\u0000ny"}`, "application/json", 400, `The resource "ti\x00ny" holds a character that cannot be seen`},
		{"two at once", `{"kind":"quota"}{"kind":"nan"}`, "application/json", 400, "one fault at a time"},
		{"a page's form", `kind=quota`, "application/x-www-form-urlencoded", 415, "application/json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if status, _, body := send(t, s, "POST", "/_local/faults", tt.body, "Content-Type", tt.kind); status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("got %d %s, want %d with %q", status, body, tt.status, tt.says)
			}
		})
	}
}

func TestControlPlaneFaultsAnswerAsAWSDoes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind, operation, input string
		status                 int
		says                   string
	}{
		{"throttle", "ListModels", `{}`, 400, `"__type":"ThrottlingException","message":"Rate exceeded"`},
		{"expired", "ListModels", `{}`, 403, `"__type":"ExpiredTokenException"`},
		{"quota", "CreateEndpointConfig", tinyConfig, 400, `"__type":"ResourceLimitExceeded"`},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), nil)
			set(t, s, `{"kind":"`+tt.kind+`","calls":1}`)
			if status, body := answered(t, s, tt.operation, tt.input); status != tt.status || !strings.Contains(body, tt.says) {
				t.Errorf("got %d %s, want %d with %s", status, body, tt.status, tt.says)
			}
			if status, body := answered(t, s, tt.operation, tt.input); status != 200 {
				t.Errorf("after its one call: got %d %s, want 200", status, body)
			}
		})
	}
}

func TestTheTokenOfAnEmptyPageGoesOnWhereTheListStood(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	if status, body := answered(t, s, "CreateEndpointConfig", tinyConfig); status != 200 {
		t.Fatalf("create: got %d %s", status, body)
	}
	set(t, s, `{"kind":"empty-page","calls":1}`)
	_, body := answered(t, s, "ListEndpointConfigs", `{"MaxResults":5}`)
	var page struct {
		EndpointConfigs []struct{ EndpointConfigName string }
		NextToken       string
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil || len(page.EndpointConfigs) != 0 || page.NextToken == "" {
		t.Fatalf("first page: %s", body)
	}
	_, body = answered(t, s, "ListEndpointConfigs", `{"MaxResults":5,"NextToken":"`+page.NextToken+`"}`)
	if page.NextToken = ""; json.Unmarshal([]byte(body), &page) != nil || len(page.EndpointConfigs) != 1 || page.NextToken != "" {
		t.Errorf("second page: %s", body)
	}
}

// endless is a body of blanks that counts how many were read.
type endless struct{ read, most int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read > e.most {
		return 0, io.ErrUnexpectedEOF
	}
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

// TestAFaultReadsNoLongCallWhole has a list that is longer than the control plane takes.
func TestAFaultReadsNoLongCallWhole(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	set(t, s, `{"kind":"empty-page","resource":"another"}`)
	body := &endless{most: 64 << 20}
	r := httptest.NewRequest("POST", "http://127.0.0.1/", body)
	r.Header.Set("Authorization", signed("sagemaker"))
	r.Header.Set("X-Amz-Target", "SageMaker.ListEndpoints")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusRequestEntityTooLarge || body.read > 8<<20 {
		t.Errorf("got %d %s after %d bytes", w.Code, w.Body, body.read)
	}
}

func TestAStaleDescribeShowsWhatWasBeforeTheChange(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	id := set(t, s, `{"kind":"stale-describe","resource":"tiny"}`)
	if status, body := answered(t, s, "CreateEndpointConfig", tinyConfig); status != 200 {
		t.Fatalf("create: got %d %s", status, body)
	}
	for range 2 {
		if status, body := answered(t, s, "DescribeEndpointConfig", `{"EndpointConfigName":"tiny"}`); status != 400 || !strings.Contains(body, "Could not find") {
			t.Errorf("stale: got %d %s, want that it could not be found", status, body)
		}
	}
	send(t, s, "DELETE", "/_local/faults/"+id, "")
	if status, body := answered(t, s, "DescribeEndpointConfig", `{"EndpointConfigName":"tiny"}`); status != 200 {
		t.Errorf("after the release: got %d %s", status, body)
	}
	set(t, s, `{"kind":"stale-describe","resource":"tiny"}`)
	if status, body := answered(t, s, "DescribeEndpointConfig", `{"EndpointConfigName":"tiny"}`); status != 200 {
		t.Errorf("set again, without a change since: got %d %s", status, body)
	}
}

func TestS3FaultsHitTheNamedBucket(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	object := func(method, path, body string) (int, string) {
		status, _, text := send(t, s, method, path, body, "Authorization", signed("s3"))
		return status, text
	}
	for _, path := range []string{"/models", "/other", "/models/a", "/other/a"} {
		if status, body := object("PUT", path, ""); status != 200 {
			t.Fatalf("put %s: got %d %s", path, status, body)
		}
	}
	set(t, s, `{"kind":"throttle","resource":"models","calls":1}`)
	set(t, s, `{"kind":"expired","resource":"models/a","calls":1}`)
	if status, body := object("GET", "/other/a", ""); status != 200 {
		t.Errorf("the other bucket: got %d %s", status, body)
	}
	if status, body := object("GET", "/models/a", ""); status != 400 || !strings.Contains(body, "<Code>ExpiredToken</Code>") {
		t.Errorf("expired: got %d %s", status, body)
	}
	if status, body := object("GET", "/models/a", ""); status != 503 || !strings.Contains(body, "<Code>SlowDown</Code>") {
		t.Errorf("throttled: got %d %s", status, body)
	}
	if status, body := object("GET", "/models/a", ""); status != 200 {
		t.Errorf("afterwards: got %d %s", status, body)
	}
}

func TestACutConnectionStoresNothingAndSendsHalf(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	call := func(method, path, body string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", signed("s3"))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		return string(text), err
	}
	if _, err := call("PUT", "/models", ""); err != nil {
		t.Fatal(err)
	}
	whole := strings.Repeat("weights ", 20_000)
	set(t, s, `{"kind":"cut-s3","resource":"models/a","calls":1}`)
	if text, err := call("PUT", "/models/a", whole); err == nil {
		t.Errorf("the upload was answered: %s", text)
	}
	if text, err := call("GET", "/models/a", ""); err != nil || !strings.Contains(text, "NoSuchKey") {
		t.Errorf("after the cut: got %.100s, %v, want NoSuchKey", text, err)
	}
	if text, err := call("PUT", "/models/a", whole); err != nil || text != "" {
		t.Fatalf("sent again: got %s, %v", text, err)
	}
	set(t, s, `{"kind":"cut-s3","resource":"models/a","calls":1}`)
	if text, err := call("GET", "/models/a", ""); err == nil || text != whole[:len(whole)/2] {
		t.Errorf("the download gave %d of %d bytes and %v", len(text), len(whole), err)
	}
	set(t, s, `{"kind":"slow-s3","resource":"models","calls":1}`)
	if text, err := call("PUT", "/models/b", "few"); err != nil || text != "" {
		t.Fatalf("slow: got %s, %v", text, err)
	}
	if text, err := call("GET", "/models/b", ""); err != nil || text != "few" {
		t.Errorf("what was sent slowly is %q, %v", text, err)
	}
}
