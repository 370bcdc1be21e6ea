package local

import (
	"bytes"
	"net/http"
	"strconv"
	"testing"
)

func TestAFileOfManyPartsArrivesWhole(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Account: "000000000000", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	const part = 5 << 20 // S3 takes no smaller ones but the last
	content := bytes.Repeat([]byte("weights."), (2*part+1000)/8)
	c := client{s}
	if err := c.makeBucket(t.Context(), s.bucket()); err != nil {
		t.Fatal(err)
	}
	f := file{key: "own/model.safetensors", size: int64(len(content)), mark: "1"}
	if err := c.putParts(t.Context(), s.bucket(), f, bytes.NewReader(content), part); err != nil {
		t.Fatal(err)
	}
	got, err := c.ask(t.Context(), http.MethodGet, objectPath(s.bucket(), f.key), "s3", "", nil)
	if err != nil || !bytes.Equal(got.body.Bytes(), content) {
		t.Errorf("got %d bytes, %v, want the %d sent", got.body.Len(), err, len(content))
	}
	if missing, extra, err := c.stale(t.Context(), s.bucket(), "own/", []file{f}); err != nil || len(missing)+len(extra) > 0 {
		t.Errorf("what has arrived is to be sent again: %v, %v, %v", missing, extra, err)
	}
	f.size++
	if err := c.putParts(t.Context(), s.bucket(), f, bytes.NewReader(content), part); err == nil {
		t.Error("a file that is shorter than it was: got no error")
	}
	uploads, err := c.ask(t.Context(), http.MethodGet, "/"+s.bucket()+"?uploads", "s3", "", nil)
	if err != nil || bytes.Contains(uploads.body.Bytes(), []byte("<UploadId>")) {
		t.Errorf("an upload was left open: %s, %v", uploads.body.Bytes(), err)
	}
	if got, err = c.ask(t.Context(), http.MethodHead, objectPath(s.bucket(), f.key), "s3", "", nil); err != nil || got.header.Get("Content-Length") != strconv.Itoa(len(content)) {
		t.Errorf("the object that was there: got %s bytes, %v", got.header.Get("Content-Length"), err)
	}
}
