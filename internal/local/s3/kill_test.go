package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// again is this binary, to be started as a store.
func again() *exec.Cmd { return exec.Command(os.Args[0]) }

// startProcess starts this binary as a store on dir, and gives a client for it and what kills it with SIGKILL.
func startProcess(t *testing.T, process *exec.Cmd, dir string) (client *awss3.Client, kill func()) {
	t.Helper()
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
	client, kill := startProcess(t, again(), dir)
	put(t, client, "whole", "kept")
	u := startUpload(t, client, "k", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	u.part(1, text[:partSize])
	u.part(9, noise(3))
	kill()

	client, kill = startProcess(t, again(), dir)
	u.client = client
	u.resume(text)
	kill()

	client, _ = startProcess(t, again(), dir)
	for key, want := range map[string]string{"whole": "kept", "k": string(text)} {
		if _, got := get(t, client, &awss3.GetObjectInput{Key: &key}); string(got) != want {
			t.Errorf("%s: other bytes came back", key)
		}
	}
}

// partFiles counts the files with bytes of objects and parts.
func partFiles(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "parts"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// halfAPart sends one half of a part and leaves the connection open. More is sent than the sockets hold, so the store is in
// the middle of the part's file when it comes back.
func halfAPart(t *testing.T, u *uploading) {
	t.Helper()
	const half = 32 << 20
	address := fmt.Sprintf("/%s/%s?partNumber=2&uploadId=%s", bucket, u.key, *u.id)
	conn, err := net.Dial("tcp", strings.TrimPrefix(*u.client.Options().BaseEndpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n", address, 2*half); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(noise(half)); err != nil {
		t.Fatal(err)
	}
}

// isListed holds the listings to whether the upload is under way, and to its parts.
func (u *uploading) isListed(underWay bool) {
	u.t.Helper()
	uploads, err := u.client.ListMultipartUploads(u.t.Context(), &awss3.ListMultipartUploadsInput{Bucket: aws.String(bucket)})
	if err != nil || (len(uploads.Uploads) == 1) != underWay {
		u.t.Errorf("got uploads %v, %v, want it there: %v", uploads, err, underWay)
	}
	listed, err := u.client.ListParts(u.t.Context(), &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id})
	if !underWay {
		wantCode(u.t, err, "NoSuchUpload")
		return
	}
	if err != nil || len(listed.Parts) != len(u.parts) {
		u.t.Errorf("got parts %v, %v, want %d", listed, err, len(u.parts))
		return
	}
	for i, p := range listed.Parts {
		if *p.PartNumber != *u.parts[i].PartNumber || *p.ETag != *u.parts[i].ETag {
			u.t.Errorf("part %d is listed as %v", i+1, p)
		}
	}
}

// A store that is killed has what it acknowledged before, nothing of what it did not, and no file too many.
func TestAKillAtAnyStepOfAnUploadLeavesWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	text := noise(partSize + 5)
	pieces := [][]byte{text[:partSize], text[partSize:]}
	send := func(number int32) func(*uploading) {
		return func(u *uploading) { u.part(number, pieces[number-1]) }
	}
	steps := []struct {
		name string
		do   func(u *uploading)
	}{
		{"created", func(*uploading) {}},
		{"first part", send(1)},
		{"half of the second", func(u *uploading) { halfAPart(t, u) }},
		{"second part", send(2)},
		{"second part again", func(u *uploading) { send(2)(u); u.parts = u.parts[:2] }},
		{"completed", func(u *uploading) { u.complete() }},
	}
	for last, killed := range steps {
		for _, abort := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, abort=%v", killed.name, abort), func(t *testing.T) {
				dir := t.TempDir()
				client, kill := startProcess(t, again(), dir)
				u := startUpload(t, client, "k", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
				for _, step := range steps[:last+1] {
					step.do(u)
				}
				kill()
				u.client, _ = startProcess(t, again(), dir)
				if got := partFiles(t, dir); got != len(u.parts) {
					t.Errorf("got %d files for %d parts", got, len(u.parts))
				}
				underWay := killed.name != "completed"
				u.isListed(underWay)
				if !abort {
					for number := len(u.parts) + 1; number <= len(pieces); number++ {
						send(int32(number))(u)
					}
					u.complete() // once more where only its answer may have been lost
					if _, got := get(t, u.client, &awss3.GetObjectInput{Key: &u.key}); !bytes.Equal(got, text) {
						t.Error("other bytes came back")
					}
					return
				}
				_, err := u.client.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id})
				if !underWay {
					wantCode(t, err, "NoSuchUpload")
					return
				}
				if err != nil || partFiles(t, dir) != 0 {
					t.Errorf("after the abort: %v, %d files", err, partFiles(t, dir))
				}
				u.isListed(false)
			})
		}
	}
}
