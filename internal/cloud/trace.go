package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Call is one operation as a service was asked for it, and what came back. It holds names, sizes and states: never weights,
// prompts, a model's answers, or values of environment variables that look secret.
type Call struct {
	Service   string // s3, sagemaker or sagemaker-runtime
	Operation string // as AWS names it: CreateInferenceComponent
	Request   string // what was asked, one line
	Answer    string // what came back, one line: of an error its code and message; and how often the SDK tried again
	Status    int    // HTTP, of the last try; 0 when nothing came back
	Failed    bool
	RequestID string        // AWS's own; "" when nothing came back
	At        time.Time     // when it was asked
	Took      time.Duration // until the answer began, the SDK's retries included; a body read later is not
}

type traceKey struct{}

// WithTrace gives a context under which every operation is told to tell as soon as it has ended, before the caller goes on. It
// is told by the goroutine that asked, so tell must be safe for as many at once as share the context. Asking who we are, which
// Open does, is not told.
func WithTrace(ctx context.Context, tell func(Call)) context.Context {
	return context.WithValue(ctx, traceKey{}, tell)
}

// traced makes a client of the service tell its operations to the context they are asked under.
func traced(service string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LoradeckTrace", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (middleware.InitializeOutput, middleware.Metadata, error) {
			tell, asked := ctx.Value(traceKey{}).(func(Call))
			if !asked {
				return next.HandleInitialize(ctx, in)
			}
			begun := time.Now()
			out, metadata, err := next.HandleInitialize(ctx, in)
			call := Call{
				Service: service, Operation: middleware.GetOperationName(ctx), Request: line(requestOf(in.Parameters)),
				Failed: err != nil, At: begun, Took: time.Since(begun),
			}
			if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
				call.Status = response.StatusCode
			}
			call.RequestID, _ = awsmiddleware.GetRequestIDMetadata(metadata)
			var answer string
			if err != nil {
				answer = troubleOf(ctx, err)
			} else if answer = answerOf(out.Result); answer == "" {
				answer = http.StatusText(call.Status)
			}
			if tries, ok := retry.GetAttemptResults(metadata); ok && len(tries.Results) > 1 {
				answer += fmt.Sprintf(" (tried %d times)", len(tries.Results))
			}
			call.Answer = line(answer)
			tell(call)
			return out, metadata, err
		}), middleware.Before)
	}
}

// troubleOf gives an error's code and message. What a model's container said may repeat a prompt, so only its status is told.
func troubleOf(ctx context.Context, err error) string {
	var model *runtimetypes.ModelError
	if errors.As(err, &model) {
		return fmt.Sprintf("ModelError: the container answered %d", deref(model.OriginalStatusCode))
	}
	if ctx.Err() != nil {
		return "cut off: " + context.Cause(ctx).Error()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return strings.TrimSuffix(api.ErrorCode()+": "+api.ErrorMessage(), ": ")
	}
	var network *url.Error
	if errors.As(err, &network) {
		return "no answer: " + network.Err.Error()
	}
	return "no answer: " + err.Error()
}

// maxCallLine bounds request and answer of a call, in bytes. The longest we ask for, a create with its tags, is below 1 KB.
const maxCallLine = 2000

// line makes text one line of bounded length.
func line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxCallLine {
		text = strings.ToValidUTF8(text[:maxCallLine], "") + "…"
	}
	return text
}
