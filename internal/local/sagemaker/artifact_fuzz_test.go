package sagemaker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// zipped compresses a tar.
func zipped(tb testing.TB, archive []byte) []byte {
	tb.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(archive); err != nil {
		tb.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// packed is a tar.gz of entries, each filled up to its size.
func packed(tb testing.TB, entries ...tar.Header) []byte {
	tb.Helper()
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for _, header := range entries {
		if err := archive.WriteHeader(&header); err != nil {
			tb.Fatal(err)
		}
		if _, err := archive.Write(bytes.Repeat([]byte("x"), int(header.Size))); err != nil {
			tb.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	return zipped(tb, out.Bytes())
}

// hole is a file that is all hole: PAX can describe a file by what it does not hold (GNU.sparse.*), so that a kilobyte unpacks
// to any size. Go writes no such archives, so its blocks are made here.
func hole(tb testing.TB, size int64) []byte {
	tb.Helper()
	var out bytes.Buffer
	block := func(kind byte, body string) {
		head := make([]byte, 512)
		for at, text := range map[int]string{
			0: "adapter_model.safetensors", 100: "0000644\x00", 108: "0000000\x00", 116: "0000000\x00", 124: fmt.Sprintf("%011o\x00", len(body)),
			136: "00000000000\x00", 148: "        ", 156: string(kind), 257: "ustar\x0000",
		} {
			copy(head[at:], text)
		}
		sum := 0
		for _, b := range head {
			sum += int(b)
		}
		copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
		out.Write(head)
		out.WriteString(body + strings.Repeat("\x00", (512-len(body)%512)%512))
	}
	var records strings.Builder
	for _, pair := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=adapter_model.safetensors", fmt.Sprintf("GNU.sparse.realsize=%d", size)} {
		fmt.Fprintf(&records, "%d %s\n", len(pair)+4, pair) // the length counts itself, of two digits here
	}
	block('x', records.String())
	block('0', fmt.Sprintf("1\n%d\n0\n", size)+strings.Repeat("\x00", 512-len(fmt.Sprintf("1\n%d\n0\n", size))))
	out.Write(make([]byte, 1024))
	return zipped(tb, out.Bytes())
}

func TestAnArchiveMayNotBeMadeOfHoles(t *testing.T) {
	t.Parallel()
	archive := hole(t, 8<<30)
	header, err := tar.NewReader(bytes.NewReader(unzipped(t, archive))).Next()
	if err != nil || header.Size != 8<<30 || header.Typeflag != tar.TypeReg {
		t.Fatalf("the archive holds %+v %v", header, err)
	}
	dir := t.TempDir()
	if err := unpack(t.Context(), bytes.NewReader(archive), dir); err == nil || !strings.Contains(err.Error(), "sparse") {
		t.Errorf("%d bytes were unpacked to 8 GiB: %v", len(archive), err)
	}
	if files, _ := os.ReadDir(dir); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

func unzipped(t *testing.T, archive []byte) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(zip); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzUnpack holds that an archive, whatever it is, leaves nothing but regular files below its directory, and no more bytes
// than gzip can hold in so few.
func FuzzUnpack(f *testing.F) {
	file := func(name string) tar.Header {
		return tar.Header{Name: name, Size: 3, Mode: 0o644, Typeflag: tar.TypeReg}
	}
	f.Add(packed(f, file("adapter_config.json"), file("./sub/adapter_model.safetensors")))
	f.Add(packed(f, file("../escaped")))
	f.Add(packed(f, file("/etc/escaped")))
	f.Add(packed(f, tar.Header{Name: "link", Linkname: "..", Typeflag: tar.TypeSymlink}, file("link/escaped")))
	f.Add(packed(f, tar.Header{Name: "hard", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}))
	f.Add(packed(f, file("a"), file("a/b"), tar.Header{Name: "a", Typeflag: tar.TypeDir}))
	f.Add(packed(f, file(strings.Repeat("n", 300)), file(strings.Repeat("d/", 600)+"x")))
	f.Add(packed(f, tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}))
	f.Add(packed(f, file("same"), file("same"), file("SAME")))
	f.Add(zipped(f, bytes.Repeat([]byte{0}, 1<<20)))
	f.Add(hole(f, 1<<20))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if len(archive) > 64<<10 {
			return
		}
		outer := t.TempDir()
		dir := filepath.Join(outer, "adapter")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = unpack(t.Context(), bytes.NewReader(archive), dir) // it may well be refused
		if beside, err := os.ReadDir(outer); err != nil || len(beside) != 1 {
			t.Fatalf("beside the directory: %v %v", beside, err)
		}
		var whole int64
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err == nil && !info.Mode().IsRegular() {
				t.Errorf("%s is %s", path, info.Mode())
			}
			whole += info.Size()
			return err
		})
		if err != nil || whole > 1032*int64(len(archive)) {
			t.Errorf("%d bytes became %d: %v", len(archive), whole, err)
		}
	})
}
