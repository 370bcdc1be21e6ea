package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// call is one request of the dashboard to the platform.
type call struct {
	operation string // CreateInferenceComponent, PutObject, InvokeEndpoint …
	reply     func() // forwards the call and waits for the platform's whole answer, once
}

// proxy stands between the dashboard and the platform. Hook sees every call before it is forwarded and may ask for it to be
// forwarded now; what it leaves is forwarded and answered afterwards.
type proxy struct {
	url    string
	server *http.Server
	target *url.URL

	mu   sync.Mutex // guards hook
	hook func(c call)
}

func startProxy(target string) (*proxy, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{url: "http://" + listener.Addr().String(), target: to}
	p.server = &http.Server{Handler: p}
	go p.server.Serve(listener)
	return p, nil
}

func (p *proxy) close() { p.server.Close() }

// watch sets what sees every call from now on; nil for nothing.
func (p *proxy) watch(hook func(c call)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

// ServeHTTP forwards one call.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the dashboard has gone
	}
	var answer *http.Response
	var content []byte
	forward := sync.OnceFunc(func() {
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", p.target.Scheme, p.target.Host
		if out.Body = http.NoBody; len(body) > 0 { // with any other empty body the length would not be sent
			out.Body = io.NopCloser(bytes.NewReader(body))
		}
		if answer, err = http.DefaultTransport.RoundTrip(out); err == nil {
			defer answer.Body.Close()
			content, err = io.ReadAll(answer.Body)
		}
	})
	p.mu.Lock()
	hook := p.hook
	p.mu.Unlock()
	if hook != nil {
		hook(call{operation: operationOf(r), reply: forward})
	}
	forward()
	if err != nil {
		return // the dashboard sees a broken connection, as it would
	}
	for key, values := range answer.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(content)
}

// operationOf names a call as AWS does.
func operationOf(r *http.Request) string {
	if _, name, found := strings.Cut(r.Header.Get("X-Amz-Target"), "."); found {
		return name
	}
	query := r.URL.Query()
	switch {
	case strings.HasSuffix(r.URL.Path, "/invocations"):
		return "InvokeEndpoint"
	case strings.HasSuffix(r.URL.Path, "/invocations-response-stream"):
		return "InvokeEndpointWithResponseStream"
	case query.Has("partNumber"):
		return "UploadPart"
	case query.Has("uploads") && r.Method == http.MethodPost:
		return "CreateMultipartUpload"
	case query.Has("uploads"):
		return "ListMultipartUploads"
	case query.Has("uploadId") && r.Method == http.MethodPost:
		return "CompleteMultipartUpload"
	case query.Has("uploadId") && r.Method == http.MethodDelete:
		return "AbortMultipartUpload"
	case query.Has("uploadId"):
		return "ListParts"
	case strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0:
		return map[string]string{http.MethodHead: "HeadBucket", http.MethodPut: "CreateBucket", http.MethodGet: "ListObjects", http.MethodPost: "GetCallerIdentity"}[r.Method]
	}
	return map[string]string{http.MethodHead: "HeadObject", http.MethodGet: "GetObject", http.MethodPut: "PutObject", http.MethodDelete: "DeleteObject"}[r.Method]
}
