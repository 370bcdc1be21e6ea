package s3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

const (
	maxPut = 5 << 30 // one PutObject or UploadPart (Amazon S3 user guide, multipart upload limits)
	maxXML = 8 << 20 // a thousand keys to delete or ten thousand parts, escaped
)

// promise is what a request's headers say about its body.
type promise struct {
	size      int64
	chunked   bool      // framed as aws-chunked
	sha256    string    // hex; empty when the payload is not signed
	md5       []byte    // nil without Content-MD5
	algorithm algorithm // empty without a checksum
	checksum  string    // base64; empty when it comes in the trailer
}

// received is what a body turned out to be, after it kept every promise.
type received struct {
	size int64
	etag string
	sums map[algorithm]string // base64
}

// promised reads the headers. It reads nothing of the body, so a client that asked may still be told not to send it.
func promised(r *http.Request) (promise, error) {
	p := promise{size: r.ContentLength}
	switch signed := r.Header.Get("x-amz-content-sha256"); {
	case signed == "" || signed == unsigned:
	case signed == "STREAMING-UNSIGNED-PAYLOAD-TRAILER", signed == perChunk, signed == perTrailer:
		p.chunked = true
		size, err := strconv.ParseInt(r.Header.Get("x-amz-decoded-content-length"), 10, 64)
		if err != nil || size < 0 {
			return p, errMissingLength
		}
		p.size = size
	case isSHA256(signed):
		p.sha256 = strings.ToLower(signed)
	default:
		return p, errInvalidArgument.saying("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.")
	}
	if p.size < 0 {
		return p, errMissingLength
	}
	if p.size > maxPut {
		return p, errEntityTooLarge
	}
	if given := r.Header.Get("Content-MD5"); given != "" {
		sum, err := base64.StdEncoding.DecodeString(given)
		if err != nil || len(sum) != md5.Size {
			return p, errInvalidDigest
		}
		p.md5 = sum
	}
	return p, p.promisedChecksum(r.Header)
}

func isSHA256(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size
}

// promisedChecksum finds the one x-amz-checksum-… header or trailer.
func (p *promise) promisedChecksum(h http.Header) error {
	for _, a := range algorithms {
		value := h.Get(a.header())
		trails := strings.EqualFold(strings.TrimSpace(h.Get("x-amz-trailer")), a.header())
		if value == "" && !trails {
			continue
		}
		if p.algorithm != "" {
			return errInvalidRequest.saying("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		if value != "" && !a.valid(value) {
			return errInvalidRequest.saying("Value for %s header is invalid.", a.header())
		}
		p.algorithm, p.checksum = a, value
	}
	trailer := h.Get("x-amz-trailer")
	if trailer != "" && (p.algorithm == "" || !p.chunked) {
		return errInvalidRequest.saying("The value specified in the x-amz-trailer header is not supported")
	}
	if chosen := h.Get("x-amz-sdk-checksum-algorithm"); chosen != "" {
		a, known := parseAlgorithm(chosen)
		switch {
		case !known:
			return errInvalidRequest.saying("Value for x-amz-sdk-checksum-algorithm header is invalid.")
		case p.algorithm != a:
			return errInvalidRequest.saying("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
		}
	}
	return nil
}

// receive copies the body to dst and holds it to the promise. Beside the promised checksum it computes those in also. What
// dst got is worth nothing when an error comes back.
func (p promise) receive(dst io.Writer, body io.Reader, also ...algorithm) (received, error) {
	framed, _ := body.(*chunkedReader)
	etag := md5.New()
	sinks := []io.Writer{dst}
	hashes := map[algorithm]hash.Hash{}
	if p.sha256 != "" {
		also = append(also, sumSHA256)
	}
	for _, a := range append(also, p.algorithm) {
		if a != "" && hashes[a] == nil {
			hashes[a] = a.hash()
			sinks = append(sinks, hashes[a])
		}
	}
	// One byte over the promise is enough to know that it is broken.
	size, err := copySumming(io.MultiWriter(sinks...), etag, io.LimitReader(body, p.size+1), p.size)
	switch {
	case errors.Is(err, errFraming), errors.Is(err, io.ErrUnexpectedEOF):
		return received{}, errIncompleteBody
	case err != nil: // a fault of the framing among others
		return received{}, err
	case size != p.size:
		return received{}, errIncompleteBody
	}
	got := received{size: size, etag: hex.EncodeToString(etag.Sum(nil)), sums: map[algorithm]string{}}
	for a, h := range hashes {
		got.sums[a] = base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return got, p.kept(etag.Sum(nil), got.sums, framed)
}

const (
	pieceSize   = 256 << 10 // bytes that are written and summed at once
	piecesAhead = 4         // of one body, that are written and not yet summed
)

// copySumming copies src, which has about that size, to dst and to sum. MD5 is the slowest of the sums and takes about as long
// as all else that is done with a byte, so a long body's is taken of a piece while the next one comes and is written.
func copySumming(dst io.Writer, sum hash.Hash, src io.Reader, size int64) (copied int64, err error) {
	if size < pieceSize {
		return io.CopyBuffer(io.MultiWriter(sum, dst), src, make([]byte, size+1))
	}
	written, free := make(chan []byte, piecesAhead), make(chan []byte, piecesAhead)
	for range piecesAhead {
		free <- make([]byte, pieceSize)
	}
	var summing sync.WaitGroup
	summing.Go(func() {
		for piece := range written {
			_, _ = sum.Write(piece) // a hash never fails
			free <- piece[:pieceSize]
		}
	})
	for err == nil {
		piece := <-free
		var n int
		n, err = readPiece(src, piece)
		if _, failed := dst.Write(piece[:n]); failed != nil {
			err = failed
		}
		copied += int64(n)
		written <- piece[:n]
	}
	close(written)
	summing.Wait()
	if err == io.EOF {
		err = nil
	}
	return copied, err
}

// readPiece reads until the piece is full or src ends or fails. Unlike io.ReadFull it leaves src's error as it is.
func readPiece(src io.Reader, piece []byte) (n int, err error) {
	for n < len(piece) && err == nil {
		var more int
		more, err = src.Read(piece[n:])
		n += more
	}
	return n, err
}

// kept compares what came with what was promised.
func (p promise) kept(sum []byte, sums map[algorithm]string, framed *chunkedReader) error {
	if p.md5 != nil && !bytes.Equal(p.md5, sum) {
		return errBadDigest
	}
	if p.sha256 != "" {
		raw, _ := hex.DecodeString(p.sha256)
		if base64.StdEncoding.EncodeToString(raw) != sums[sumSHA256] {
			return errSHA256Mismatch
		}
	}
	if p.algorithm == "" {
		return nil
	}
	want := p.checksum
	if want == "" {
		want = framed.trailers[p.algorithm.header()]
		if !p.algorithm.valid(want) {
			return errMalformedTrailer
		}
	}
	if want != sums[p.algorithm] {
		return errBadDigest.saying("The %s you specified did not match the calculated checksum.", p.algorithm)
	}
	return nil
}

// readXML reads a small XML body into v after holding it to its promise. An empty body is left alone.
func readXML(r *http.Request, v any) error {
	p, err := promised(r)
	if err != nil {
		return err
	}
	if p.size > maxXML {
		return errMalformedXML
	}
	var text bytes.Buffer
	if _, err := p.receive(&text, r.Body); err != nil {
		return err
	}
	if text.Len() == 0 {
		return nil
	}
	if err := xml.Unmarshal(text.Bytes(), v); err != nil {
		return errMalformedXML
	}
	return nil
}
