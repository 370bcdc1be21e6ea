package s3_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// mounted gives what runs command with an empty tmpfs on dir, of its own: only the command sees it, and it goes with it.
func mounted(dir, size string, command ...string) *exec.Cmd {
	process := exec.Command("sh", append([]string{"-c", `mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"`, size, dir}, command...)...)
	process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return process
}

func TestAFullDiskRefusesAndHarmsNothing(t *testing.T) {
	t.Parallel()
	if said, err := mounted(t.TempDir(), "1m", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine lets no process mount a file system of its own, so there is no disk to fill: %v: %s", err, said)
	}
	dir := t.TempDir()
	client, _ := startProcess(t, mounted(dir, "16m", os.Args[0]), dir)
	there := noise(2 << 20)
	put(t, client, "there", string(there))
	u := startUpload(t, client, "parts", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	u.part(1, noise(partSize))

	full := func(err error) {
		t.Helper()
		wantCode(t, err, "InternalError")
		if err == nil || !strings.Contains(err.Error(), "Free some space") {
			t.Errorf("got %v, want what to do", err)
		}
	}
	big := noise(12 << 20)
	_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("there"), Body: bytes.NewReader(big)})
	full(err)
	_, err = client.UploadPart(t.Context(), &awss3.UploadPartInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id, PartNumber: aws.Int32(2), Body: bytes.NewReader(big)})
	full(err)

	if _, text := get(t, client, &awss3.GetObjectInput{Key: aws.String("there")}); !bytes.Equal(text, there) {
		t.Error("an object that was to be replaced is not what it was")
	}
	listed, err := client.ListParts(t.Context(), &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id})
	if err != nil || len(listed.Parts) != 1 {
		t.Fatalf("got %v, %v, want the part that fitted", listed, err)
	}
	// What did not fit has left no file behind: there is room for a smaller one, and the upload goes on.
	u.part(2, noise(3<<20))
	u.complete()
	if _, err := client.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &u.key}); err != nil {
		t.Errorf("delete: %v", err)
	}
	put(t, client, "there", string(big[:10<<20]))
}
