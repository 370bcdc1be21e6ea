package peft_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
	"loradeck/internal/peft"
)

// sink keeps what is written, and fails the test when a path is written twice or leads anywhere.
type sink struct {
	t     testing.TB
	files fstest.MapFS
}

func newSink(t testing.TB) *sink { return &sink{t: t, files: fstest.MapFS{}} }

func (s *sink) Create(name string, size int64) (io.WriteCloser, error) {
	if !fs.ValidPath(name) || s.files[name] != nil || size < 0 {
		s.t.Errorf("the sink was asked for %q of %d bytes", name, size)
	}
	file := &fstest.MapFile{}
	s.files[name] = file
	return &sunk{file: file}, nil
}

type sunk struct{ file *fstest.MapFile }

func (s *sunk) Write(p []byte) (int, error) {
	s.file.Data = append(s.file.Data, p...)
	return len(p), nil
}

func (s *sunk) Close() error { return nil }

// member is one entry of an archive as a test packs it.
type member struct {
	name string
	kind byte // of tar; 0 for a regular file
	data string
	link string
}

func tarGz(t testing.TB, members ...member) []byte {
	t.Helper()
	archive, err := packed(members...)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// packed gives a tar.gz of members, or why there can be none.
func packed(members ...member) ([]byte, error) {
	var out bytes.Buffer
	packer := gzip.NewWriter(&out)
	w := tar.NewWriter(packer)
	for _, m := range members {
		if m.kind == 0 {
			m.kind = tar.TypeReg
		}
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Size: int64(len(m.data)), Mode: 0o644, Linkname: m.link}
		if m.kind == tar.TypeDir || m.kind == tar.TypeSymlink || m.kind == tar.TypeLink || m.kind == tar.TypeFifo {
			h.Size = 0
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, m.data); err != nil {
				return nil, err
			}
		}
	}
	if err := errors.Join(w.Close(), packer.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func zipOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if m.kind == tar.TypeSymlink {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpack reads an archive of either form.
func unpack(t testing.TB, archive []byte, form string, limits peft.ArchiveLimits) (peft.Unpacked, *sink, error) {
	t.Helper()
	s := newSink(t)
	if form == "zip" {
		u, err := peft.UnpackZip(context.Background(), bytes.NewReader(archive), int64(len(archive)), s, limits)
		return u, s, err
	}
	u, err := peft.UnpackTarGz(context.Background(), bytes.NewReader(archive), s, limits, nil)
	return u, s, err
}

func good() []member {
	return []member{{name: "adapter_config.json", data: "{}"}, {name: "adapter_model.safetensors", data: "weights"}}
}

func TestAnAdapterIsFoundWhereverItLiesInAnArchive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		members []member
		root    string
		out     []peft.LeftOut
	}{
		"at the top": {members: good(), root: "."},
		"in a folder, with what a Mac adds": {
			members: []member{
				{name: "./out/", kind: tar.TypeDir}, {name: "./out/adapter_config.json", data: "{}"}, {name: "__MACOSX/._out", data: "x"},
				{name: "out/.DS_Store", data: "x"}, {name: "out/adapter_model.safetensors", data: "weights"},
			},
			root: "out",
			out: []peft.LeftOut{
				{Path: "__MACOSX/._out", Size: 1, Why: "left there by the system that packed it"}, {Path: ".DS_Store", Size: 1, Why: "left there by the system that packed it"},
			},
		},
		"above its checkpoints, which come first": {
			members: append([]member{{name: "checkpoint-5/adapter_config.json", data: "{}"}, {name: "checkpoint-5/optimizer.pt", data: "xx"}}, good()...),
			root:    ".",
			out: []peft.LeftOut{
				{Path: "checkpoint-5/optimizer.pt", Size: 2, Why: "a trainer's state"}, {Path: "checkpoint-5/adapter_config.json", Size: 2, Why: "outside of the adapter's folder"},
			},
		},
		"as a pickle": {
			members: []member{{name: "adapter_config.json", data: "{}"}, {name: "adapter_model.bin", data: "PK"}},
			root:    ".", out: []peft.LeftOut{{Path: "adapter_model.bin", Size: 2, Why: "a pickle, which could run code"}},
		},
	} {
		for _, form := range []string{"tar.gz", "zip"} {
			members := c.members
			archive := tarGz(t, members...)
			if form == "zip" {
				archive = zipOf(t, members...)
			}
			got, s, err := unpack(t, archive, form, peft.ArchiveLimits{})
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if diff := cmp.Diff(peft.Unpacked{Root: c.root, LeftOut: c.out}, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, form, diff)
			}
			if text := s.files[path.Join(c.root, "adapter_config.json")]; text == nil || string(text.Data) != "{}" {
				t.Errorf("%s, %s: the config is %v", name, form, text)
			}
		}
	}
}

func TestHostileAndBrokenArchivesAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	with := func(m ...member) []member { return append(good(), m...) }
	zeros := strings.Repeat("\x00", 70<<20)
	for name, c := range map[string]struct {
		archive []byte
		form    string
		limits  peft.ArchiveLimits
		says    string
	}{
		"a way out":               {archive: tarGz(t, with(member{name: "../x", data: "x"})...), says: "leads out of the archive"},
		"a way out in the middle": {archive: tarGz(t, with(member{name: "a/../../x", data: "x"})...), says: "leads out of the archive"},
		"an absolute name":        {archive: tarGz(t, with(member{name: "/etc/passwd", data: "x"})...), says: "has an absolute name"},
		"a drive":                 {archive: zipOf(t, with(member{name: "C:x", data: "x"})...), form: "zip", says: "has an absolute name"},
		"a backslash":             {archive: zipOf(t, with(member{name: `..\x`, data: "x"})...), form: "zip", says: "has a backslash"},
		"a control character":     {archive: tarGz(t, with(member{name: "a\nb", data: "x"})...), says: "characters that no file should have"},
		"a long name":             {archive: tarGz(t, with(member{name: strings.Repeat("a", 600), data: "x"})...), says: "more than 512 bytes"},
		"a symbolic link":         {archive: tarGz(t, with(member{name: "l", kind: tar.TypeSymlink, link: "/etc/passwd"})...), says: "is a link or a device"},
		"a hard link":             {archive: tarGz(t, with(member{name: "l", kind: tar.TypeLink, link: "adapter_config.json"})...), says: "is a link or a device"},
		"a pipe":                  {archive: tarGz(t, with(member{name: "p", kind: tar.TypeFifo})...), says: "is a link or a device"},
		"a link in a zip":         {archive: zipOf(t, with(member{name: "l", kind: tar.TypeSymlink, data: "/etc/passwd"})...), form: "zip", says: "is a link or a device"},
		"a file twice":            {archive: tarGz(t, with(member{name: "./adapter_config.json", data: "{}"})...), says: "twice"},
		"a file twice by case":    {archive: zipOf(t, with(member{name: "Adapter_Config.json", data: "{}"})...), form: "zip", says: "twice"},
		"too many members":        {archive: tarGz(t, with(member{name: "a", data: "x"})...), limits: peft.ArchiveLimits{Entries: 2}, says: "more than 2 members"},
		"too much":                {archive: tarGz(t, good()...), limits: peft.ArchiveLimits{Unpacked: 5}, says: "unpacks to more than"},
		"a bomb":                  {archive: tarGz(t, with(member{name: "README.md", data: zeros})...), says: "times its size"},
		"a bomb as a zip":         {archive: zipOf(t, with(member{name: "README.md", data: zeros})...), form: "zip", says: "times its size"},
		"a bomb that is left out": {archive: tarGz(t, with(member{name: "big.dat", data: zeros})...), says: "times its size"},
		"two adapters":            {archive: tarGz(t, member{name: "a/adapter_config.json", data: "{}"}, member{name: "b/adapter_config.json", data: "{}"}), says: "2 adapters in it: a, b"},
		"no adapter":              {archive: tarGz(t, member{name: "photo.jpg", data: "x"}), says: "no PEFT adapter"},
		"nothing":                 {archive: nil, says: "ends in the middle"},
		"no archive":              {archive: []byte("hello, I am text"), says: "ends in the middle"},
		"no zip":                  {archive: []byte("hello, I am text"), form: "zip", says: "cannot be read"},
		"half of one":             {archive: tarGz(t, good()...)[:60], says: "ends in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := unpack(t, c.archive, c.form, c.limits)
			if kind := lora.KindOf(err); kind != lora.Invalid && kind != lora.TooLarge || !strings.Contains(lora.Message(err), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestAStreamedMemberIsToldOfWhenItBeginsAndWhenItIsWhole(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	var told []string
	_, err := peft.UnpackTarGz(context.Background(), bytes.NewReader(tarGz(t, good()...)), s, peft.ArchiveLimits{}, func(name string) {
		told = append(told, name+" "+string(s.files[name].Data))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"adapter_config.json ", "adapter_config.json {}", "adapter_model.safetensors ", "adapter_model.safetensors weights"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAFoldersListIsJudged(t *testing.T) {
	t.Parallel()
	root, files, err := peft.Judge([]peft.File{
		{Path: "adapter_config.json", Size: 1}, {Path: "adapter_model.safetensors", Size: 9}, {Path: "optimizer.pt", Size: 5}, {Path: "checkpoint-1/adapter_config.json", Size: 1},
	})
	if err != nil || root != "." {
		t.Fatalf("root %q, %v", root, err)
	}
	var kept []string
	for _, f := range files {
		if f.Keep {
			kept = append(kept, f.Path)
		} else if f.Why == "" {
			t.Errorf("%s is left out without a reason", f.Path)
		}
	}
	if diff := cmp.Diff([]string{"adapter_config.json", "adapter_model.safetensors"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if _, _, err := peft.Judge([]peft.File{{Path: "a.jpg"}}); lora.KindOf(err) != lora.Invalid {
		t.Errorf("a folder of photos: %v", err)
	}
	if _, _, err := peft.Judge([]peft.File{{Path: "a/adapter_config.json"}, {Path: "b/adapter_config.json"}}); lora.KindOf(err) != lora.Invalid {
		t.Errorf("two adapters: %v", err)
	}
}

// holds checks what must be true of any archive: what is written stays within the limits, and it ends in a root or a sentence.
func holds(t *testing.T, s *sink, u peft.Unpacked, err error, limits peft.ArchiveLimits) {
	t.Helper()
	var bytes int64
	for name, file := range s.files {
		bytes += int64(len(file.Data))
		if strings.Contains(name, "..") && !fs.ValidPath(name) {
			t.Errorf("%q was written", name)
		}
	}
	if bytes > limits.Unpacked+1 {
		t.Errorf("%d bytes were written, at most %d", bytes, limits.Unpacked)
	}
	if len(s.files) > limits.Entries {
		t.Errorf("%d files were written, at most %d", len(s.files), limits.Entries)
	}
	if err == nil && !fs.ValidPath(u.Root) {
		t.Errorf("the root is %q", u.Root)
	}
	if kind := lora.KindOf(err); err != nil && kind != lora.Invalid && kind != lora.TooLarge {
		t.Errorf("no sentence for: %v", err)
	}
}

func FuzzTarGz(f *testing.F) {
	f.Add(tarGz(f, good()...))
	f.Add(tarGz(f, member{name: "a/adapter_config.json", data: "{}"}, member{name: "../x", data: "x"}))
	f.Add([]byte{0x1f, 0x8b})
	limits := peft.ArchiveLimits{Entries: 20, Unpacked: 1 << 16}
	f.Fuzz(func(t *testing.T, archive []byte) {
		u, s, err := unpack(t, archive, "tar.gz", limits)
		holds(t, s, u, err, limits)
	})
}

// FuzzTar leaves the compression out, which hides the members from the fuzzer.
func FuzzTar(f *testing.F) {
	plain, err := gzip.NewReader(bytes.NewReader(tarGz(f, good()...)))
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	limits := peft.ArchiveLimits{Entries: 20, Unpacked: 1 << 16}
	f.Fuzz(func(t *testing.T, archive []byte) {
		u, s, err := unpack(t, archive, "tar.gz", limits)
		holds(t, s, u, err, limits)
	})
}

// FuzzTarMembers makes tars of two members of any name, kind, link and content: the fuzzer's own bytes seldom get past the
// checksum of a tar's header, so FuzzTar meets few.
func FuzzTarMembers(f *testing.F) {
	f.Add("a/adapter_config.json", byte(0), "", "{}", "a/adapter_model.safetensors", byte(0), "", "weights")
	f.Add("../adapter_config.json", byte(0), "", "{}", "./adapter_config.json", byte(0), "", "{}")
	f.Add("link", byte(tar.TypeSymlink), "/etc/passwd", "", "link/adapter_config.json", byte(tar.TypeLink), "link", "")
	f.Add("dir", byte(tar.TypeDir), "", "", "dir", byte(tar.TypeChar), "", "x")
	limits := peft.ArchiveLimits{Entries: 20, Unpacked: 1 << 16}
	f.Fuzz(func(t *testing.T, name1 string, kind1 byte, link1, data1, name2 string, kind2 byte, link2, data2 string) {
		archive, err := packed(member{name1, kind1, data1, link1}, member{name2, kind2, data2, link2})
		if err != nil {
			return // no tar can say this
		}
		u, s, err := unpack(t, archive, "tar.gz", limits)
		holds(t, s, u, err, limits)
	})
}

func FuzzZip(f *testing.F) {
	f.Add(zipOf(f, good()...))
	f.Add(zipOf(f, member{name: "../adapter_config.json", data: "{}"}))
	limits := peft.ArchiveLimits{Entries: 20, Unpacked: 1 << 16}
	f.Fuzz(func(t *testing.T, archive []byte) {
		u, s, err := unpack(t, archive, "zip", limits)
		holds(t, s, u, err, limits)
	})
}
