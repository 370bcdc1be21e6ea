package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/lora"
)

const (
	secretPrefix = "whsec_"
	shortest     = 24 // bytes of a key, by the specification
	longestFile  = 4096
)

// Secret is the key that events are signed with. However it, or what holds it, is printed or logged, nothing of the key shows.
type Secret struct {
	key *[]byte // fmt asks no Format of a private field, and follows no pointer in one
}

// ParseSecret reads a secret: "whsec_" and the key in base64, as the specification writes it, or any other text, whose bytes
// are the key. White space around it does not count. Its errors are of kind Invalid and repeat nothing of the text.
func ParseSecret(text string) (Secret, error) {
	text = strings.TrimSpace(text)
	key := []byte(text)
	if encoded, marked := strings.CutPrefix(text, secretPrefix); marked {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return Secret{}, lora.Errorf(lora.Invalid, "The webhook's secret begins with %s, and what follows is not base64. Make one with: echo %s$(openssl rand -base64 32)", secretPrefix, secretPrefix)
		}
	}
	if len(key) < shortest {
		return Secret{}, lora.Errorf(lora.Invalid, "The webhook's secret has %d bytes; it needs at least %d. Make one with: echo %s$(openssl rand -base64 32)", len(key), shortest, secretPrefix)
	}
	return Secret{&key}, nil
}

// ReadSecret reads the secret that is alone in the file at path, which nobody but its owner may read. Its errors are of kind
// Invalid.
func ReadSecret(path string) (Secret, error) {
	file, err := os.Open(path)
	if err != nil {
		return Secret{}, lora.Wrap(err, lora.Invalid, "The webhook's secret file %s cannot be read. Make it with: (umask 077; echo %s$(openssl rand -base64 32) > %s)", path, secretPrefix, path)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return Secret{}, lora.Errorf(lora.Invalid, "The webhook's secret file %s can be read by other users of this machine. Run: chmod 600 %s", path, path)
	}
	text, err := io.ReadAll(io.LimitReader(file, longestFile))
	if err != nil {
		return Secret{}, lora.Wrap(err, lora.Invalid, "The webhook's secret file %s cannot be read to its end.", path)
	}
	return ParseSecret(string(text))
}

// Given reports whether there is a key: the zero Secret has none.
func (s Secret) Given() bool { return s.key != nil }

// Format keeps the key out of whatever it is printed into, with any verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, "(webhook secret)") }

// sign gives the value of the header webhook-signature for one attempt.
func (s Secret) sign(id string, at time.Time, body string) string {
	mac := hmac.New(sha256.New, *s.key)
	io.WriteString(mac, id+"."+strconv.FormatInt(at.Unix(), 10)+"."+body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
