//go:build versitygw

package versitygw

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	accessKey = "any"
	secretKey = "any"
	region    = "us-east-1"
	unsigned  = "UNSIGNED-PAYLOAD"
)

func base64CRC32(text string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text))))
}

// server is one of the two that are compared.
type server struct {
	name, address string
	client        *http.Client
	kept          map[string]string // what its answers gave for later requests
}

// fill puts in what earlier answers gave. What never came stays in its braces, which either server takes for nonsense.
func (s *server) fill(text string, escape func(string) string) string {
	for name, value := range s.kept {
		text = strings.ReplaceAll(text, "{"+name+"}", escape(value))
	}
	return text
}

// do sends a step and gives what came.
func (s *server) do(ctx context.Context, one step) (answer, error) {
	target := s.fill(one.target, url.QueryEscape)
	body := s.fill(one.body, func(text string) string { return text })
	request, err := http.NewRequestWithContext(ctx, one.method, s.address+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(one.headers); i += 2 {
		request.Header.Set(one.headers[i], one.headers[i+1])
	}
	request.Header.Set("Accept-Encoding", "identity") // or net/http unpacks what it gets
	if err := sign(ctx, request, one.sign); err != nil {
		return answer{}, err
	}
	came, err := s.client.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %s: %w", s.name, one.name, err)
	}
	defer came.Body.Close()
	text, err := io.ReadAll(came.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %s: %w", s.name, one.name, err)
	}
	got := answer{status: came.StatusCode, header: came.Header, body: text}
	for name, from := range one.keep {
		s.kept[name] = got.find(from)
	}
	return got, nil
}

// sign signs a request as clients do, or as they should not.
func sign(ctx context.Context, request *http.Request, how string) error {
	pair, at, where := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, time.Now(), region
	way, fault, _ := strings.Cut(how, " ")
	if way != "presigned" {
		way, fault = "header", how
	}
	switch fault {
	case "none":
		return nil
	case "other":
		pair.SecretAccessKey = "other"
	case "expired", "skewed":
		at = at.Add(-time.Hour)
	case "region":
		where = "eu-west-1"
	}
	plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	if way == "presigned" {
		seconds := "60"
		if fault == "long" {
			seconds = "604801"
		}
		query := request.URL.Query()
		query.Set("X-Amz-Expires", seconds)
		request.URL.RawQuery = query.Encode()
		signed, _, err := v4.NewSigner().PresignHTTP(ctx, pair, request, unsigned, "s3", where, at, plain)
		if err != nil {
			return err
		}
		if fault == "altered" {
			signed += "&response-content-type=text%2Fy"
		}
		request.URL, err = url.Parse(signed)
		return err
	}
	payload := request.Header.Get("x-amz-content-sha256")
	if payload == "" {
		payload = unsigned
		request.Header.Set("x-amz-content-sha256", payload)
	}
	if err := v4.NewSigner().SignHTTP(ctx, pair, request, payload, "s3", where, at, plain); err != nil {
		return err
	}
	if fault == "malformed" {
		request.Header.Set("Authorization", "Bearer token")
	}
	return nil
}
