package local

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strings"
)

// Codes of what the front door itself refuses. Each protocol spells them in its own way, see refuse.
const (
	accessDenied     = "AccessDenied"
	missingToken     = "MissingAuthenticationToken"
	unknownOperation = "UnknownOperation"
)

// refuse answers in the form that the caller's client reads: XML as S3 writes it, XML of the query protocol, or JSON with
// its type in a header too. Without a service the request's own marks decide.
func refuse(w http.ResponseWriter, r *http.Request, service string, status int, code, message string) {
	id := requestID()
	switch wireForm(r, service) {
	case "s3":
		if code == missingToken {
			code = accessDenied // S3 takes an unsigned request for an anonymous one
		}
		const host = "loradeck"
		w.Header().Set("X-Amz-Request-Id", id) // where S3's clients look for it
		w.Header().Set("X-Amz-Id-2", host)
		answerXML(w, status, id, s3Error{Code: code, Message: message, Resource: r.URL.Path, RequestId: id, HostId: host})
	case "query":
		if code == unknownOperation {
			code = "InvalidAction"
		}
		answerXML(w, status, id, newQueryError(code, message, id))
	default:
		w.Header().Set("X-Amzn-Requestid", id)
		w.Header().Set("X-Amzn-Errortype", code+"Exception")
		answerJSON(w, status, map[string]string{"__type": code + "Exception", "message": message})
	}
}

// wireForm says which protocol a request speaks: "s3", "query" or "json".
func wireForm(r *http.Request, service string) string {
	switch {
	case service == "s3":
		return "s3"
	case r.Header.Get("X-Amz-Target") != "":
		return "json"
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"), r.URL.Query().Has("Action"):
		return "query"
	case service != "", r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/endpoints/"):
		return "json"
	}
	return "s3" // the one service that is called by plain addresses
}

type s3Error struct {
	XMLName                                    xml.Name `xml:"Error"`
	Code, Message, Resource, RequestId, HostId string
}

type queryError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Xmlns   string   `xml:"xmlns,attr"`
	Error   struct{ Type, Code, Message string }
	// RequestId stands beside Error in every query protocol answer that is not 2xx.
	RequestId string
}

func newQueryError(code, message, id string) queryError {
	e := queryError{Xmlns: stsNamespace, RequestId: id}
	e.Error.Type, e.Error.Code, e.Error.Message = "Sender", code, message
	return e
}

func answerXML(w http.ResponseWriter, status int, id string, body any) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(body) // the client has gone when this fails
}

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone when this fails
}
