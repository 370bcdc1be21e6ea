package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestChunkedReaderGivesContentAndTrailers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("hello ", minChunk/6+1)
	framed := fmt.Sprintf("%x;chunk-signature=0f\r\n%s\r\n1\r\n!\r\n", len(long), long) + "0\r\nX-Amz-Checksum-Crc32: AAAAAA==\r\nx-amz-trailer-signature:0f\r\n\r\n"
	for _, in := range []io.Reader{strings.NewReader(framed), iotest.OneByteReader(strings.NewReader(framed)), strings.NewReader(strings.TrimSuffix(framed, "\r\n"))} {
		c := unframe(in)
		text, err := io.ReadAll(c)
		if err != nil || string(text) != long+"!" || c.trailers["x-amz-checksum-crc32"] != "AAAAAA==" {
			t.Errorf("got %.20q, %v, %v", text, err, c.trailers)
		}
	}
}

func TestChunkedReaderRefusesBadFraming(t *testing.T) {
	t.Parallel()
	for _, framed := range []string{
		"", "5", "5\nhello\r\n0\r\n\r\n", "5\r\nhello", "5\r\nhelloo\r\n0\r\n\r\n", "-1\r\n\r\n", "x\r\n", "5\r\nhello\r\n", "8000000000000000\r\n",
		"0\r\nno colon\r\n\r\n", strings.Repeat("0", maxChunkLine+1) + "\r\n\r\n", "0\r\n" + many(maxTrailers+1) + "\r\n",
	} {
		if text, err := io.ReadAll(unframe(strings.NewReader(framed))); err == nil {
			t.Errorf("%.60q was read as %q", framed, text)
		}
	}
}

func unframe(body io.Reader) *chunkedReader { return newChunkedReader(io.NopCloser(body), nil) }

func TestOnlyTheLastChunkMayBeSmall(t *testing.T) {
	t.Parallel()
	_, err := io.ReadAll(unframe(strings.NewReader("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")))
	if !errors.Is(err, errInvalidChunkSize) {
		t.Errorf("got %v, want %v", err, errInvalidChunkSize)
	}
}

func many(n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "t%d:x\r\n", i)
	}
	return lines.String()
}

// FuzzChunkedReader holds the reader to three rules for any input: it ends, it never gives more than went in, and what it
// accepts it gives again when framed anew.
func FuzzChunkedReader(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"))
	f.Add([]byte("5;chunk-signature=0f\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"))
	f.Add([]byte("0\r\n"))
	f.Add([]byte("ffffffffffffffff\r\n"))
	f.Fuzz(func(t *testing.T, framed []byte) {
		text, err := io.ReadAll(unframe(bytes.NewReader(framed)))
		if len(text) > len(framed) {
			t.Fatalf("%d bytes came out of %d", len(text), len(framed))
		}
		if err != nil {
			return
		}
		again := "0\r\n\r\n"
		if len(text) > 0 {
			again = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text)
		}
		got, err := io.ReadAll(unframe(strings.NewReader(again)))
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("got %q, %v, want %q", got, err, text)
		}
	})
}
