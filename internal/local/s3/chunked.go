package s3

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Limits of the framing that a well-behaved client stays far below: a size line carries at most a 64-digit signature, and the
// trailers are a checksum and a signature.
const (
	maxChunkLine = 4 << 10
	maxTrailers  = 16
	minChunk     = 8 << 10 // bytes of every chunk but the last (Signature Version 4, transferring payload in multiple chunks)
)

// errFraming is bad aws-chunked framing; the body's end in the wrong place is io.ErrUnexpectedEOF.
var errFraming = errors.New("body is not aws-chunked")

// chunkedReader takes aws-chunked framing off a body: "SIZE[;chunk-signature=…]\r\n" BYTES "\r\n" …, a chunk of size 0, then
// trailers up to an empty line. With a chain it holds every chunk to its signature.
type chunkedReader struct {
	in       *bufio.Reader
	body     io.ReadCloser
	chain    *chunkChain // nil when nothing is signed, or by a key that is only believed
	small    bool        // the current chunk is too small to have one behind it
	left     int64       // of the current chunk
	begun    bool
	trailers map[string]string // lower-case names; nil until the end has been read
	err      error             // what every later Read answers
}

func newChunkedReader(body io.ReadCloser, chain *chunkChain) *chunkedReader {
	return &chunkedReader{in: bufio.NewReaderSize(body, 64<<10), body: body, chain: chain}
}

// Close closes the body below.
func (c *chunkedReader) Close() error { return c.body.Close() }

// Read gives the content without its framing and io.EOF once the trailers are in.
func (c *chunkedReader) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		if c.err = c.next(); c.err != nil {
			return 0, c.err
		}
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.chain.add(p[:n])
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return n, err
}

// next reads the size of the next chunk; behind the last one it reads the trailers and answers io.EOF.
func (c *chunkedReader) next() error {
	if c.begun {
		if end, err := c.line(); err != nil {
			return err
		} else if end != "" {
			return errFraming
		}
		if err := c.chain.end(); err != nil {
			return err
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	digits, extension, _ := strings.Cut(line, ";")
	size, err := strconv.ParseUint(digits, 16, 63)
	if err != nil {
		return errFraming
	}
	c.chain.begin(strings.TrimPrefix(extension, "chunk-signature="))
	if size == 0 {
		return c.finish()
	}
	if c.small {
		return errInvalidChunkSize
	}
	c.left, c.small = int64(size), size < minChunk
	return nil
}

// finish reads the trailers up to the empty line, or up to the end where a client leaves that line out.
func (c *chunkedReader) finish() error {
	if err := c.chain.end(); err != nil {
		return err
	}
	trailers := map[string]string{}
	for len(trailers) <= maxTrailers {
		line, err := c.line()
		if err == io.ErrUnexpectedEOF || (err == nil && line == "") {
			c.trailers = trailers
			if err := c.chain.endTrailers(trailers["x-amz-trailer-signature"]); err != nil {
				return err
			}
			return io.EOF
		}
		if err != nil {
			return err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return errFraming
		}
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		trailers[name] = value
		c.chain.addTrailer(name, value)
	}
	return errFraming
}

// line reads up to CR LF, which it drops.
func (c *chunkedReader) line() (string, error) {
	var line []byte
	for {
		piece, err := c.in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > maxChunkLine:
			return "", errFraming
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		}
		text, ok := strings.CutSuffix(string(line), "\r\n")
		if !ok {
			return "", errFraming
		}
		return text, nil
	}
}
