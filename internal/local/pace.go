package local

import (
	"encoding/json"
	"net/http"
	"strings"

	"loradeck/internal/local/sagemaker"
	"loradeck/internal/lora"
)

// Pace gives the name of the pace that changes of state are made at: one of Paces.
func (s *Server) Pace() string { return s.control.Pace().Name() }

// Paces are the names that SetPace takes.
func (s *Server) Paces() []string { return sagemaker.Paces() }

// SetPace changes it, also for what is under way; the next start begins with Config's again. Its error is of kind lora.Invalid.
func (s *Server) SetPace(name string) error {
	pace, err := sagemaker.ParsePace(name)
	if err == nil {
		s.control.SetPace(pace)
	}
	return err
}

// paceLimit bounds what may be sent to /_local/pace.
const paceLimit = 1 << 10

// servePace is GET /_local/pace and PUT, which changes it.
func (s *Server) servePace(w http.ResponseWriter, r *http.Request) {
	type pace struct {
		Pace  string   `json:"pace"`
		Paces []string `json:"paces,omitempty"`
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPut:
		if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") { // a form of some page must not reach this
			http.Error(w, "Send the pace as application/json.", http.StatusUnsupportedMediaType)
			return
		}
		var wish pace
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, paceLimit)).Decode(&wish); err != nil {
			http.Error(w, `Send the pace as {"pace": "realistic"}: `+err.Error(), http.StatusBadRequest)
			return
		}
		if err := s.SetPace(wish.Pace); err != nil {
			http.Error(w, lora.Message(err), http.StatusBadRequest)
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT")
		http.Error(w, "The pace is read with GET and changed with PUT.", http.StatusMethodNotAllowed)
		return
	}
	answerJSON(w, http.StatusOK, pace{s.Pace(), s.Paces()})
}
