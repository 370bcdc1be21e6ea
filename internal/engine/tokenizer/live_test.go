//go:build oracle

package tokenizer_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/engine/tokenizer"
)

// The seeds of what is committed and of what is asked only live.
const (
	recordedSeed, recordedRandom = 1, 1100
	liveSeed, liveRandom         = 2, 2000
)

var record = flag.Bool("record", false, "write the official library's answers to testdata instead of comparing them")

// ask gives the official library's answers.
func ask(t *testing.T, files map[string]string, texts []string, ids map[string][][]int) map[string]answers {
	t.Helper()
	question, err := json.Marshal(map[string]any{"files": files, "texts": texts, "ids": ids})
	if err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), "node", filepath.Join("..", "..", "..", "tools", "tokenizers", "oracle.mjs"))
	process.Stdin = bytes.NewReader(question)
	var said bytes.Buffer
	process.Stderr = &said
	out, err := process.Output()
	if err != nil {
		t.Fatalf("oracle.mjs: %v, %s", err, said.Bytes())
	}
	var all map[string]answers
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestOracleSaysWhatIsRecorded(t *testing.T) {
	files, ids, texts := map[string]string{}, map[string][][]int{}, texts(recordedSeed, recordedRandom)
	for _, name := range pipelines {
		files[name] = filepath.Join("testdata", "official", name+".json")
		ids[name] = sequences(recordedSeed, pipeline(t, name).Vocab(), 300)
	}
	said := ask(t, files, texts, ids)
	for _, name := range pipelines {
		now := recorded{Texts: texts, IDs: ids[name], Answers: said[name]}
		if *record {
			write(t, name, now)
		} else if diff := cmp.Diff(readRecorded(t, name), now); diff != "" {
			t.Errorf("%s: the official library answers otherwise than is recorded (-recorded +now):\n%.4000s", name, diff)
		}
	}
}

func write(t *testing.T, name string, r recorded) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	writer, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recordedFile(name), zipped.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Texts that are not committed, on all tokenizers of this repository, and on SmolLM2's own when REAL_BASE says where it is.
func TestOracleSaysTheSameOfMore(t *testing.T) {
	files := map[string]string{
		"demo": filepath.Join("..", "..", "local", "demo", "base", "tokenizer.json"),
	}
	for _, name := range pipelines {
		files[name] = filepath.Join("testdata", "official", name+".json")
	}
	for _, family := range families {
		files["golden "+family] = filepath.Join("..", "testdata", family, "tokenizer.json")
	}
	if dir := os.Getenv("REAL_BASE"); dir != "" {
		files["real"] = filepath.Join(dir, "tokenizer.json")
	}
	texts, ids, toks := texts(liveSeed, liveRandom), map[string][][]int{}, map[string]*tokenizer.Tokenizer{}
	for name, path := range files {
		tok, err := tokenizer.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		toks[name], ids[name] = tok, sequences(liveSeed, tok.Vocab(), 1000)
	}
	said := ask(t, files, texts, ids)
	for name, tok := range toks {
		t.Run(name, func(t *testing.T) {
			compare(t, tok, texts, ids[name], said[name])
			t.Logf("%d texts and %d lists of ids compared", len(texts), len(ids[name]))
		})
	}
}
