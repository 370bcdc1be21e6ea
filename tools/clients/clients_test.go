//go:build clients

// Package clients runs AWS clients of other languages against the local platform, over plain HTTP and over TLS, where they sign
// and sum differently. `make test-clients` installs them.
package clients

import (
	"bytes"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"loradeck/internal/local"
	"loradeck/internal/local/demo"
)

// serve starts the local platform with the demo base's files, and gives its address and a file with the certificate that it
// shows, both for TLS or not.
func serve(t *testing.T, tls bool) (address, certificate string) {
	t.Helper()
	platform, err := local.Open(t.Context(), local.Config{Dir: t.TempDir(), Account: "123456789012", Region: "us-east-1", Demo: demo.Base()})
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := httptest.NewServer
	if tls {
		start = httptest.NewTLSServer
	}
	server := start(platform)
	t.Cleanup(func() {
		server.Close()
		if err := platform.Close(); err != nil {
			t.Error(err)
		}
	})
	certificate = filepath.Join(t.TempDir(), "certificate.pem")
	if tls {
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(certificate, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return server.URL, certificate
}

// run runs a client's own tests and wants at least so many to have passed and none skipped: passed and skipped find the
// numbers in what its runner says.
func run(t *testing.T, least int, passed, skipped string, command ...string) {
	t.Parallel()
	for name, tls := range map[string]bool{"http": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, certificate := serve(t, tls)
			process := exec.CommandContext(t.Context(), command[0], command[1:]...)
			process.Env = append(os.Environ(), "ENDPOINT="+address, "NODE_USE_ENV_PROXY=0", "NO_PROXY=127.0.0.1", "AWS_EC2_METADATA_DISABLED=true")
			if tls {
				process.Env = append(process.Env, "NODE_EXTRA_CA_CERTS="+certificate, "AWS_CA_BUNDLE="+certificate)
			}
			said, err := process.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %v\n%s", command, err, said)
			}
			found := regexp.MustCompile(passed).FindSubmatch(said)
			if found == nil || regexp.MustCompile(skipped).Match(said) {
				t.Fatalf("got no count, or skipped tests:\n%s", said)
			}
			if n, err := strconv.Atoi(string(found[1])); err != nil || n < least {
				t.Fatalf("got %d tests, %v, want at least %d:\n%s", n, err, least, said)
			}
			t.Logf("%s: %s passed over %s", command[0], found[1], name)
		})
	}
}

func TestJavaScriptSDK(t *testing.T) {
	run(t, 16, `(?m)^# pass (\d+)$`, `(?m)^# skipped [^0]`, "node", "--test", "--test-reporter=tap", "s3_test.mjs")
}

// python gives the Python with boto3.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CLIENTS_PYTHON")
	if path == "" {
		t.Fatal("CLIENTS_PYTHON names no Python with boto3: run `make test-clients`")
	}
	return path
}

func TestBoto3(t *testing.T) {
	run(t, 15, `(?m)^Ran (\d+) tests`, `skipped=`, python(t), "-m", "unittest", "-v", "s3_test.py")
}

func TestBoto3OnSageMaker(t *testing.T) {
	run(t, 8, `(?m)^Ran (\d+) tests`, `skipped=`, python(t), "-m", "unittest", "-v", "sagemaker_test.py")
}

func TestGuide(t *testing.T) {
	run(t, 3, `(?m)^Ran (\d+) tests`, `skipped=`, python(t), "-m", "unittest", "-v", "guide_test.py")
}

// TestShapesAreBotocores holds that the control plane reads and answers by the service model of botocore as it is installed.
func TestShapesAreBotocores(t *testing.T) {
	t.Parallel()
	cut, err := exec.CommandContext(t.Context(), python(t), "shapes.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	held, err := os.ReadFile("../../internal/local/sagemaker/shapes.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(cut, held) {
		t.Error("internal/local/sagemaker/shapes.json is not what tools/clients/shapes.py makes of botocore: make it again, and look at what changed")
	}
}
