package s3

import (
	"crypto/hmac"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	schemeV4   = "AWS4-HMAC-SHA256"
	stampV4    = "20060102T150405Z"
	maxSkew    = 15 * time.Minute          // of a signed request (Amazon S3 API reference, RequestTimeTooSkewed)
	maxExpires = 7 * 24 * time.Hour        // of a presigned address (Signature Version 4, query parameters)
	signedBody = schemeV4 + "-PAYLOAD"     // how a chunk's string to sign begins
	signedEnd  = schemeV4 + "-TRAILER"     // and that of the trailers
	perChunk   = "STREAMING-" + signedBody // x-amz-content-sha256 of a body whose chunks are signed
	perTrailer = perChunk + "-TRAILER"     // and its trailers too
	unsigned   = "UNSIGNED-PAYLOAD"        // x-amz-content-sha256 of a body that is not part of the signature
	oldScheme  = "AWS "                    // Signature Version 2, which boto3 still presigns with unless told otherwise
)

// signatureV4 is what a request says of its signature, in its Authorization header or in its query.
type signatureV4 struct {
	key, date, region, service string // the credential
	at                         time.Time
	headers                    []string // that are signed, in order, lower case
	sum                        string   // hex
	presigned                  bool
}

func (g signatureV4) scope() string {
	return g.date + "/" + g.region + "/" + g.service + "/aws4_request"
}

// authenticate holds a request to its signature where the secret of its key is known, and a presigned address to its form and
// expiry always. It gives what the chunks of the body are to be signed with, nil when they are not, and lets unsigned requests
// pass: who may call is the business of whoever mounts the store.
func (s *Store) authenticate(r *http.Request, query url.Values, now time.Time) (*chunkChain, error) {
	header := r.Header.Get("Authorization")
	inQuery := query.Has("X-Amz-Signature") || query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Credential")
	old := query.Has("Signature") && query.Has("AWSAccessKeyId")
	switch {
	case header != "" && (inQuery || old):
		return nil, errInvalidArgument.saying("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified")
	case inQuery:
		given, err := presignedV4(query, now)
		if err != nil {
			return nil, err
		}
		return s.verifyV4(r, query, given)
	case strings.HasPrefix(header, oldScheme), old:
		return nil, s.authenticateV2(r, query, now)
	case header == "":
		return nil, nil
	}
	given, err := s.headerV4(r.Header, now)
	if err != nil {
		return nil, err
	}
	return s.verifyV4(r, query, given)
}

// headerV4 reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…". Of a key that is only believed, the credential
// is all that counts.
func (s *Store) headerV4(h http.Header, now time.Time) (signatureV4, error) {
	fields, ok := strings.CutPrefix(h.Get("Authorization"), schemeV4+" ")
	if !ok {
		return signatureV4{}, errInvalidArgument.saying("Unsupported Authorization Type")
	}
	named := map[string]string{}
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		named[name] = value
	}
	given := signatureV4{sum: named["Signature"], headers: strings.Split(named["SignedHeaders"], ";")}
	if !given.credential(named["Credential"]) {
		return signatureV4{}, errMalformedAuthorization
	}
	if _, known := s.secrets[given.key]; !known {
		return given, nil
	}
	if !isSHA256(given.sum) || named["SignedHeaders"] == "" {
		return signatureV4{}, errMalformedAuthorization
	}
	var err error
	if stamp := h.Get("X-Amz-Date"); stamp != "" {
		given.at, err = time.Parse(stampV4, stamp)
	} else {
		given.at, err = http.ParseTime(h.Get("Date"))
	}
	if err != nil {
		return signatureV4{}, errAccessDenied.saying("AWS authentication requires a valid Date or x-amz-date header")
	}
	if given.date != given.at.UTC().Format("20060102") {
		return signatureV4{}, errMalformedAuthorization.saying("The authorization header is malformed; Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", given.date, given.at.UTC().Format("20060102"))
	}
	if skew := now.Sub(given.at); skew.Abs() > maxSkew {
		return signatureV4{}, errSkewed.with("RequestTime", given.at.UTC().Format(stampV4)).with("ServerTime", now.UTC().Format(time.RFC3339)).
			with("MaxAllowedSkewMilliseconds", strconv.FormatInt(maxSkew.Milliseconds(), 10))
	}
	return given, nil
}

// credential reads "KEY/DATE/REGION/SERVICE/aws4_request"; the key may itself hold slashes.
func (g *signatureV4) credential(text string) bool {
	parts := strings.Split(text, "/")
	n := len(parts)
	if n < 5 || parts[n-1] != "aws4_request" {
		return false
	}
	g.key, g.date, g.region, g.service = strings.Join(parts[:n-4], "/"), parts[n-4], parts[n-3], parts[n-2]
	return g.key != "" && g.service == "s3"
}

