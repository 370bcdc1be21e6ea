package intake_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"loradeck/internal/db"
	"loradeck/internal/intake"
	"loradeck/internal/live"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
	"loradeck/internal/spool"
)

// house is a desk on a data folder that can be closed and opened again.
type house struct {
	t      *testing.T
	dir    string
	budget int64
	now    time.Time
	db     *db.DB
	spool  *spool.Spool
	desk   *intake.Desk
}

func newHouse(t *testing.T, budget int64) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), budget: budget, now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	h.open()
	t.Cleanup(h.close)
	return h
}

func (h *house) open() {
	h.t.Helper()
	var err error
	if h.db, err = db.Open(context.Background(), filepath.Join(h.dir, "loradeck.db")); err != nil {
		h.t.Fatal(err)
	}
	if h.spool, err = spool.Open(filepath.Join(h.dir, "spool")); err != nil {
		h.t.Fatal(err)
	}
	h.desk = intake.New(intake.Config{
		DB: h.db, Spool: h.spool, Hub: live.New(), Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Budget: h.budget, Now: func() time.Time { return h.now },
	})
}

func (h *house) close() {
	h.desk.Close()
	if err := errors.Join(h.spool.Close(), h.db.Close()); err != nil {
		h.t.Error(err)
	}
}

func (h *house) begin(o intake.Offer) intake.Upload {
	h.t.Helper()
	u, err := h.desk.Begin(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// send appends data to a file of an upload at an offset.
func (h *house) send(u intake.Upload, name string, offset int64, data string) int64 {
	h.t.Helper()
	for _, f := range u.Files {
		if f.Path == name {
			end, err := h.desk.Append(h.t.Context(), u.ID, f.N, offset, strings.NewReader(data), nil)
			if err != nil {
				h.t.Fatalf("send %s at %d: %v", name, offset, err)
			}
			return end
		}
	}
	h.t.Fatalf("the upload has no %s", name)
	return 0
}

// becomes waits until an upload is in a state. The limit is for a test that hangs.
func (h *house) becomes(u intake.Upload, state string) intake.Upload {
	h.t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		now, err := h.desk.Find(h.t.Context(), u.ID)
		if err != nil {
			h.t.Fatal(err)
		}
		if now.State == state {
			return now
		}
		if time.Now().After(limit) {
			h.t.Fatalf("the upload is %s (%s), not %s", now.State, now.Reason, state)
		}
	}
}

const (
	config  = `{"peft_type":"LORA","r":8,"lora_alpha":16,"target_modules":["q_proj"]}`
	weights = "\x02\x00\x00\x00\x00\x00\x00\x00{}" // the smallest safetensors file there is
)

func folder(person, name string) intake.Offer {
	return intake.Offer{Person: person, Kind: "folder", Name: name, Files: []intake.OfferedFile{
		{Path: "adapter_config.json", Size: int64(len(config))}, {Path: "adapter_model.safetensors", Size: int64(len(weights))}, {Path: "optimizer.pt", Size: 1 << 30},
	}}
}

func TestAFolderArrivesInPiecesAndBecomesAVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	u := h.begin(folder("dana", "runs/my adapter"))
	if u.Name != "my-adapter" || u.ToSend != int64(len(config)+len(weights)) {
		t.Errorf("the upload is called %q and sends %d bytes", u.Name, u.ToSend)
	}
	h.send(u, "adapter_config.json", 0, config[:10])
	if a, err := h.desk.Adapter(t.Context(), u.ID); err != nil || !errors.Is(a.ConfigTrouble, peft.ErrNotYet) || !errors.Is(a.WeightsTrouble, peft.ErrNotYet) {
		t.Errorf("of half a config is known: %v, %v, %v", a.ConfigTrouble, a.WeightsTrouble, err)
	}
	h.send(u, "adapter_config.json", 10, config[10:])
	if a, err := h.desk.Adapter(t.Context(), u.ID); err != nil || a.Rank != 8 || a.ConfigTrouble != nil {
		t.Errorf("of a whole config is known: rank %d, %v, %v", a.Rank, a.ConfigTrouble, err)
	}
	h.send(u, "adapter_model.safetensors", 0, weights)
	ready := h.becomes(u, intake.Ready)
	files, err := h.spool.Version(ready.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := fs.ReadFile(files, "adapter_config.json"); err != nil || string(text) != config {
		t.Errorf("the version's config is %q, %v", text, err)
	}
	h.desk.Close() // its parts go after its state is told
	if left, err := h.spool.Uploads(); err != nil || len(left) != 0 {
		t.Errorf("still on disk: %v, %v", left, err)
	}
}

func TestTheSameOfferGoesOnWhereItStoppedAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	u := h.begin(folder("dana", "mine"))
	h.send(u, "adapter_config.json", 0, config)
	h.send(u, "adapter_model.safetensors", 0, weights[:4])
	h.close()
	h.open()
	h.run()
	again := h.begin(folder("dana", "mine"))
	if again.ID != u.ID || again.Received != int64(len(config)+4) {
		t.Errorf("the same offer is upload %d with %d bytes", again.ID, again.Received)
	}
	if other := h.begin(folder("erik", "mine")); other.ID == u.ID {
		t.Error("another person got the same upload")
	}
	h.send(again, "adapter_model.safetensors", 4, weights[4:])
	h.becomes(again, intake.Ready)
}

