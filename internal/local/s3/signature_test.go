package s3_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"loradeck/internal/local/s3"
)

// key is a pair of access key and secret that the store of these tests knows.
var key = aws.Credentials{AccessKeyID: "AKIA/KNOWN", SecretAccessKey: "secret"}

// strict starts a store that knows key, and gives it with its address and what signs and sends requests to it.
func strict(t *testing.T, pair aws.Credentials) (*s3.Store, *httptest.Server, *awss3.Client) {
	t.Helper()
	store := openStore(t, t.TempDir(), s3.Secrets(map[string]string{key.AccessKeyID: key.SecretAccessKey}))
	if err := store.EnsureBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(store)
	t.Cleanup(server.Close)
	client := awss3.New(awss3.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(pair.AccessKeyID, pair.SecretAccessKey, ""),
	})
	return store, server, client
}

func TestSignaturesOfKnownKeysAreVerified(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pair aws.Credentials
		code string
	}{
		"right secret": {key, ""},
		"wrong secret": {aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: "other"}, "SignatureDoesNotMatch"},
		"unknown key":  {aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, ""},
	} {
		_, _, client := strict(t, test.pair)
		for _, key := range []string{"plain", "a b+c//é?x=1&y%2F.bin", "~(tilde)!*'"} {
			_, err := client.PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("text"), Metadata: map[string]string{"spaces": "a   b", "empty": ""},
			})
			if test.code == "" && err != nil {
				t.Errorf("%s, %q: %v", name, key, err)
			} else if test.code != "" {
				wantCode(t, err, test.code)
			}
		}
		_, err := client.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: aws.String("a b+"), Delimiter: aws.String("/")})
		if test.code == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fetch sends a request and gives status, S3's error code and the body.
func fetch(t *testing.T, method, address, body string, headers http.Header) (int, string, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range headers {
		request.Header[name] = values
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(text), "<Code>")
	code, _, found := strings.Cut(code, "</Code>")
	if !found {
		code = ""
	}
	return answer.StatusCode, code, string(text)
}

func TestPresignedAddresses(t *testing.T) {
	t.Parallel()
	_, _, client := strict(t, key)
	presigner := awss3.NewPresignClient(client)
	in := &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("a b/é+.txt"), Metadata: map[string]string{"by": "link"}}
	signed, err := presigner.PresignPutObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if status, code, _ := fetch(t, signed.Method, signed.URL, "text", signed.SignedHeader); status != http.StatusOK {
		t.Fatalf("put: got %d %s", status, code)
	}
	link, err := presigner.PresignGetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: in.Bucket, Key: in.Key, ResponseContentDisposition: aws.String("attachment; filename=a b.txt"),
	}, awss3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	alter := func(old, new string) string {
		if !strings.Contains(link.URL, old) {
			t.Fatalf("%s holds no %q", link.URL, old)
		}
		return strings.Replace(link.URL, old, new, 1)
	}
	for name, test := range map[string]struct {
		method, address string
		status          int
		code            string
	}{
		"as it was made":     {"GET", link.URL, 200, ""},
		"another method":     {"PUT", link.URL, 403, "SignatureDoesNotMatch"},
		"another key":        {"GET", alter("a%20b", "a%20c"), 403, "SignatureDoesNotMatch"},
		"another file name":  {"GET", alter("filename", "filenama"), 403, "SignatureDoesNotMatch"},
		"longer life":        {"GET", alter("X-Amz-Expires=60", "X-Amz-Expires=600"), 403, "SignatureDoesNotMatch"},
		"a parameter more":   {"GET", link.URL + "&partNumber=1", 403, "SignatureDoesNotMatch"},
		"too long a life":    {"GET", alter("X-Amz-Expires=60", "X-Amz-Expires=604801"), 400, "AuthorizationQueryParametersError"},
		"life of no number":  {"GET", alter("X-Amz-Expires=60", "X-Amz-Expires=x"), 400, "AuthorizationQueryParametersError"},
		"negative life":      {"GET", alter("X-Amz-Expires=60", "X-Amz-Expires=-1"), 400, "AuthorizationQueryParametersError"},
		"no life":            {"GET", alter("X-Amz-Expires=60", ""), 400, "AuthorizationQueryParametersError"},
		"no date":            {"GET", alter("X-Amz-Date=20", "X-Amz-Date=x"), 400, "AuthorizationQueryParametersError"},
		"another algorithm":  {"GET", alter("HMAC-SHA256", "HMAC-SHA512"), 400, "AuthorizationQueryParametersError"},
		"another service":    {"GET", alter("%2Fs3%2F", "%2Fsts%2F"), 400, "AuthorizationQueryParametersError"},
		"another region":     {"GET", alter("us-east-1", "eu-west-1"), 400, "AuthorizationQueryParametersError"},
		"signed twice":       {"GET", link.URL + "&AWSAccessKeyId=a&Signature=b", 403, "SignatureDoesNotMatch"},
		"no host is signed":  {"GET", alter("SignedHeaders=host", "SignedHeaders=date"), 403, "AccessDenied"},
		"believed, not held": {"GET", alter("AKIA", "SOME"), 200, ""},
	} {
		status, code, text := fetch(t, test.method, test.address, "", nil)
		if status != test.status || code != test.code || status == 200 && text != "text" {
			t.Errorf("%s: got %d %s %q, want %d %s", name, status, code, text, test.status, test.code)
		}
	}
	if _, _, text := fetch(t, "GET", alter("filename", "filenama"), "", nil); !strings.Contains(text, "<StringToSign>AWS4-HMAC-SHA256\n") && !strings.Contains(text, "<StringToSign>AWS4-HMAC-SHA256&#xA;") {
		t.Errorf("got %s, want the string to sign in it", text)
	}
}

