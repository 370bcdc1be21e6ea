package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"

	"loradeck/internal/lora"
)

// ModelError is what a component's container answered instead of a result. SageMaker wraps any answer that is not 2xx in it
// (facts/sagemaker-vllm.md §1b.3).
type ModelError struct {
	Status  int    // the container's; 0 when it gave no answer
	Message string // the container's body; SageMaker's own words when there is none
}

// Error gives status and body.
func (e *ModelError) Error() string { return fmt.Sprintf("model answered %d: %s", e.Status, e.Message) }

// Unknown reports whether the container said that it does not know the adapter: vLLM's "does not exist", or FastAPI's bare
// "Not Found", which SageMaker passes on when the registration was refused (recordings/README.md).
func (e *ModelError) Unknown() bool {
	return e.Status == 404 && (strings.Contains(e.Message, "does not exist") || strings.Contains(e.Message, "Not Found"))
}

// Died reports whether the container says that its engine has died (recordings, behaviour.json vanished_after). It is started
// again and has then forgotten its adapters (crash-and-restart.json).
func (e *ModelError) Died() bool {
	return e.Status >= 400 && strings.Contains(e.Message, "EngineCore encountered an issue")
}

// Said gives the sentence inside the container's JSON body, or its beginning when there is none.
func (e *ModelError) Said() string {
	var body struct {
		Message string `json:"message"`
		Detail  any    `json:"detail"`
		Error   struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	text := e.Message
	if json.Unmarshal([]byte(e.Message), &body) == nil {
		switch detail, isText := body.Detail.(string); {
		case body.Error.Message != "":
			text = body.Error.Message
		case body.Message != "":
			text = body.Message
		case isText:
			text = detail
		}
	}
	if strings.TrimSpace(text) == "" {
		return "nothing more"
	}
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return strings.TrimRight(strings.TrimSpace(text), ".")
}

// Sentence tells what the container answered, and not what to do.
func (e *ModelError) Sentence() string {
	return fmt.Sprintf("The model's server answered %d: %s.", e.Status, e.Said())
}

// lookAtBase is what to do when a container fails without saying why. An adapter writes to its base's log, which on AWS is a log
// group by the base's name (facts §2.4).
const lookAtBase = "Ask the base alone: if it answers, the adapter is the cause. The reason is in the log of the base's container, on AWS the log group /aws/sagemaker/InferenceComponents/ and the base's name."

// dead is the error of an answer that says that the engine has died.
func (e *ModelError) dead(doing string) error {
	return lora.Wrap(fmt.Errorf("%s: %w", doing, e), lora.Unavailable, "The engine of the model's server has died (%d: %s). It is started again and has then forgotten its adapters: remove them and deploy them again.", e.Status, e.Said())
}

// translate turns an error of the SDK into a lora.Error. Doing is what was tried, as "describe component x".
func translate(err error, doing string) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if cause := context.Canceled; errors.Is(err, cause) {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return lora.Wrap(err, lora.Unavailable, "The service did not answer in time. Try again.")
	}
	var model *runtimetypes.ModelError
	if errors.As(err, &model) {
		answer := &ModelError{Message: deref(model.OriginalMessage)}
		if model.OriginalStatusCode != nil {
			answer.Status = int(*model.OriginalStatusCode)
		}
		kind, next := lora.Invalid, ""
		switch {
		case answer.Status == 0:
			return lora.Wrap(fmt.Errorf("%s: %w", doing, answer), lora.Unavailable, "The model's server gave no answer. AWS says: %s. Try again in a moment; if it stays so, look at the log of the base's container.", answer.Said())
		case answer.Died():
			return answer.dead(doing)
		case answer.Unknown():
			kind, next = lora.NotFound, " The adapter was refused when it was loaded, or the engine has started anew since and forgotten it: look at the base's log, then remove the adapter and deploy it again."
		case answer.Status == 404:
			kind = lora.NotFound
		case answer.Status >= 500:
			kind, next = lora.Unavailable, " "+lookAtBase
		}
		return lora.Wrap(fmt.Errorf("%s: %w", doing, answer), kind, "%s%s", answer.Sentence(), next)
	}
	var broken *runtimetypes.ModelStreamError
	if errors.As(err, &broken) {
		message := "The answer broke off: the connection to the model's server was lost. Ask again."
		if deref(broken.ErrorCode_) == "ModelInvocationTimeExceeded" {
			message = "The answer broke off: it took longer than SageMaker lets a stream take. Ask for fewer tokens."
		}
		return lora.Wrap(fmt.Errorf("%s: %w", doing, err), lora.Unavailable, "%s", message)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		kind, message := judge(api)
		return lora.Wrap(fmt.Errorf("%s: %w", doing, err), kind, "%s", message)
	}
	// Before the network: without credentials the SDK ends by asking an address that exists on EC2 only, and that call's
	// time-out would be taken for an AWS that cannot be reached.
	if text := err.Error(); strings.Contains(text, "get credentials") || strings.Contains(text, "refresh cached credentials") {
		return lora.Wrap(fmt.Errorf("%s: %w", doing, err), lora.Unauthorized, "There are no usable AWS credentials. Log in again, or name a profile.")
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return lora.Wrap(fmt.Errorf("%s: %w", doing, err), lora.Unavailable, "The service cannot be reached. Look at the network and try again.")
	}
	return lora.Wrap(fmt.Errorf("%s: %w", doing, err), lora.Unavailable, "The service gave an answer that could not be read. Try again.")
}

