// Package cloud is the app's one door to AWS: S3, SageMaker, SageMaker Runtime and STS through aws-sdk-go-v2, spoken in the
// house's nouns. Every AWS error is translated here, once, into a lora.Error whose message a person may read.
//
// It knows neither jobs nor pages, and not who answers: an AWS region and the local platform are told apart by an address
// only. It shares no code with the local platform, not even wire types, so that a shared mistake cannot hide.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	"github.com/aws/aws-sdk-go-v2/service/sagemakerruntime"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"loradeck/internal/lora"
)

// Config says how to get into a place.
type Config struct {
	Name      string // what the deck calls it
	Region    string
	Profile   string       // of the shared AWS config; "" for the default chain
	Endpoint  string       // answers for all services when set, like http://127.0.0.1:8090; S3 is then addressed by path
	AccessKey string       // with SecretKey instead of a profile
	SecretKey string       //
	Local     bool         // it is the built-in local platform
	HTTP      *http.Client // nil for the SDK's own
}

// Place is an open place. It is safe for concurrent use.
type Place struct {
	identity lora.Place
	control  *sagemaker.Client
	runtime  *sagemakerruntime.Client
	streamer func() *sagemakerruntime.Client // a client for one stream
	objects  *s3.Client
}

// Open asks STS who we are and gives the place. Its errors say which place could not be entered and why.
func Open(ctx context.Context, c Config) (*Place, error) {
	load := []func(*config.LoadOptions) error{config.WithRegion(c.Region)}
	if c.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(c.Profile))
	}
	if c.AccessKey != "" {
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(c.AccessKey, c.SecretKey, "")))
	}
	if c.HTTP != nil {
		load = append(load, config.WithHTTPClient(c.HTTP))
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "The AWS settings of place %s cannot be read. Look at the profile and region you gave.", c.Name)
	}
	if c.Endpoint != "" {
		loaded.BaseEndpoint = aws.String(c.Endpoint)
	}
	newRuntime := func() *sagemakerruntime.Client {
		// Its own retries would send a prompt again after it may have been answered.
		return sagemakerruntime.NewFromConfig(loaded, func(o *sagemakerruntime.Options) {
			o.RetryMaxAttempts = 1
			o.HTTPClient = inMemory{o.HTTPClient}
			o.APIOptions = append(o.APIOptions, traced("sagemaker-runtime"))
		})
	}
	p := &Place{
		control: sagemaker.NewFromConfig(loaded, func(o *sagemaker.Options) {
			o.APIOptions = append(o.APIOptions, traced("sagemaker"))
		}),
		runtime:  newRuntime(),
		streamer: newRuntime,
		objects: s3.NewFromConfig(loaded, func(o *s3.Options) {
			o.UsePathStyle = c.Endpoint != ""
			o.DisableLogOutputChecksumValidationSkipped = true
			o.APIOptions = append(o.APIOptions, traced("s3"))
		}),
	}
	who, err := sts.NewFromConfig(loaded).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil, translate(err, "ask who we are in "+c.Name)
	}
	parsed, err := arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return nil, fmt.Errorf("identity in %s: %w", c.Name, err)
	}
	account := aws.ToString(who.Account)
	p.identity = lora.Place{
		ID: parsed.Partition + ":" + account + ":" + c.Region, Name: c.Name, Account: account, Region: c.Region,
		Local: c.Local, Near: c.Local || onLoopback(c.Endpoint), Endpoint: c.Endpoint,
	}
	return p, nil
}

// onLoopback reports whether an address leads to this machine.
func onLoopback(address string) bool {
	parsed, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(parsed.Hostname())
	return parsed.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Identity says which place this is.
func (p *Place) Identity() lora.Place { return p.identity }

// maxPages bounds every listing: an empty page with a token is not the end, but nothing is read for ever (facts §1.6).
const maxPages = 1000

var errEndless = errors.New("the list has no end")

// SplitURL takes s3://BUCKET/KEY apart; ok is false when it is none.
func SplitURL(address string) (bucket, key string, ok bool) {
	rest, ok := strings.CutPrefix(address, "s3://")
	if !ok {
		return "", "", false
	}
	bucket, key, _ = strings.Cut(rest, "/")
	return bucket, key, bucket != ""
}
