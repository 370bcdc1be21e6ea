package local

import (
	"encoding/xml"
	"io"
	"net/http"
	"net/url"

	"crypto/rand"
	"encoding/hex"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// maxForm bounds a query protocol request.
const maxForm = 1 << 20

type callerIdentity struct {
	XMLName xml.Name `xml:"GetCallerIdentityResponse"`
	Xmlns   string   `xml:"xmlns,attr"`
	Result  struct {
		Arn     string
		UserId  string
		Account string
	} `xml:"GetCallerIdentityResult"`
	Metadata struct{ RequestId string } `xml:"ResponseMetadata"`
}

type stsError struct {
	XMLName xml.Name `xml:"ErrorResponse"`
	Xmlns   string   `xml:"xmlns,attr"`
	Error   struct {
		Type    string
		Code    string
		Message string
	}
	RequestId string
}

// serveSTS answers GetCallerIdentity, and any other action as STS answers one it does not know (query protocol; botocore
// data/sts/2011-06-15).
func (s *Server) serveSTS(w http.ResponseWriter, r *http.Request, from scope) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	form, parseErr := url.ParseQuery(string(body))
	if err != nil || parseErr != nil {
		form = url.Values{}
	}
	action := form.Get("Action")
	if action == "" {
		action = r.URL.Query().Get("Action")
	}
	id := requestID()
	if action != "GetCallerIdentity" {
		out := stsError{Xmlns: stsNamespace, RequestId: id}
		out.Error.Type, out.Error.Code = "Sender", "InvalidAction"
		out.Error.Message = "Could not find operation " + action + " for version " + form.Get("Version")
		answerXML(w, http.StatusBadRequest, id, out)
		return
	}
	out := callerIdentity{Xmlns: stsNamespace}
	out.Result.Account, out.Result.UserId = s.config.Account, from.key
	out.Result.Arn = "arn:aws:iam::" + s.config.Account + ":user/local"
	out.Metadata.RequestId = id
	answerXML(w, http.StatusOK, id, out)
}

func answerXML(w http.ResponseWriter, status int, id string, body any) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(body) // the client has gone when this fails
}

func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
