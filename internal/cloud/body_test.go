package cloud

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// closing is a body that cannot be read once it is closed, as the SDK's cannot.
type closing struct {
	io.Reader
	closed bool
}

// Read fails after Close.
func (c *closing) Read(p []byte) (int, error) {
	if c.closed {
		return 0, errors.New("read after close")
	}
	return c.Reader.Read(p)
}

// Close ends reading.
func (c *closing) Close() error {
	c.closed = true
	return nil
}

// doing is an HTTP client.
type doing func(*http.Request) (*http.Response, error)

// Do calls it.
func (d doing) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestABodyOutlivesItsClosing(t *testing.T) {
	t.Parallel()
	body := &closing{Reader: strings.NewReader("a prompt")}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len("a prompt"))
	var text []byte
	client := inMemory{doing(func(r *http.Request) (*http.Response, error) {
		request.Body.Close() // as the SDK does when the answer begins
		var err error
		text, err = io.ReadAll(r.Body)
		return &http.Response{}, err
	})}
	if _, err := client.Do(request); err != nil || string(text) != "a prompt" {
		t.Errorf("got %q, %v", text, err)
	}
}
