package s3_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"loradeck/internal/local/s3"
)

// storeVariable names the directory that the test binary serves instead of testing.
const storeVariable = "LORADECK_TEST_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(storeVariable); dir != "" {
		fmt.Fprintln(os.Stderr, serve(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serve runs a store until the process is killed, and says on stdout where it listens.
func serve(dir string) error {
	ctx := context.Background()
	store, err := s3.Open(ctx, dir)
	if err != nil {
		return err
	}
	if err := store.EnsureBucket(ctx, bucket); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return http.Serve(listener, store)
}

// startProcess starts this binary as a store on dir, and gives a client for it and what kills it with SIGKILL.
func startProcess(t *testing.T, dir string) (client *awss3.Client, kill func()) {
	t.Helper()
	process := exec.Command(os.Args[0])
	process.Env = append(os.Environ(), storeVariable+"="+dir)
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = process.Process.Kill()
			_ = process.Wait() // says that it was killed
		}
	}
	t.Cleanup(kill)
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the store did not start: %v", err)
	}
	return clientFor(strings.TrimSpace(url), &http.Client{}), kill
}

func TestObjectsAndUploadsSurviveAKill(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), noise(partSize+77)
	client, kill := startProcess(t, dir)
	put(t, client, "whole", "kept")
	u := startUpload(t, client, "k", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	u.part(1, text[:partSize])
	u.part(9, noise(3))
	kill()

	client, kill = startProcess(t, dir)
	u.client = client
	u.resume(text)
	kill()

	client, _ = startProcess(t, dir)
	for key, want := range map[string]string{"whole": "kept", "k": string(text)} {
		if _, got := get(t, client, &awss3.GetObjectInput{Key: &key}); string(got) != want {
			t.Errorf("%s: other bytes came back", key)
		}
	}
}
