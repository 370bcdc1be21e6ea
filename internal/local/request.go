package local

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// scope is what a signature says of itself: Credential=KEY/DATE/REGION/SERVICE/aws4_request (AWS Signature Version 4).
type scope struct {
	key     string
	region  string
	service string
}

// scopeOf reads the scope from the Authorization header, or from a presigned address. Signature Version 2 names no service,
// and only S3 still takes it: boto3 presigns with it unless told otherwise.
func scopeOf(r *http.Request) (scope, bool) {
	query := r.URL.Query()
	header := r.Header.Get("Authorization")
	old, isOld := strings.CutPrefix(header, "AWS ")
	switch {
	case isOld:
		key, _, _ := strings.Cut(old, ":")
		return scope{key: key, service: "s3"}, key != ""
	case header == "" && query.Has("AWSAccessKeyId") && query.Has("Signature"):
		return scope{key: query.Get("AWSAccessKeyId"), service: "s3"}, true
	case header == "":
		return parseCredential(query.Get("X-Amz-Credential"))
	}
	fields, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !ok {
		return scope{}, false
	}
	for field := range strings.SplitSeq(fields, ",") {
		if credential, found := strings.CutPrefix(strings.TrimSpace(field), "Credential="); found {
			return parseCredential(credential)
		}
	}
	return scope{}, false
}

func parseCredential(credential string) (scope, bool) {
	parts := strings.Split(credential, "/")
	n := len(parts)
	if n < 5 || parts[n-1] != "aws4_request" {
		return scope{}, false
	}
	// An access key may itself hold slashes: count from the end.
	s := scope{key: strings.Join(parts[:n-4], "/"), region: parts[n-3], service: strings.ToLower(parts[n-2])}
	return s, s.key != "" && s.service != ""
}

// refused says why a request is kept out, and "" when it is not. A page of some website can make a browser send requests to
// loopback, under a host name that it has pointed there (DNS rebinding) or across origins; AWS clients do neither. Browsers
// name the origin of everything but plain fetches of images, scripts and the like; of those Sec-Fetch-Site tells.
func (s *Server) refused(r *http.Request) string {
	if !s.known(r.Host) {
		return "The local platform is not reached under the host " + r.Host + ". Call it as 127.0.0.1; when it listens elsewhere, --host names further hosts."
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return "The local platform takes no requests from other sites' pages."
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return ""
	}
	if from, err := url.Parse(origin); err == nil && from.Host != "" && strings.EqualFold(from.Host, r.Host) {
		return ""
	}
	return "The local platform takes no requests from pages of " + origin + "."
}

// known reports whether a Host header names loopback or one of the configured hosts, with any port. A bucket in the host
// name, as virtual-hosted S3 has it, is not supported: clients use path-style addresses.
func (s *Server) known(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = strings.Trim(hostPort, "[]")
	}
	host = strings.ToLower(host)
	return onThisMachine(host) || slices.Contains(s.config.Hosts, host)
}

// onThisMachine reports whether a host, in lower case, is loopback.
func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
