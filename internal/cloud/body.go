package cloud

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// inMemory sends the bodies of requests from memory. The SDK closes a body as soon as its answer begins (smithy-go 1.28.9,
// transport/http, ClientHandler.Handle). net/http may not have looked for the body's end by then: it fails to, and closes the
// connection in the middle of the answer. A near platform answers that fast, and a stream cannot be asked for again.
type inMemory struct{ next aws.HTTPClient }

// Do sends a request.
func (c inMemory) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 {
		return c.next.Do(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read request body: %w", err)
	}
	sent := *r
	sent.Body = io.NopCloser(bytes.NewReader(body))
	return c.next.Do(&sent)
}
