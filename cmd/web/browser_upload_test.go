//go:build browser

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/playwright-community/playwright-go"

	"loradeck/internal/local/demo"
)

// sampleFiles gives the files of the pirate sample.
func sampleFiles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	source := demo.Samples()[0].Files
	must(t, fs.WalkDir(source, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(source, name)
		return err
	}))
	return files
}

// folderOf writes files into a folder of that name and gives its path.
func folderOf(t *testing.T, name string, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for file, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(file))
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, content, 0o600))
	}
	return dir
}

func zipped(t *testing.T, name string, files map[string][]byte) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for file, content := range files {
		member, err := w.Create(file)
		must(t, err)
		_, err = member.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

func tarred(t *testing.T, name string, files map[string][]byte) string {
	t.Helper()
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	for file, content := range files {
		must(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Size: int64(len(content)), Mode: 0o644}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	must(t, packed.Close())
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

// drop lets go of a file or a folder over the page, as a hand with a mouse does.
func drop(b *tab, path string) {
	b.t.Helper()
	session, err := b.Context().NewCDPSession(b.Page)
	must(b.t, err)
	defer session.Detach()
	for _, kind := range []string{"dragEnter", "dragOver", "drop"} {
		_, err := session.Send("Input.dispatchDragEvent", map[string]any{
			"type": kind, "x": 300, "y": 300, "data": map[string]any{"items": []any{}, "files": []string{path}, "dragOperationsMask": 1},
		})
		must(b.t, err)
	}
}

// slowly limits what the tab may send, in bytes a second.
func slowly(b *tab, rate int) {
	b.t.Helper()
	session, err := b.Context().NewCDPSession(b.Page)
	must(b.t, err)
	_, err = session.Send("Network.enable", nil)
	must(b.t, err)
	_, err = session.Send("Network.emulateNetworkConditions", map[string]any{"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate})
	must(b.t, err)
}

var uploadAddress = regexp.MustCompile(`/uploads/\d+`)

// TestBrowserDroppedAdapterIsProvenAndCompared takes a folder, a zip and a tar.gz from the drop to the playground.
func TestBrowserDroppedAdapterIsProvenAndCompared(t *testing.T) {
	p := startProcess(t)
	inFolder := map[string][]byte{"__MACOSX/._a": []byte("x")}
	for name, content := range sampleFiles(t) {
		inFolder["out/"+name] = content
	}
	withMore := sampleFiles(t)
	withMore["optimizer.pt"] = []byte("not needed")
	withMore["checkpoint-5/adapter_config.json"] = []byte("{}")
	drops := []struct{ name, path string }{
		{"from-folder", folderOf(t, "from-folder", withMore)},
		{"from-zip", zipped(t, "from-zip.zip", inFolder)},
		{"from-tar", tarred(t, "from-tar.tar.gz", sampleFiles(t))},
	}
	for _, d := range drops {
		t.Run(d.name, func(t *testing.T) {
			b := openTab(t)
			b.open(p.url)
			b.shows(b.heading("Base component tiny-llama-base"))
			drop(b, d.path)
			b.shows(b.heading(d.name))
			b.reads(b.Locator("#upload [role=status]"), "All of it is here")
			b.reads(b.GetByRole("region", playwright.PageGetByRoleOptions{Name: "Checks against tiny-llama-base"}), "all shapes fit the base")
			if d.name == "from-folder" {
				b.reads(b.GetByRole("listitem").Filter(playwright.LocatorFilterOptions{HasText: "optimizer.pt"}), "a trainer's state")
				axe(b)
				fits(b)
				b.photograph("upload-ready-1280-light")
			}
			b.click(b.button("Deploy " + d.name + " v1"))
			b.shows(b.heading("Deploy " + d.name + " v1"))
			b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
			b.click(b.link("Compare in playground"))
			must(t, expect().Locator(b.GetByLabel(d.name+" v1")).ToBeChecked())
			must(t, b.GetByLabel("Message or prompt").Fill("Who painted the Mona Lisa?"))
			b.click(b.button("Run"))
			b.reads(b.Locator("#run [role=status]"), "All have answered", toEnd)
		})
	}
}

// large makes a folder whose weights take a while to send: a sound safetensors file of random numbers.
func large(t *testing.T, name string, size int) (dir string, sum [32]byte) {
	t.Helper()
	header, err := json.Marshal(map[string]any{
		"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": map[string]any{"dtype": "U8", "shape": []int{size}, "data_offsets": []int{0, size}},
	})
	must(t, err)
	var weights bytes.Buffer
	must(t, binary.Write(&weights, binary.LittleEndian, uint64(len(header))))
	weights.Write(header)
	_, err = io.CopyN(&weights, rand.Reader, int64(size))
	must(t, err)
	files := map[string][]byte{"adapter_config.json": sampleFiles(t)["adapter_config.json"], "adapter_model.safetensors": weights.Bytes()}
	return folderOf(t, name, files), sha256.Sum256(weights.Bytes())
}

// keptWeights gives the digests of all weights that became versions in the data folder.
func keptWeights(t *testing.T, p *process) [][32]byte {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, "spool", "versions", "*", "adapter_model.safetensors"))
	must(t, err)
	var sums [][32]byte
	for _, name := range found {
		content, err := os.ReadFile(name)
		must(t, err)
		sums = append(sums, sha256.Sum256(content))
	}
	return sums
}

func arrived(b *tab) {
	b.t.Helper()
	b.reads(b.Locator("#upload [role=status]"), "All of it is here, and nothing is deployed yet", toEnd)
}

func TestBrowserUploadSurvivesWhateverHappensOnTheWay(t *testing.T) {
	const size, rate = 12 << 20, 3 << 20
	begun := func(t *testing.T) (*process, *tab, string, [32]byte) {
		p := startProcess(t)
		b := openTab(t)
		b.open(p.url)
		b.shows(b.heading("Base component tiny-llama-base"))
		slowly(b, rate)
		dir, sum := large(t, "large", size)
		drop(b, dir)
		b.shows(b.heading("large"))
		b.reads(b.Locator("#upload [role=status]"), "Arriving")
		return p, b, dir, sum
	}
	whole := func(t *testing.T, p *process, sum [32]byte) {
		t.Helper()
		if kept := keptWeights(t, p); !slices.Contains(kept, sum) || len(kept) != 1 {
			t.Errorf("the data folder has %d versions, and not the one that was sent", len(kept))
		}
	}
	t.Run("moving between pages", func(t *testing.T) {
		p, b, _, sum := begun(t)
		upload := b.URL()
		for _, name := range []string{"Jobs", "Playground", "Deck"} {
			b.click(b.link(name))
			b.shows(b.GetByRole("link", playwright.PageGetByRoleOptions{Name: name}).And(b.Locator("[aria-current=page]")))
		}
		_, err := b.GoBack()
		must(t, err)
		b.shows(b.heading("Playground"))
		b.click(b.Locator(".tray__job").First())
		b.shows(b.heading("large"))
		if b.URL() != upload {
			t.Errorf("the tray led to %s and not to %s", b.URL(), upload)
		}
		b.shows(b.button("Pause"))
		arrived(b)
		whole(t, p, sum)
	})
	t.Run("pause", func(t *testing.T) {
		p, b, _, sum := begun(t)
		b.click(b.button("Pause"))
		b.reads(b.Locator("[data-word]"), "Paused")
		b.photograph("upload-paused-1280-light")
		axe(b)
		b.click(b.button("Go on"))
		arrived(b)
		whole(t, p, sum)
	})
	t.Run("a reload and the same drop", func(t *testing.T) {
		p, b, dir, sum := begun(t)
		b.OnDialog(func(d playwright.Dialog) { d.Accept() })
		upload := b.URL()
		_, err := b.Reload()
		must(t, err)
		b.reads(b.Locator("[data-transfer]"), "Drop the same folder")
		slowly(b, rate)
		drop(b, dir)
		b.shows(b.button("Pause"))
		if b.URL() != upload {
			t.Errorf("the same drop became %s and not %s", b.URL(), upload)
		}
		arrived(b)
		whole(t, p, sum)
	})
	t.Run("a closed tab", func(t *testing.T) {
		p, b, dir, sum := begun(t)
		upload := b.URL()
		must(t, b.Close())
		other := openTab(t)
		other.open(p.url)
		other.reads(other.Locator("[data-connection]"), "Live")
		drop(other, dir)
		other.shows(other.heading("large"))
		if other.URL() != upload {
			t.Errorf("the same drop became %s and not %s", other.URL(), upload)
		}
		arrived(other)
		whole(t, p, sum)
	})
	t.Run("a killed server", func(t *testing.T) {
		p, b, _, sum := begun(t)
		b.expects("WebSocket connection to")
		b.expects("Failed to load resource")
		p.kill()
		b.reads(b.Locator("[data-word]"), "Waiting for the server")
		p.restart()
		arrived(b)
		whole(t, p, sum)
	})
	t.Run("two browsers and a cancel", func(t *testing.T) {
		p, b, _, _ := begun(t)
		other := openTab(t)
		other.open(b.URL())
		other.reads(other.Locator("#upload [role=status]"), "Arriving")
		b.click(b.button("Cancel the upload"))
		for _, seen := range []*tab{b, other} {
			seen.reads(seen.Locator("#upload [role=status]"), "Discarded")
		}
		if left, err := os.ReadDir(filepath.Join(p.dir, "spool", "uploads")); err != nil || len(left) != 0 {
			t.Errorf("the data folder still has %v (%v)", left, err)
		}
	})
}

// TestBrowserBadAdaptersAreRefusedWithTheReason drops adapters that could never work.
func TestBrowserBadAdaptersAreRefusedWithTheReason(t *testing.T) {
	p := startProcess(t)
	bad := func(change func(files map[string][]byte)) map[string][]byte {
		files := sampleFiles(t)
		change(files)
		return files
	}
	config := func(old, replaced string) map[string][]byte {
		return bad(func(files map[string][]byte) {
			text := string(files["adapter_config.json"])
			now := regexp.MustCompile(old).ReplaceAllString(text, replaced)
			if now == text {
				t.Fatalf("nothing in the sample's config matches %s", old)
			}
			files["adapter_config.json"] = []byte(now)
		})
	}
	escapes := map[string][]byte{"../adapter_config.json": []byte("{}")}
	checked := []struct {
		name   string
		files  map[string][]byte
		reason string
	}{
		{"pickle-only", bad(func(f map[string][]byte) {
			delete(f, "adapter_model.safetensors")
			f["adapter_model.bin"] = []byte("PK")
		}), "adapter_model.bin"},
		{"rank-too-high", config(`"r": *\d+`, `"r": 64`), "Rank 64 is too high for this base"},
		{"no-lora", config(`"peft_type": *"LORA"`, `"peft_type": "IA3"`), "not LoRA"},
		{"dora", config(`"use_dora": *false`, `"use_dora": true`), "vLLM refuses this kind of adapter"},
		{"no-json", bad(func(f map[string][]byte) { f["adapter_config.json"] = []byte("{r: 8") }), "adapter_config.json"},
		{"no-config", bad(func(f map[string][]byte) { delete(f, "adapter_config.json") }), "adapter_config.json"},
		{"cut-off", bad(func(f map[string][]byte) { f["adapter_model.safetensors"] = f["adapter_model.safetensors"][:5000] }), "The weights file is damaged"},
		{"alpha-zero", config(`"lora_alpha": *\d+`, `"lora_alpha": 0`), "lora_alpha is 0"},
		{"other-base", bad(func(f map[string][]byte) {
			f["adapter_model.safetensors"] = bytes.ReplaceAll(f["adapter_model.safetensors"], []byte("model.model.layers"), []byte("model.model.legers"))
		}), "not in the base"},
	}
	for _, c := range checked {
		t.Run(c.name, func(t *testing.T) {
			b := openTab(t)
			b.open(p.url)
			b.reads(b.Locator("[data-connection]"), "Live")
			drop(b, folderOf(t, c.name, c.files))
			b.shows(b.heading(c.name))
			blocked := b.Locator("#upload li[data-state=failed]")
			b.reads(blocked.First(), "Blocks deploy")
			b.reads(b.Locator("#upload"), c.reason)
			must(t, expect().Locator(b.button("Deploy "+c.name+" v1")).ToBeDisabled())
			if c.name == "pickle-only" {
				axe(b)
				b.photograph("upload-refused-1280-light")
			}
		})
	}
	t.Run("an archive that leads out of itself", func(t *testing.T) {
		b := openTab(t)
		b.open(p.url)
		b.reads(b.Locator("[data-connection]"), "Live")
		drop(b, tarred(t, "escape.tar.gz", escapes))
		b.reads(b.Locator("#upload"), "leads out of the archive")
		b.shows(b.heading("This cannot become an adapter"))
	})
	t.Run("a folder without an adapter", func(t *testing.T) {
		b := openTab(t)
		b.expects("status of 422")
		b.open(p.url)
		b.reads(b.Locator("[data-connection]"), "Live")
		drop(b, folderOf(t, "photos", map[string][]byte{"a.jpg": []byte("x")}))
		b.reads(b.GetByRole("alert"), "This is no PEFT adapter")
		axe(b)
		b.click(b.button("Dismiss"))
		must(t, expect().Locator(b.GetByRole("alert")).ToBeHidden())
	})
}

// TestBrowserAddsAnAdapterByKeyboardAlone opens the choices in the tray, and deploys, without a mouse.
func TestBrowserAddsAnAdapterByKeyboardAlone(t *testing.T) {
	p := startProcess(t)
	b := openTab(t)
	choosers := make(chan playwright.FileChooser, 1)
	b.OnFileChooser(func(f playwright.FileChooser) { choosers <- f }) // from the start: asked for at the key press, it can come too late
	b.open(p.url)
	b.shows(b.heading("Base component tiny-llama-base"))
	b.reads(b.Locator("[data-connection]"), "Live")
	tabTo := func(what playwright.Locator) {
		t.Helper()
		for range 80 {
			must(t, b.Keyboard().Press("Tab"))
			if focused, err := what.Evaluate("e => e === document.activeElement", nil); err == nil && focused == true {
				return
			}
		}
		t.Fatalf("the keyboard never came to %v", what)
	}
	tabTo(b.Locator("[data-adder] summary"))
	must(t, b.Keyboard().Press("Enter"))
	tabTo(b.button("Choose an archive or files"))
	must(t, b.Keyboard().Press("Enter"))
	select {
	case chooser := <-choosers:
		must(t, chooser.SetFiles(tarred(t, "by-keys.tar.gz", sampleFiles(t))))
	case <-time.After(20 * time.Second):
		t.Fatal("the key opened no file chooser")
	}
	b.shows(b.heading("by-keys"))
	arrived(b)
	tabTo(b.GetByLabel("Adapter"))
	must(t, b.Keyboard().Press("Control+a"))
	must(t, b.Keyboard().Type("renamed"))
	tabTo(b.GetByLabel("Tenant"))
	must(t, expect().Locator(b.GetByLabel("Component name")).ToHaveValue("renamed-v1-tiny-llama-base"))
	tabTo(b.button("Deploy renamed v1"))
	must(t, b.Keyboard().Press("Enter"))
	b.shows(b.heading("Deploy renamed v1"))
	b.reads(b.Locator("#job [role=status]"), "Proven", toEnd)
}
