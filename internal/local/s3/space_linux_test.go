package s3_test

import (
	"bytes"
	"fmt"
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

// smallDisk starts a store on a disk of 16 MiB.
func smallDisk(t *testing.T) *awss3.Client {
	t.Helper()
	if said, err := mounted(t.TempDir(), "1m", "true").CombinedOutput(); err != nil {
		t.Skipf("this machine lets no process mount a file system of its own, so there is no disk to fill: %v: %s", err, said)
	}
	dir := t.TempDir()
	client, _ := startProcess(t, mounted(dir, "16m", os.Args[0]), dir)
	return client
}

// wantFull wants the refusal of a full disk, which says what to do.
func wantFull(t *testing.T, err error) {
	t.Helper()
	wantCode(t, err, "InternalError")
	if err == nil || !strings.Contains(err.Error(), "Free some space") {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestAFullDiskRefusesAndHarmsNothing(t *testing.T) {
	t.Parallel()
	client := smallDisk(t)
	there := noise(2 << 20)
	put(t, client, "there", string(there))
	u := startUpload(t, client, "parts", types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject)
	u.part(1, noise(partSize))

	big := noise(12 << 20)
	_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("there"), Body: bytes.NewReader(big)})
	wantFull(t, err)
	_, err = client.UploadPart(t.Context(), &awss3.UploadPartInput{Bucket: aws.String(bucket), Key: &u.key, UploadId: u.id, PartNumber: aws.Int32(2), Body: bytes.NewReader(big)})
	wantFull(t, err)

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

// Objects without bytes take room in the index alone, so it is the index that meets the end of this disk.
func TestADiskWithoutRoomForTheIndexRefusesAndHarmsNothing(t *testing.T) {
	t.Parallel()
	client := smallDisk(t)
	put(t, client, "there", string(noise(11<<20)))
	var err error
	made := 0
	for made < 5000 {
		if _, err = client.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String(bucket), Key: aws.String(fmt.Sprintf("empty/%04d", made)), Metadata: map[string]string{"long": strings.Repeat("x", 1900)},
		}); err != nil {
			break
		}
		made++
	}
	wantFull(t, err)
	listed, _ := walk(t, client, awss3.ListObjectsV2Input{Prefix: aws.String("empty/")})
	if len(listed) != made {
		t.Errorf("%d objects are listed, %d were acknowledged", len(listed), made)
	}
	if _, text := get(t, client, &awss3.GetObjectInput{Key: aws.String("there")}); !bytes.Equal(text, noise(11<<20)) {
		t.Error("an object has other bytes than before")
	}
}
