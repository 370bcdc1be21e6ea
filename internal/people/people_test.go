package people_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"loradeck/internal/lora"
	"loradeck/internal/people"
)

const (
	danasToken = "0123456789abcdef0123"
	evesToken  = "fedcba9876543210fedc"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func gate(t *testing.T, file string, c *clock) *people.Gate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := people.FromFile(path, []byte("a key of some length that signs"), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func with(cookie *http.Cookie) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return r
}

func TestATokenOpensASessionThatNeverHoldsIt(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_800_000_000, 0)}
	g := gate(t, "# ours\ndana ship "+danasToken+"\neve watch "+evesToken+"\n", c)
	cookie, err := g.Login(" "+danasToken+"\n", true)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(cookie.Value, danasToken) || !cookie.HttpOnly || !cookie.Secure {
		t.Errorf("cookie is not safe: %v", cookie)
	}
	if got, ok := g.Who(with(cookie)); !ok || got != (people.Person{Name: "dana", Role: people.Ship}) {
		t.Errorf("who: got %v, %t", got, ok)
	}
	c.at = c.at.Add(15 * 24 * time.Hour)
	if got, ok := g.Who(with(cookie)); ok {
		t.Errorf("an old session still lets in %v", got)
	}
}

func TestWrongOrForgedOrMissingIsNobody(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1_800_000_000, 0)}
	g := gate(t, "dana ship "+danasToken+"\neve watch "+evesToken, c)
	if _, err := g.Login("not a token", false); lora.KindOf(err) != lora.Unauthorized {
		t.Errorf("wrong token: got %v", err)
	}
	mine, _ := g.Login(evesToken, false)
	claim, signature, _ := strings.Cut(mine.Value, ".")
	for _, value := range []string{"", ".", claim + ".", "ZGFuYXwxOTAwMDAwMDAw." + signature, mine.Value + "x", "%%%.%%%"} {
		if got, ok := g.Who(with(&http.Cookie{Name: mine.Name, Value: value})); ok {
			t.Errorf("cookie %q lets in %v", value, got)
		}
	}
	if _, ok := g.Who(with(nil)); ok {
		t.Error("nobody is let in")
	}
	// A new token ends the sessions of the old one.
	changed := gate(t, "eve watch "+danasToken, c)
	if got, ok := changed.Who(with(mine)); ok {
		t.Errorf("session of the old token lets in %v", got)
	}
}

func TestATokenInTheHeaderIsItsPerson(t *testing.T) {
	t.Parallel()
	g := gate(t, "dana ship "+danasToken+"\neve watch "+evesToken, &clock{time.Unix(1_800_000_000, 0)})
	cookie, err := g.Login(danasToken, false)
	if err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"Bearer " + evesToken: "eve", "bearer  " + danasToken: "dana",
		"Bearer": "", "Bearer nonsense": "", "Basic " + evesToken: "", evesToken: "",
	} {
		for _, sent := range []*http.Cookie{nil, cookie} { // a header that is wrong is not saved by a cookie
			r := with(sent)
			r.Header.Set("Authorization", header)
			if got, ok := g.Who(r); ok != (want != "") || ok && got.Name != want {
				t.Errorf("%q: got %v, %t, want %q", header, got, ok, want)
			}
		}
	}
	r := with(nil)
	r.Header.Set("Authorization", "Bearer nonsense")
	if got, ok := people.Alone("dana").Who(r); !ok || got.Name != "dana" {
		t.Errorf("alone: got %v, %t, want dana whatever the header says", got, ok)
	}
}

func TestTokenFilesWithFaultsAreRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"", "# nobody\n", "dana ship\n", "dana boss " + danasToken, "dana ship short",
		"dana ship " + danasToken + "\ndana watch " + evesToken,
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		os.WriteFile(path, []byte(file), 0o600)
		_, err := people.FromFile(path, []byte("key"), time.Now)
		if lora.KindOf(err) != lora.Invalid || strings.Contains(lora.Message(err), danasToken) {
			t.Errorf("file %q: got %v", file, err)
		}
	}
	path := filepath.Join(t.TempDir(), "tokens")
	os.WriteFile(path, []byte("dana ship "+danasToken), 0o644)
	if _, err := people.FromFile(path, nil, time.Now); lora.KindOf(err) != lora.Invalid {
		t.Errorf("a file others can read: got %v", err)
	}
}

func TestMadeFileWorksAndIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens")
	if made, err := people.MakeFile(path); err != nil || !made {
		t.Fatalf("got %t, %v", made, err)
	}
	text, _ := os.ReadFile(path)
	if made, err := people.MakeFile(path); err != nil || made {
		t.Errorf("second time: got %t, %v", made, err)
	}
	g, err := people.FromFile(path, []byte("key"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if _, err := g.Login(fields[len(fields)-1], false); err != nil {
		t.Error(err)
	}
}

func TestRolesContainTheOnesBelow(t *testing.T) {
	t.Parallel()
	if !people.Admin.May(people.Ship) || !people.Ship.May(people.Watch) || people.Watch.May(people.Ship) || people.Role("").May(people.Watch) {
		t.Error("roles are out of order")
	}
}

func TestAloneEveryoneIsTheSystemUser(t *testing.T) {
	t.Parallel()
	if got, ok := people.Alone("dana").Who(with(nil)); !ok || got.Name != "dana" || got.Role != people.Admin {
		t.Errorf("got %v, %t", got, ok)
	}
}
