package vllm

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// passed are the headers of an answer that SageMaker gives back.
var passed = []string{"Content-Type", "X-Amzn-Sagemaker-Custom-Attributes", "X-Amzn-Sagemaker-New-Session-Id", "X-Amzn-Sagemaker-Closed-Session-Id"}

// invoke passes an invocation on and its answer back, piece by piece as it comes. An adapter that vLLM has forgotten is
// registered again first.
func (c *Container) invoke(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // bounded by the runtime
	if err != nil {
		return
	}
	adapter := r.Header.Get(adapterHeader)
	response, err := c.send(r, body, adapter)
	if err == nil && adapter != "" && response.StatusCode == http.StatusNotFound {
		response, err = c.unlessForgotten(r, body, adapter, response)
	}
	if err != nil {
		c.silent(w, r, err)
		return
	}
	defer response.Body.Close()
	for _, header := range passed {
		if value := response.Header.Get(header); value != "" {
			w.Header().Set(header, value)
		}
	}
	w.WriteHeader(response.StatusCode)
	if err := pass(w, response.Body); err != nil && r.Context().Err() == nil {
		c.lost()
		panic(http.ErrAbortHandler) // what was said cannot be taken back: the platform reports a broken stream
	}
}

// unlessForgotten gives a 404 back, unless vLLM does not know the adapter though it should: then it gets it once more, and the
// question too.
func (c *Container) unlessForgotten(r *http.Request, body []byte, adapter string, refused *http.Response) (*http.Response, error) {
	defer refused.Body.Close()
	text, err := io.ReadAll(io.LimitReader(refused.Body, maxAnswer))
	if err != nil {
		return nil, c.server.unreachable(err)
	}
	if strings.Contains(string(text), "does not exist") && c.again(r.Context(), adapter) {
		return c.send(r, body, adapter)
	}
	refused.Body = io.NopCloser(bytes.NewReader(text))
	return refused, nil
}

// pass copies what comes, as it comes.
func pass(w http.ResponseWriter, from io.Reader) error {
	out := http.NewResponseController(w)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			_ = out.Flush() // an answer that is kept in memory cannot be flushed
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// send sends an invocation the way that the server understands.
func (c *Container) send(r *http.Request, body []byte, adapter string) (*http.Response, error) {
	about, err := c.known(r.Context())
	if err != nil {
		return nil, err
	}
	header, path := r.Header.Clone(), "/invocations"
	if !about.Contract {
		header.Del(adapterHeader)
		model := adapter
		if model == "" {
			model = about.Model
		}
		path, body = direct(body, model)
	}
	return c.server.open(r.Context(), http.MethodPost, path, header, body)
}

// direct turns an invocation into a request of vLLM's own routes: chat when it has messages, else a completion. The caller
// has no say in the model. What is no JSON object goes as it is, for vLLM to refuse.
func direct(body []byte, model string) (string, []byte) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return "/v1/completions", body
	}
	name, err := json.Marshal(model)
	if err != nil {
		return "/v1/completions", body
	}
	fields["model"] = name
	changed, err := json.Marshal(fields)
	if err != nil {
		return "/v1/completions", body
	}
	if _, chat := fields["messages"]; chat {
		return "/v1/chat/completions", changed
	}
	return "/v1/completions", changed
}