// judge gives kind and sentence of an AWS error by its code, and for SageMaker's untyped ValidationException by its text.
func judge(api smithy.APIError) (lora.Kind, string) {
	code, text := api.ErrorCode(), strings.TrimSpace(api.ErrorMessage())
	low := strings.ToLower(text)
	said := "AWS says: " + strings.TrimRight(text, ".") + "."
	switch code {
	case "ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "RequestThrottled", "SlowDown":
		return lora.Throttled, "AWS asks us to slow down (" + code + "). Wait a moment before the next try."
	case "ResourceLimitExceeded", "ServiceQuotaExceededException":
		return lora.Limit, said + " Ask for a higher quota, or remove something first."
	case "ResourceInUse", "ConflictException", "BucketAlreadyExists", "PreconditionFailed":
		return lora.Conflict, said
	case "PermanentRedirect", "MovedPermanently", "AuthorizationHeaderMalformed":
		return lora.Conflict, "The bucket lies in another region. Name one in the place's own region."
	case "NoSuchKey", "NoSuchBucket", "NoSuchUpload", "NotFound", "ResourceNotFound":
		return lora.NotFound, said
	case "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "Forbidden": // the last of a HEAD, which has no body
		return lora.Forbidden, said + " Give this role the permission it names."
	case "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed":
		return lora.Unauthorized, said + " Log in to AWS again."
	case "BadRequest": // of a HEAD, which has no body: S3's answer to expired credentials
		return lora.Unauthorized, "S3 refused a look without saying why, as it does when credentials have expired. Log in to AWS again, then try again."
	case "ModelNotReadyException", "ServiceUnavailable", "InternalFailure", "InternalServerError", "InternalError", "InternalDependencyException", "RequestTimeout",
		"ModelStreamError", "InternalStreamFailure":
		return lora.Unavailable, said + " Try again in a moment."
	}
	switch {
	case strings.Contains(low, "rate exceeded"):
		return lora.Throttled, "AWS asks us to slow down. Wait a moment before the next try."
	case strings.Contains(low, "has no capacity"):
		return lora.Unavailable, said
	case strings.Contains(low, "could not find"), strings.Contains(low, "not found"):
		return lora.NotFound, said
	case strings.Contains(low, "already exist"), strings.Contains(low, "delete_in_progress"), strings.Contains(low, "associated"):
		return lora.Conflict, said
	}
	if api.ErrorFault() == smithy.FaultServer {
		return lora.Unavailable, said + " Try again in a moment."
	}
	return lora.Invalid, said
}

// missing reports whether S3 says by status alone that there is nothing: a HEAD has no body to say it in.
func missing(err error) bool {
	var none *s3types.NotFound
	return errors.As(err, &none)
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
