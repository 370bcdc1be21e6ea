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

// scopeOf reads the scope from the Authorization header, or from a presigned address.
func scopeOf(r *http.Request) (scope, bool) {
	credential := r.URL.Query().Get("X-Amz-Credential")
	if header := r.Header.Get("Authorization"); header != "" {
		rest, ok := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
		if !ok {
			return scope{}, false
		}
		for field := range strings.SplitSeq(rest, ",") {
			if value, found := strings.CutPrefix(strings.TrimSpace(field), "Credential="); found {
				credential = value
			}
		}
	}
	parts := strings.Split(credential, "/")
	if len(parts) < 5 || parts[len(parts)-1] != "aws4_request" {
		return scope{}, false
	}
	parts = parts[len(parts)-5:] // an access key may itself hold slashes
	return scope{key: parts[0], region: parts[2], service: strings.ToLower(parts[3])}, true
}

// refused says why a request is kept out, and "" when it is not. A page of some website can make a browser send requests to
// loopback, under a host name that it has pointed there (DNS rebinding) or across origins; AWS clients do neither.
func (s *Server) refused(r *http.Request) string {
	if !s.known(r.Host) {
		return "The local platform is not reached under the host " + r.Host + ". Use 127.0.0.1, or name the host with --host."
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return ""
	}
	if from, err := url.Parse(origin); err == nil && from.Host == r.Host {
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
	if host == "localhost" || slices.Contains(s.config.Hosts, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