func TestPresignedAddressesExpireForEveryKey(t *testing.T) {
	t.Parallel()
	for _, pair := range []aws.Credentials{key, {AccessKeyID: "any", SecretAccessKey: "any"}} {
		_, server, client := strict(t, pair)
		put(t, client, "k", "text")
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/"+bucket+"/k?X-Amz-Expires=60", nil)
		if err != nil {
			t.Fatal(err)
		}
		for age, want := range map[time.Duration]string{30 * time.Second: "", 2 * time.Minute: "AccessDenied", -time.Hour: "AccessDenied"} {
			address, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
				PresignHTTP(t.Context(), pair, request, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now().Add(-age))
			if err != nil {
				t.Fatal(err)
			}
			if _, code, text := fetch(t, "GET", address, "", nil); code != want || want == "" && text != "text" {
				t.Errorf("%s, %v old: got %s %s, want %q", pair.AccessKeyID, age, code, text, want)
			}
		}
	}
}

func TestOldPresignedAddressesAreVerifiedToo(t *testing.T) {
	t.Parallel()
	_, server, client := strict(t, key)
	put(t, client, "k", "text")
	address := func(secret string, at time.Time) string {
		mac := hmac.New(sha1.New, []byte(secret))
		fmt.Fprintf(mac, "GET\n\n\n%d\n/%s/k?response-content-type=text/x", at.Unix(), bucket)
		query := url.Values{"AWSAccessKeyId": {key.AccessKeyID}, "Expires": {fmt.Sprint(at.Unix())}, "Signature": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}, "response-content-type": {"text/x"}}
		return server.URL + "/" + bucket + "/k?" + query.Encode()
	}
	soon := time.Now().Add(time.Minute)
	for name, test := range map[string]struct{ address, code string }{
		"right":        {address(key.SecretAccessKey, soon), ""},
		"wrong secret": {address("other", soon), "SignatureDoesNotMatch"},
		"expired":      {address(key.SecretAccessKey, time.Now().Add(-time.Minute)), "AccessDenied"},
		"no time":      {strings.Replace(address(key.SecretAccessKey, soon), "Expires=", "Expires=x", 1), "AccessDenied"},
	} {
		if _, code, _ := fetch(t, "GET", test.address, "", nil); code != test.code {
			t.Errorf("%s: got %q, want %q", name, code, test.code)
		}
	}
}

// signedChunks frames a body in signed chunks as the Java SDK does over plain HTTP, independently of the store's code.
func signedChunks(ctx context.Context, t *testing.T, address string, body []byte, chunk int) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	request.Header.Set("X-Amz-Content-Sha256", payload)
	request.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(body)))
	request.Header.Set("X-Amz-Trailer", "x-amz-checksum-sha256")
	now := time.Now().UTC()
	if err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).SignHTTP(ctx, key, request, payload, "s3", "us-east-1", now); err != nil {
		t.Fatal(err)
	}
	_, previous, _ := strings.Cut(request.Header.Get("Authorization"), "Signature=")
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	secret := mac(mac(mac(mac([]byte("AWS4"+key.SecretAccessKey), now.Format("20060102")), "us-east-1"), "s3"), "aws4_request")
	sum := func(text []byte) string { s := sha256.Sum256(text); return hex.EncodeToString(s[:]) }
	sign := func(kind, sums string) string {
		previous = hex.EncodeToString(mac(secret, strings.Join([]string{"AWS4-HMAC-SHA256-" + kind, now.Format("20060102T150405Z"), now.Format("20060102") + "/us-east-1/s3/aws4_request", previous, sums}, "\n")))
		return previous
	}
	var framed bytes.Buffer
	whole := sha256.Sum256(body)
	for len(body) > 0 {
		n := min(chunk, len(body))
		fmt.Fprintf(&framed, "%x;chunk-signature=%s\r\n%s\r\n", n, sign("PAYLOAD", sum(nil)+"\n"+sum(body[:n])), body[:n])
		body = body[n:]
	}
	fmt.Fprintf(&framed, "0;chunk-signature=%s\r\n", sign("PAYLOAD", sum(nil)+"\n"+sum(nil)))
	trailer := "x-amz-checksum-sha256:" + base64.StdEncoding.EncodeToString(whole[:])
	fmt.Fprintf(&framed, "%s\r\nx-amz-trailer-signature:%s\r\n\r\n", trailer, sign("TRAILER", sum([]byte(trailer+"\n"))))
	request.Body, request.ContentLength = io.NopCloser(&framed), int64(framed.Len())
	return request
}

