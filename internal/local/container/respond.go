package container

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// maxBody is what a request may weigh; SageMaker's own limit is 25 MB.
const maxBody = 32 << 20

// readBody reads a whole request; ok is false when the answer has been given.
func (c *Container) readBody(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		c.refuse(w, &refusal{status: http.StatusRequestEntityTooLarge, kind: "Request Entity Too Large", message: "the request body is larger than 32 MiB or was cut off"})
		return nil, false
	}
	return body, true
}

// errorBody is vLLM's error answer.
type errorBody struct {
	Error errorDetail `json:"error"`
}

type errorDetail struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   any    `json:"param"`
	Code    int    `json:"code"`
}

func (r *refusal) body() errorBody {
	return errorBody{errorDetail{Message: r.message, Type: r.kind, Code: r.status}}
}

// invalid is the 400 of the layers in front of vLLM: their type is the HTTP phrase, not vLLM's BadRequestError.
func invalid(message string) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: http.StatusText(http.StatusBadRequest), message: message}
}

// refuse answers with an error in the words of the version played.
func (c *Container) refuse(w http.ResponseWriter, r *refusal) {
	writeJSON(w, r.status, c.dialect.failed(r))
}

// detail is the web framework's own error.
func detail(w http.ResponseWriter, status int) {
	writeJSON(w, status, struct {
		Detail string `json:"detail"`
	}{http.StatusText(status)})
}

// crash is what is left of an exception nobody caught.
func crash(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	io.WriteString(w, "Internal Server Error")
}

// plain answers text without naming a content type, as vLLM's bare Response does. Go would guess one if the header were
// only absent.
func plain(w http.ResponseWriter, status int, body string) {
	w.Header()["Content-Type"] = nil
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// writeJSON answers value. A number that JSON cannot hold (NaN from broken weights) ends as it does in vLLM 0.11.2: a bare
// 500 (recordings, nan.json).
func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := encode(value)
	if err != nil {
		crash(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