// presignedV4 reads the signature of an address and holds it to its expiry.
func presignedV4(query url.Values, now time.Time) (signatureV4, error) {
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"} {
		if query.Get(name) == "" {
			return signatureV4{}, errQueryParameters
		}
	}
	given := signatureV4{sum: query.Get("X-Amz-Signature"), headers: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"), presigned: true}
	if query.Get("X-Amz-Algorithm") != schemeV4 {
		return given, errQueryParameters.saying(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	if !given.credential(query.Get("X-Amz-Credential")) {
		return given, errQueryParameters.saying(`Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	}
	var err error
	if given.at, err = time.Parse(stampV4, query.Get("X-Amz-Date")); err != nil {
		return given, errQueryParameters.saying(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if given.date != given.at.Format("20060102") {
		return given, errQueryParameters.saying("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", given.date, given.at.Format("20060102"))
	}
	seconds, err := strconv.ParseInt(query.Get("X-Amz-Expires"), 10, 64)
	switch {
	case err != nil:
		return given, errQueryParameters.saying("X-Amz-Expires should be a number")
	case seconds < 0:
		return given, errQueryParameters.saying("X-Amz-Expires must be non-negative")
	case seconds > int64(maxExpires/time.Second):
		return given, errQueryParameters.saying("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	case given.at.After(now.Add(maxSkew)):
		return given, errAccessDenied.saying("Request is not yet valid")
	}
	if end := given.at.Add(time.Duration(seconds) * time.Second); now.After(end) {
		return given, expired(end, now).with("X-Amz-Expires", query.Get("X-Amz-Expires"))
	}
	return given, nil
}

// expired is S3's answer to a presigned address whose time is over.
func expired(end, now time.Time) *fault {
	return errAccessDenied.saying("Request has expired").with("Expires", end.UTC().Format(time.RFC3339)).with("ServerTime", now.UTC().Format(time.RFC3339))
}

// verifyV4 makes the signature again where the secret is known.
func (s *Store) verifyV4(r *http.Request, query url.Values, given signatureV4) (*chunkChain, error) {
	secret, known := s.secrets[given.key]
	if !known {
		return nil, nil
	}
	if given.region != s.region {
		return nil, given.elsewhere(s.region)
	}
	if left := unsignedHeader(r.Header, given.headers); left != "" {
		return nil, errAccessDenied.saying("There were headers present in the request which were not signed").with("HeadersNotSigned", left)
	}
	canonical := canonicalV4(r, query, given)
	text := toSign(schemeV4, given, canonical)
	key := keyV4(secret, given)
	if want := signV4(key, text); !hmac.Equal([]byte(want), []byte(given.sum)) {
		return nil, errSignature.with("AWSAccessKeyId", given.key).with("StringToSign", text).with("SignatureProvided", given.sum).with("CanonicalRequest", canonical)
	}
	if payload := r.Header.Get("x-amz-content-sha256"); payload == perChunk || payload == perTrailer {
		return newChunkChain(key, given, payload == perTrailer), nil
	}
	return nil, nil
}

// elsewhere is S3's answer to a signature made for another region than its own. Clients that can sign again read Region.
func (g signatureV4) elsewhere(region string) *fault {
	wrong := errMalformedAuthorization.saying("The authorization header is malformed; the region '%s' is wrong; expecting '%s'", g.region, region)
	if g.presigned {
		wrong = errQueryParameters.saying("Error parsing the X-Amz-Credential parameter; the region '%s' is wrong; expecting '%s'", g.region, region)
	}
	return wrong.with("Region", region)
}

// unsignedHeader names a header that S3 wants signed and that is not, or gives "".
func unsignedHeader(h http.Header, signed []string) string {
	have := map[string]bool{}
	for _, name := range signed {
		have[name] = true
	}
	if !have["host"] {
		return "host"
	}
	for name := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !have[lower] && lower != "x-amz-content-sha256" {
			return lower
		}
	}
	return ""
}

// unhoist puts the x-amz-… parameters of a presigned address where operations look for them: signers move headers there.
func unhoist(h http.Header, query url.Values) {
	for name, values := range query {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "x-amz-") || h.Get(lower) != "" {
			continue
		}
		switch lower {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders", "x-amz-signature", "x-amz-security-token":
		default:
			h[http.CanonicalHeaderKey(lower)] = values
		}
	}
}