// run does what the desk does by itself, until the test ends.
func (h *house) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	desk := h.desk
	go func() {
		defer close(ended)
		desk.Run(ctx)
	}()
	h.t.Cleanup(func() { cancel(); <-ended })
}

func TestPiecesMustFitWhatIsHere(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	u := h.begin(folder("dana", "mine"))
	ctx := t.Context()
	if _, err := h.desk.Append(ctx, u.ID, 0, 5, strings.NewReader("x"), nil); !errors.Is(err, intake.ErrOffset) {
		t.Errorf("a gap: %v", err)
	}
	end, err := h.desk.Append(ctx, u.ID, 0, 0, strings.NewReader(config+"more"), nil)
	if lora.KindOf(err) != lora.TooLarge || end != int64(len(config)) {
		t.Errorf("more than was offered: %d, %v", end, err)
	}
	if _, err := h.desk.Append(ctx, u.ID, 2, 0, strings.NewReader("x"), nil); lora.KindOf(err) != lora.Invalid {
		t.Errorf("a file that is left out: %v", err)
	}
	if _, _, err := h.desk.Offset(ctx, u.ID, 9); lora.KindOf(err) != lora.NotFound {
		t.Errorf("no such file: %v", err)
	}
}

func TestWhoComesLaterTakesTheFileOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	u := h.begin(folder("dana", "mine"))
	hanging, write := io.Pipe()
	first := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		_, err := h.desk.Append(context.Background(), u.ID, 1, 0, io.MultiReader(signal{began}, hanging), func() { hanging.CloseWithError(errors.New("asked to leave")) })
		first <- err
	}()
	<-began
	if _, err := io.WriteString(write, weights[:3]); err != nil {
		t.Fatal(err)
	}
	if offset, _, err := h.desk.Offset(t.Context(), u.ID, 1); err != nil || offset != 3 {
		t.Errorf("after taking over the file ends at %d, %v", offset, err)
	}
	if err := <-first; err == nil {
		t.Error("the first writer did not notice")
	}
}

// signal tells that reading has begun.
type signal struct{ began chan struct{} }

func (s signal) Read([]byte) (int, error) {
	close(s.began)
	return 0, io.EOF
}

func TestAnUploadThatEndsWhileItsOffsetIsAskedSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	u := h.begin(folder("dana", "mine"))
	hanging, write := io.Pipe()
	began, asked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var writing sync.WaitGroup
	writing.Go(func() { // holds the file until the upload has been ended
		h.desk.Append(context.Background(), u.ID, 1, 0, io.MultiReader(signal{began}, hanging), func() { once.Do(func() { close(asked) }) })
	})
	<-began
	if _, err := io.WriteString(write, weights[:3]); err != nil {
		t.Fatal(err)
	}
	writing.Go(func() {
		if offset, _, err := h.desk.Offset(context.Background(), u.ID, 1); lora.KindOf(err) != lora.NotFound {
			t.Errorf("the file of an upload that is gone ends at %d, %v", offset, err)
		}
	})
	<-asked
	if err := h.desk.Discard(t.Context(), u.ID); err != nil {
		t.Error(err)
	}
	write.Close()
	writing.Wait()
}

