package local

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// maxForm bounds a query protocol request, in bytes.
const maxForm = 1 << 20

type callerIdentity struct {
	XMLName  xml.Name                              `xml:"GetCallerIdentityResponse"`
	Xmlns    string                                `xml:"xmlns,attr"`
	Result   struct{ Arn, UserId, Account string } `xml:"GetCallerIdentityResult"`
	Metadata struct{ RequestId string }            `xml:"ResponseMetadata"`
}

// serveSTS answers GetCallerIdentity, and any other action as STS answers one it does not know (query protocol; botocore
// data/sts/2011-06-15).
func (s *Server) serveSTS(w http.ResponseWriter, r *http.Request, from scope) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	form, parseErr := url.ParseQuery(string(body))
	if err != nil || parseErr != nil {
		form = url.Values{}
	}
	if !form.Has("Action") {
		form = r.URL.Query()
	}
	if action := form.Get("Action"); action != "GetCallerIdentity" {
		refuse(w, r, from.service, http.StatusBadRequest, unknownOperation, "Could not find operation "+action+" for version "+form.Get("Version"))
		return
	}
	id := requestID()
	out := callerIdentity{Xmlns: stsNamespace}
	out.Result.Account, out.Result.UserId = s.config.Account, from.key
	out.Result.Arn = "arn:aws:iam::" + s.config.Account + ":user/local"
	out.Metadata.RequestId = id
	answerXML(w, http.StatusOK, id, out)
}

func requestID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
