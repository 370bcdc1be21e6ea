package local_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"loradeck/internal/local"
)

const (
	account = "000000000000"
	region  = "us-east-1"
)

// open opens a platform in dir and closes it when the test ends.
func open(t *testing.T, dir string, demo fs.FS, hosts ...string) *local.Server {
	t.Helper()
	s, err := local.Open(t.Context(), local.Config{
		Dir: dir, Account: account, Region: region, Hosts: hosts, Demo: demo, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// signed is an Authorization header for a service.
func signed(service string) string {
	return "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/" + service + "/aws4_request, SignedHeaders=host, Signature=00"
}

// presigned is an address that was signed at that time for a minute.
func presigned(at time.Time) string {
	day := at.UTC().Format("20060102")
	return "/endpoints/local/invocations?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F" + day + "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=" +
		at.UTC().Format("20060102T150405Z") + "&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=0"
}

// send gives status, headers and body of the answer to a request. Headers come in pairs.
func send(t *testing.T, h http.Handler, method, target, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8090"+target, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Header(), w.Body.String()
}

func TestSignatureChoosesTheService(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	const (
		auth, target = "Authorization", "X-Amz-Target"
		form         = "application/x-www-form-urlencoded; charset=utf-8"
	)
	if status, _, body := send(t, s, "PUT", "/endpoints", "", auth, signed("s3")); status != 200 {
		t.Fatalf("create a bucket named endpoints: got %d %s, want 200", status, body)
	}
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		says                     string
	}{
		{"a bucket may be named endpoints", "PUT", "/endpoints/local/invocations", "x", []string{auth, signed("s3")}, 200, ""},
		{"a key keeps its slashes and dots", "PUT", "/endpoints/a//b/../c", "x", []string{auth, signed("s3")}, 200, ""},
		{"and is found under them", "GET", "/endpoints?list-type=2&prefix=a", "", []string{auth, signed("s3")}, 200, "<Key>a//b/../c</Key>"},
		{"presigned", "GET", presigned(time.Now()), "", nil, 200, "x"},
		{"presigned an hour ago", "GET", presigned(time.Now().Add(-time.Hour)), "", nil, 403, "Request has expired"},
		{"presigned with version 2", "GET", "/endpoints/local/invocations?AWSAccessKeyId=A&Signature=0&Expires=4102444800", "", nil, 200, "x"},
		{"an access key with slashes", "GET", "/endpoints/local/invocations", "", []string{auth, strings.Replace(signed("s3"), "AKID", "a/b", 1)}, 200, "x"},
		{"control plane", "POST", "/", "{}", []string{auth, signed("sagemaker"), target, "SageMaker.ListEndpoints"}, 200, `"Endpoints":[]`},
		{"control plane without target", "POST", "/", "{}", []string{auth, signed("sagemaker")}, 400, "UnknownOperationException"},
		{"runtime", "POST", "/endpoints/gone/invocations", "{}", []string{auth, signed("sagemaker")}, 400, "gone"},
		{"identity", "POST", "/", "Action=GetCallerIdentity&Version=2011-06-15", []string{auth, signed("sts"), "Content-Type", form}, 200, "<Arn>arn:aws:iam::000000000000:user/local</Arn>"},
		{"identity by query", "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", []string{auth, signed("sts")}, 200, "<UserId>AKID</UserId>"},
		{"unknown action", "POST", "/", "Action=AssumeRole&Version=2011-06-15", []string{auth, signed("sts"), "Content-Type", form}, 400, "<Code>InvalidAction</Code>"},
		{"unknown service", "POST", "/", "{}", []string{auth, signed("dynamodb"), target, "DynamoDB_20120810.ListTables"}, 400, "no service dynamodb"},
		{"unknown service of the query protocol", "POST", "/", "Action=ListUsers", []string{auth, signed("iam"), "Content-Type", form}, 400, "no service iam"},
		{"unsigned operation", "POST", "/", "{}", []string{target, "SageMaker.ListEndpoints"}, 403, "MissingAuthenticationTokenException"},
		{"unsigned action", "POST", "/", "Action=GetCallerIdentity", []string{"Content-Type", form}, 403, "<Code>MissingAuthenticationToken</Code>"},
		{"unsigned object", "GET", "/endpoints/local/invocations", "", nil, 403, "<Code>AccessDenied</Code>"},
		{"unsigned invocation", "POST", "/endpoints/local/invocations", "{}", nil, 403, "MissingAuthenticationTokenException"},
		{"another scheme", "GET", "/endpoints/local/invocations", "", []string{auth, "Bearer t"}, 403, "<Code>AccessDenied</Code>"},
		{"a torn credential", "GET", "/endpoints/local/invocations", "", []string{auth, "AWS4-HMAC-SHA256 Credential=AKID/s3"}, 403, "<Code>AccessDenied</Code>"},
		{"the place's own lever", "GET", "/_local/state", "", nil, 200, `"containers":[],"components":[]}`},
		{"which only reads", "POST", "/_local/state", "", nil, 405, "use GET"},
		{"no other lever", "GET", "/_local/x", "", nil, 404, ""},
	}
	for _, test := range tests {
		status, _, body := send(t, s, test.method, test.path, test.body, test.headers...)
		if status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s: got %d %q, want %d with %q", test.name, status, body, test.status, test.says)
		}
	}
}

func TestOnlyKnownHostsAndNoForeignPages(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil, "deck.example.com")
	tests := []struct {
		name    string
		headers []string
		status  int
	}{
		{"loopback", []string{"Host", "127.0.0.1:8090"}, 200},
		{"another loopback address", []string{"Host", "127.0.0.2"}, 200},
		{"IPv6 loopback", []string{"Host", "[::1]:8090"}, 200},
		{"IPv6 loopback without port", []string{"Host", "[::1]"}, 200},
		{"localhost in capitals", []string{"Host", "LocalHost:1"}, 200},
		{"a configured name", []string{"Host", "deck.example.com:8090"}, 200},
		{"a rebound name", []string{"Host", "evil.example.com:8090"}, 403},
		{"a name that begins like loopback", []string{"Host", "127.0.0.1.evil.example.com"}, 403},
		{"a name that ends like a configured one", []string{"Host", "x.deck.example.com"}, 403},
		{"another address", []string{"Host", "192.0.2.1:8090"}, 403},
		{"no host", []string{"Host", ""}, 403},
		{"own origin", []string{"Origin", "http://127.0.0.1:8090"}, 200},
		{"another port's page", []string{"Origin", "http://127.0.0.1:8080"}, 403},
		{"another site's page", []string{"Origin", "https://evil.example.com"}, 403},
		{"a page without origin", []string{"Origin", "null"}, 403},
		{"an image on another site's page", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"an address typed in", []string{"Sec-Fetch-Site", "none"}, 200},
	}
	for _, test := range tests {
		for _, path := range []string{"/_local/state", "/"} {
			status, header, body := send(t, s, "GET", path, "", append(test.headers, "Authorization", signed("s3"))...)
			if status != test.status {
				t.Errorf("%s: GET %s: got %d %s, want %d", test.name, path, status, body, test.status)
			}
			if header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: GET %s lets pages read the answer", test.name, path)
			}
		}
	}
}

