package tokenizer_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"loradeck/internal/engine/tokenizer"
)

// pipelines are the tokenizer.json files that tools/tokenizers/train.py makes, each with the pipeline of a family.
var pipelines = []string{"llama3", "qwen2", "smollm2", "gpt2", "llama2", "llama2-first"}

// answers are what the official library makes of texts, and of ids, which tools/tokenizers/oracle.mjs asks it for.
type answers struct {
	Texts []struct {
		IDs     []int  `json:"ids"`
		Plain   []int  `json:"plain"` // without what the post-processor adds
		Decoded string `json:"decoded"`
		Skipped string `json:"skipped"` // decoded without special tokens
	} `json:"texts"`
	IDs []struct {
		Decoded string `json:"decoded"`
		Skipped string `json:"skipped"`
	} `json:"ids"`
}

// recorded is what is committed of one pipeline: what was asked, and the answers.
type recorded struct {
	Texts   []string `json:"texts"`
	IDs     [][]int  `json:"ids"`
	Answers answers  `json:"answers"`
}

func pipeline(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Open(filepath.Join("testdata", "official", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestPipelinesAreThoseOfTheOfficialLibrary(t *testing.T) {
	t.Parallel()
	for _, name := range pipelines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := readRecorded(t, name)
			if len(want.Texts) < 2000 || len(want.IDs) < 200 {
				t.Fatalf("got %d texts, %d lists of ids", len(want.Texts), len(want.IDs))
			}
			compare(t, pipeline(t, name), want.Texts, want.IDs, want.Answers)
		})
	}
}

// compare holds a tokenizer against the official library's answers, and its stream against its own decoding.
func compare(t *testing.T, tok *tokenizer.Tokenizer, texts []string, ids [][]int, want answers) {
	t.Helper()
	if len(want.Texts) != len(texts) || len(want.IDs) != len(ids) {
		t.Fatalf("got answers to %d texts and %d lists of ids, want %d and %d", len(want.Texts), len(want.IDs), len(texts), len(ids))
	}
	wrong := 0
	differ := func(format string, args ...any) {
		if wrong++; wrong <= 10 {
			t.Errorf(format, args...)
		}
	}
	decode := func(ids []int, decoded, skipped string) {
		for skip, want := range map[bool]string{false: decoded, true: skipped} {
			if got := tok.Decode(ids, skip); got != want {
				differ("decoded %v, special tokens dropped: %t: got %q, want %q", ids, skip, got, want)
			}
			stream, streamed := tok.Stream(skip), ""
			for _, id := range ids {
				text := stream.Next(id)
				if !utf8.ValidString(text) {
					differ("the stream of %v gave half a character: %q", ids, text)
				}
				if streamed += text; !strings.HasPrefix(want, streamed) {
					differ("the stream of %v gave %q, which is no beginning of %q", ids, streamed, want)
				}
			}
			if streamed += stream.Flush(); streamed != want {
				differ("streamed %v, special tokens dropped: %t: got %q, want %q", ids, skip, streamed, want)
			}
		}
	}
	for i, text := range texts {
		if got := tok.Encode(text, true); !slices.Equal(got, want.Texts[i].IDs) {
			differ("ids of %q: got %v, want %v", text, got, want.Texts[i].IDs)
		}
		if got := tok.Encode(text, false); !slices.Equal(got, want.Texts[i].Plain) {
			differ("plain ids of %q: got %v, want %v", text, got, want.Texts[i].Plain)
		}
		decode(want.Texts[i].IDs, want.Texts[i].Decoded, want.Texts[i].Skipped)
	}
	for i, sequence := range ids {
		decode(sequence, want.IDs[i].Decoded, want.IDs[i].Skipped)
	}
	if wrong > 0 {
		t.Errorf("%d differences", wrong)
	}
}

func readRecorded(t *testing.T, name string) recorded {
	t.Helper()
	file, err := os.Open(recordedFile(name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.NewDecoder(unzipped).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

func recordedFile(name string) string {
	return filepath.Join("testdata", "official", name+".answers.json.gz")
}
