package s3

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"
)

// algorithm is the name of a checksum as x-amz-checksum-algorithm spells it.
type algorithm string

const (
	crc32IEEE       algorithm = "CRC32"
	crc32Castagnoli algorithm = "CRC32C"
	crc64NVME       algorithm = "CRC64NVME"
	sumSHA1         algorithm = "SHA1"
	sumSHA256       algorithm = "SHA256"
)

var algorithms = []algorithm{crc32IEEE, crc32Castagnoli, crc64NVME, sumSHA1, sumSHA256}

// The two ways in which an upload of several parts is summed: over all bytes, or over the parts' sums.
const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// polyNVME is the generator polynomial of CRC64NVME, bit-reversed (NVM Express command set specification); hash/crc64 has no
// name for it.
const polyNVME = 0x9a6c9329ac4bc9b5

func parseAlgorithm(name string) (algorithm, bool) {
	for _, a := range algorithms {
		if strings.EqualFold(name, string(a)) {
			return a, true
		}
	}
	return "", false
}

// header is where a checksum of this kind travels.
func (a algorithm) header() string { return "x-amz-checksum-" + strings.ToLower(string(a)) }

// linear reports whether the sum of a whole follows from the sums of its parts, which makes FULL_OBJECT possible.
func (a algorithm) linear() bool { return strings.HasPrefix(string(a), "CRC") }

func (a algorithm) hash() hash.Hash {
	switch a {
	case crc32IEEE:
		return crc32.NewIEEE()
	case crc32Castagnoli:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case crc64NVME:
		return crc64.New(crc64.MakeTable(polyNVME))
	case sumSHA1:
		return sha1.New()
	case sumSHA256:
		return sha256.New()
	}
	panic("s3: no such algorithm: " + string(a))
}

// valid reports whether text is the base64 of a sum of this kind.
func (a algorithm) valid(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(raw) == a.hash().Size()
}

// ofParts gives the checksum of an object made of parts. Every part's own checksum must be valid for a.
func (a algorithm) ofParts(kind string, parts []part) string {
	if kind == composite {
		h := a.hash()
		for _, p := range parts {
			raw, _ := base64.StdEncoding.DecodeString(p.checksum)
			h.Write(raw)
		}
		return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(parts))
	}
	size := a.hash().Size()
	var whole uint64
	for _, p := range parts {
		raw, _ := base64.StdEncoding.DecodeString(p.checksum)
		var wide [8]byte
		copy(wide[8-size:], raw)
		whole = a.shift(whole, p.size) ^ binary.BigEndian.Uint64(wide[:])
	}
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], whole)
	return base64.StdEncoding.EncodeToString(wide[8-size:])
}

// shift gives what the CRC sum contributes when size more bytes follow: sum · x^(8·size) modulo the polynomial. The CRC of A
// followed by B is shift(CRC(A), len(B)) xor CRC(B), so completing an upload reads none of its bytes again.
func (a algorithm) shift(sum uint64, size int64) uint64 {
	poly, top := uint64(polyNVME), uint64(1)<<63
	switch a {
	case crc32IEEE:
		poly, top = crc32.IEEE, 1<<31
	case crc32Castagnoli:
		poly, top = crc32.Castagnoli, 1<<31
	}
	// Polynomials are bit-reversed: top is 1, top>>8 is x^8.
	for square := top >> 8; size > 0; size >>= 1 {
		if size&1 == 1 {
			sum = multiply(sum, square, poly, top)
		}
		square = multiply(square, square, poly, top)
	}
	return sum
}

// multiply gives a·b modulo poly, all of them bit-reversed.
func multiply(a, b, poly, top uint64) uint64 {
	var product uint64
	for bit := top; bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry == 1 {
			b ^= poly
		}
	}
	return product
}