func TestSignedChunksAreVerified(t *testing.T) {
	t.Parallel()
	_, server, client := strict(t, key)
	text := noise(100_000)
	for name, change := range map[string]struct {
		old, new string
		code     string
	}{
		"as they were made": {"", "", ""},
		"a byte changed":    {string(text[40_000:40_004]), "\x00\x01\x02\x03", "SignatureDoesNotMatch"},
		"another signature": {"0;chunk-signature=", "0;chunk-signature=0", "SignatureDoesNotMatch"},
		"a trailer added":   {"x-amz-checksum-sha256:", "x-amz-checksum-sha1:AAAA\r\nx-amz-checksum-sha256:", "SignatureDoesNotMatch"},
		"signatures gone":   {";chunk-signature=", ";something-else=", "SignatureDoesNotMatch"},
	} {
		request := signedChunks(t.Context(), t, server.URL+"/"+bucket+"/k", text, 64<<10)
		framed, err := io.ReadAll(request.Body)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(framed, []byte(change.old)) {
			t.Fatalf("%s: nothing to change", name)
		}
		framed = bytes.Replace(framed, []byte(change.old), []byte(change.new), 1)
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(framed)), int64(len(framed))
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || (answer.StatusCode == 200) != (change.code == "") || !strings.Contains(string(said), change.code) {
			t.Errorf("%s: got %d %s, %v, want %q", name, answer.StatusCode, said, err, change.code)
		}
	}
	if _, got := get(t, client, &awss3.GetObjectInput{Key: aws.String("k")}); !bytes.Equal(got, text) {
		t.Error("other bytes came back")
	}
}

func TestAuthorizationThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	store, _, _ := strict(t, key)
	now := time.Now().UTC()
	credential := "AKIA/KNOWN/" + now.Format("20060102") + "/us-east-1/s3/aws4_request"
	sum := strings.Repeat("0f", 32)
	whole := "AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=host, Signature=" + sum
	for name, test := range map[string]struct {
		authorization, date string
		status              int
		code                string
	}{
		"believed":         {"AWS4-HMAC-SHA256 Credential=any/20200101/us-east-1/s3/aws4_request", "", 200, ""},
		"another scheme":   {"Bearer x", "", 400, "InvalidArgument"},
		"no signature":     {"AWS4-HMAC-SHA256 Credential=" + credential + ", SignedHeaders=host", "", 400, "AuthorizationHeaderMalformed"},
		"short credential": {strings.Replace(whole, "/us-east-1/s3", "", 1), "", 400, "AuthorizationHeaderMalformed"},
		"another service":  {strings.Replace(whole, "/s3/", "/sqs/", 1), "", 400, "AuthorizationHeaderMalformed"},
		"another region":   {strings.Replace(whole, "us-east-1", "eu-west-1", 1), now.Format("20060102T150405Z"), 400, "AuthorizationHeaderMalformed"},
		"no date":          {whole, "", 403, "AccessDenied"},
		"another day":      {whole, "20200101T000000Z", 400, "AuthorizationHeaderMalformed"},
		"an hour ago":      {strings.Replace(whole, now.Format("20060102"), "20200101", 1), "20200101T000000Z", 403, "RequestTimeTooSkewed"},
		"date not signed":  {whole, now.Format("20060102T150405Z"), 403, "AccessDenied"},
	} {
		headers := []string{"Authorization", test.authorization}
		if test.date != "" {
			headers = append(headers, "X-Amz-Date", test.date)
		}
		if status, code := send(t, store, "GET", "/"+bucket, "", headers...); status != test.status || code != test.code {
			t.Errorf("%s: got %d %s, want %d %s", name, status, code, test.status, test.code)
		}
	}
}
