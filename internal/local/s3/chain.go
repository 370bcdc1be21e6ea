package s3

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
)

// chunkChain verifies a body whose chunks are signed: each signature covers the one before, from that of the headers on
// (Signature Version 4, transferring payload in multiple chunks). The methods of a nil chain take everything.
type chunkChain struct {
	key      []byte
	given    signatureV4
	previous string
	trailing bool // the trailers are signed too

	sum      hash.Hash // of the current chunk
	signed   string    // what the current chunk claims
	trailers strings.Builder
}

func newChunkChain(key []byte, given signatureV4, trailing bool) *chunkChain {
	return &chunkChain{key: key, given: given, previous: given.sum, trailing: trailing, sum: sha256.New()}
}

func (c *chunkChain) begin(signature string) {
	if c != nil {
		c.signed = signature
		c.sum.Reset()
	}
}

func (c *chunkChain) add(text []byte) {
	if c != nil {
		c.sum.Write(text)
	}
}

// end holds the chunk that has just ended to its signature.
func (c *chunkChain) end() error {
	if c == nil {
		return nil
	}
	return c.check(signedBody, hexSHA256("")+"\n"+hex.EncodeToString(c.sum.Sum(nil)), c.signed)
}

func (c *chunkChain) addTrailer(name, value string) {
	if c != nil && name != "x-amz-trailer-signature" {
		c.trailers.WriteString(name + ":" + value + "\n")
	}
}

func (c *chunkChain) endTrailers(signature string) error {
	if c == nil || !c.trailing {
		return nil
	}
	return c.check(signedEnd, hexSHA256(c.trailers.String()), signature)
}

func (c *chunkChain) check(kind, sums, signature string) error {
	text := strings.Join([]string{kind, c.given.at.UTC().Format(stampV4), c.given.scope(), c.previous, sums}, "\n")
	want := signV4(c.key, text)
	if !hmac.Equal([]byte(want), []byte(signature)) {
		return errSignature.with("AWSAccessKeyId", c.given.key).with("StringToSign", text).with("SignatureProvided", signature)
	}
	c.previous = want
	return nil
}