func TestThereIsABudgetAndAbandonedUploadsLeave(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 200)
	u := h.begin(folder("dana", "mine"))
	h.send(u, "adapter_config.json", 0, config)
	large := intake.Offer{Person: "dana", Kind: "archive", Name: "a.zip", Files: []intake.OfferedFile{{Path: "a.zip", Size: 150}}}
	if _, err := h.desk.Begin(t.Context(), large); lora.KindOf(err) != lora.Limit {
		t.Errorf("beyond the budget: %v", err)
	}
	h.now = h.now.Add(49 * time.Hour)
	h.run()
	h.becomes(u, intake.Discarded)
	for used := int64(1); used != 0; time.Sleep(time.Millisecond) { // the files go after the row
		var err error
		if used, err = h.spool.Used(); err != nil || t.Context().Err() != nil {
			t.Fatalf("%d bytes are left, %v", used, err)
		}
	}
	if _, err := h.desk.Append(t.Context(), u.ID, 1, 0, strings.NewReader("x"), nil); lora.KindOf(err) != lora.NotFound {
		t.Errorf("sending to what was given up: %v", err)
	}
}

func packed(t *testing.T, members map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for name, text := range members {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func archive(data string) intake.Offer {
	return intake.Offer{Person: "dana", Kind: "archive", Name: "mine.tar.gz", Files: []intake.OfferedFile{{Path: "mine.tar.gz", Size: int64(len(data))}}}
}

func TestAnArchiveIsReadWhileItArrives(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	data := packed(t, map[string]string{"out/adapter_config.json": config, "out/adapter_model.safetensors": weights})
	u := h.begin(archive(data))
	for at := 0; at < len(data); at += 16 {
		h.send(u, "mine.tar.gz", int64(at), data[at:min(at+16, len(data))])
	}
	ready := h.becomes(u, intake.Ready)
	if a, err := h.desk.Adapter(t.Context(), u.ID); err != nil || a.Rank != 8 || ready.Name != "mine" {
		t.Errorf("rank %d, called %q, %v", a.Rank, ready.Name, err)
	}
}

func TestAHostileArchiveIsRefusedBeforeItEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	data := packed(t, map[string]string{"../adapter_config.json": config})
	offer := archive(data)
	offer.Files[0].Size += 1 << 20 // the rest never comes
	u := h.begin(offer)
	h.send(u, "mine.tar.gz", 0, data)
	refused := h.becomes(u, intake.Refused)
	if !strings.Contains(refused.Reason, "leads out of the archive") {
		t.Errorf("the reason is %q", refused.Reason)
	}
	if _, err := h.desk.Append(t.Context(), u.ID, 0, int64(len(data)), strings.NewReader("x"), nil); lora.KindOf(err) != lora.Invalid {
		t.Errorf("sending more of it: %v", err)
	}
}

func TestOffersThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	good := folder("dana", "x").Files
	for name, o := range map[string]intake.Offer{
		"no files":        {Kind: "folder"},
		"no adapter":      {Kind: "folder", Files: []intake.OfferedFile{{Path: "a.jpg", Size: 1}}},
		"a way out":       {Kind: "folder", Files: append([]intake.OfferedFile{{Path: "../x", Size: 1}}, good...)},
		"a file twice":    {Kind: "folder", Files: append([]intake.OfferedFile{good[0]}, good...)},
		"a negative size": {Kind: "folder", Files: []intake.OfferedFile{{Path: "adapter_config.json", Size: -1}}},
		"another archive": {Kind: "archive", Files: []intake.OfferedFile{{Path: "a.rar", Size: 1}}},
		"two archives":    {Kind: "archive", Files: []intake.OfferedFile{{Path: "a.zip", Size: 1}, {Path: "b.zip", Size: 1}}},
		"an unknown kind": {Kind: "parcel", Files: good},
		"too many files":  {Kind: "folder", Files: many(10_001)},
	} {
		if _, err := h.desk.Begin(t.Context(), o); lora.KindOf(err) != lora.Invalid && lora.KindOf(err) != lora.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func many(n int) []intake.OfferedFile {
	files := make([]intake.OfferedFile, n)
	for i := range files {
		files[i] = intake.OfferedFile{Path: fmt.Sprintf("f%d", i), Size: 1}
	}
	return files
}
