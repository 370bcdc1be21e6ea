// Package people says who is asking and what they may do. On loopback everyone is the system user and may do all; elsewhere
// a person is a line of the token file, logs in once with the token, and carries a signed cookie that never holds it. A
// program sends the token itself with each request.
//
// It knows names, roles and cookies, and neither pages nor routes. A tenant filter is a view, not isolation: everybody with
// a token sees every place.
package people

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/lora"
)

// Role is what a person may do; each role may do what the ones before it may.
type Role string

// The roles, from least to most.
const (
	Watch Role = "watch" // look at everything
	Ship  Role = "ship"  // deploy, remove, compare
	Admin Role = "admin" // everything, also what later pages keep for few
)

var roles = []Role{Watch, Ship, Admin}

// May reports whether a person with role r may do what needs the given role.
func (r Role) May(needed Role) bool {
	return slices.Index(roles, r) >= slices.Index(roles, needed)
}

// Person is who sends a request.
type Person struct {
	Name string
	Role Role
}

// Gate tells people apart.
type Gate struct {
	alone  *Person // on loopback: the only person there is
	people []member
	key    []byte
	now    func() time.Time
}

type member struct {
	Person
	hash [sha256.Size]byte // of the token
}

const (
	cookieName = "loradeck_session"
	lifetime   = 14 * 24 * time.Hour
	shortest   = 20 // characters of a token: what a person makes up is shorter
)

// Alone is the gate of a dashboard on loopback: everyone is the system user of that name.
func Alone(name string) *Gate {
	if name == "" {
		name = "you"
	}
	return &Gate{alone: &Person{Name: name, Role: Admin}}
}

// FromFile is the gate of a dashboard that others can reach. The file at path has one "name role token" line a person; key
// signs the cookies, and changing it or a person's token ends their sessions.
func FromFile(path string, key []byte, now func() time.Time) (*Gate, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The token file %s cannot be read. Make it with one line per person: name role token.", path)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, lora.Errorf(lora.Invalid, "The token file %s can be read by other users of this machine. Run: chmod 600 %s", path, path)
	}
	members, err := parse(file)
	if err != nil {
		return nil, fmt.Errorf("token file %s: %w", path, err)
	}
	return &Gate{people: members, key: key, now: now}, nil
}

func parse(r io.Reader) ([]member, error) {
	var members []member
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, lora.Errorf(lora.Invalid, "Line %d of the token file has %d words; it needs three: name role token.", n, len(fields))
		}
		person := Person{Name: fields[0], Role: Role(fields[1])}
		switch {
		case !slices.Contains(roles, person.Role):
			return nil, lora.Errorf(lora.Invalid, "Line %d of the token file has the role %q; use watch, ship or admin.", n, person.Role)
		case len(fields[2]) < shortest:
			return nil, lora.Errorf(lora.Invalid, "The token on line %d of the token file is shorter than %d characters. Make one with: openssl rand -hex 20", n, shortest)
		case slices.ContainsFunc(members, func(m member) bool { return m.Name == person.Name }):
			return nil, lora.Errorf(lora.Invalid, "The token file names %s twice.", person.Name)
		}
		members = append(members, member{Person: person, hash: sha256.Sum256([]byte(fields[2]))})
	}
	if err := lines.Err(); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The token file cannot be read to its end.")
	}
	if len(members) == 0 {
		return nil, lora.Errorf(lora.Invalid, "The token file names nobody. Add a line: name role token.")
	}
	return members, nil
}

// MakeFile writes a token file with one admin and a fresh token, readable by its owner only, unless there is one already. It
// reports whether it made one; the token is told to nobody.
func MakeFile(path string) (made bool, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make token file: %w", err)
	}
	_, err = fmt.Fprintf(file, "# name role token; roles: watch, ship, admin\nadmin admin %s\n", newSecret())
	if err := errors.Join(err, file.Close()); err != nil {
		return false, fmt.Errorf("make token file %s: %w", path, err)
	}
	return true, nil
}

// Key reads the cookie key at path, and makes one first when there is none.
func Key(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = io.WriteString(file, newSecret())
		err = errors.Join(err, file.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make session key: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read session key: %w", err)
	}
	if len(text) < shortest {
		return nil, fmt.Errorf("session key %s is cut short; remove it to get a new one", path)
	}
	return text, nil
}

func newSecret() string {
	secret := make([]byte, 24)
	rand.Read(secret) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(secret)
}

// Open reports whether everyone is let in without a login.
func (g *Gate) Open() bool { return g.alone != nil }

// Who gives the person who sent the request, by the token in its header "Authorization: Bearer TOKEN" or by its cookie. A
// header that is there and names nobody is nobody, whatever the cookie says. On loopback there is nobody to tell apart, so a
// header is ignored there.
func (g *Gate) Who(r *http.Request) (Person, bool) {
	if g.alone != nil {
		return *g.alone, true
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		m, known := g.holder(token)
		return m.Person, known && strings.EqualFold(scheme, "Bearer")
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return Person{}, false
	}
	return g.read(cookie.Value)
}

// Login gives the cookie of the person whose token this is. Secure says whether browsers reach the dashboard over TLS.
func (g *Gate) Login(token string, secure bool) (*http.Cookie, error) {
	found, known := g.holder(token)
	if !known {
		return nil, lora.Errorf(lora.Unauthorized, "No person has this token. Ask whoever keeps the token file of this deck.")
	}
	expires := g.now().Add(lifetime)
	return &http.Cookie{
		Name: cookieName, Value: g.write(found, expires), Path: "/", Expires: expires,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}, nil
}

// holder gives the person whose token this is.
func (g *Gate) holder(token string) (found member, known bool) {
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	for _, m := range g.people { // all of them, so that the time taken tells nothing
		if subtle.ConstantTimeCompare(hash[:], m.hash[:]) == 1 {
			found, known = m, true
		}
	}
	return found, known
}

// Logout gives the cookie that ends a session.
func (g *Gate) Logout() *http.Cookie {
	return &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func (g *Gate) write(m member, expires time.Time) string {
	claim := m.Name + "|" + strconv.FormatInt(expires.Unix(), 10)
	return base64.RawURLEncoding.EncodeToString([]byte(claim)) + "." + base64.RawURLEncoding.EncodeToString(g.sign(claim, m))
}

func (g *Gate) read(value string) (Person, bool) {
	claimText, signature, ok := strings.Cut(value, ".")
	claim, err := base64.RawURLEncoding.DecodeString(claimText)
	if !ok || err != nil {
		return Person{}, false
	}
	given, err := base64.RawURLEncoding.DecodeString(signature)
	name, until, ok := strings.Cut(string(claim), "|")
	expires, numberErr := strconv.ParseInt(until, 10, 64)
	if !ok || err != nil || numberErr != nil || g.now().Unix() >= expires {
		return Person{}, false
	}
	for _, m := range g.people {
		if m.Name == name && hmac.Equal(given, g.sign(string(claim), m)) {
			return m.Person, true
		}
	}
	return Person{}, false
}

// sign binds the claim to the person's token, so that a changed token ends the sessions it opened.
func (g *Gate) sign(claim string, m member) []byte {
	mac := hmac.New(sha256.New, g.key)
	mac.Write(m.hash[:])
	mac.Write([]byte(claim))
	return mac.Sum(nil)
}