func TestPreflightsAreRefusedAsS3Does(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), nil)
	const cors, rebound = "CORSResponse: CORS is not enabled for this bucket.", "is not reached under the host"
	for _, test := range []struct{ path, host, says string }{
		{"/models/a", "127.0.0.1:8090", cors},
		{presigned(time.Now()), "127.0.0.1:8090", cors},
		{"/endpoints/local/invocations", "127.0.0.1:8090", cors},
		{"/_local/faults", "127.0.0.1:8090", cors},
		{"/models/a", "evil.example.com", rebound},
	} {
		status, header, body := send(t, s, "OPTIONS", test.path, "", "Host", test.host, "Origin", "https://evil.example.com", "Access-Control-Request-Method", "PUT", "Sec-Fetch-Site", "cross-site")
		if status != 403 || !strings.Contains(body, test.says) {
			t.Errorf("%s at %s: got %d %s, want %q", test.path, test.host, status, body, test.says)
		}
		for name := range header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s at %s: got %s", test.path, test.host, name)
			}
		}
	}
}

func TestSDKLearnsWhoItIs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(open(t, t.TempDir(), nil))
	t.Cleanup(server.Close)
	client := sts.New(sts.Options{Region: region, BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKID", "any", "")})

	got, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(got.Account) != account || aws.ToString(got.Arn) != "arn:aws:iam::"+account+":user/local" || aws.ToString(got.UserId) != "AKID" {
		t.Errorf("got %s %s %s", aws.ToString(got.Account), aws.ToString(got.Arn), aws.ToString(got.UserId))
	}

	_, err = client.GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "InvalidAction" {
		t.Errorf("an action that is not there: got %v, want InvalidAction", err)
	}
}
