package sagemaker

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxMessage is what a message of the runtime holds, in characters (Message in botocore's model).
const maxMessage = 2048

// runtimeError is an error of the runtime, as rest-json writes it: its type in a header, its members as JSON (facts §1b.3).
// Beside the members of the service model AWS writes an ErrorCode, where one is known from reports.
type runtimeError struct {
	status  int
	kind    string
	code    string // ErrorCode, "" for none
	message string
	more    map[string]any // members of this type only
}

// Error gives type and message.
func (e *runtimeError) Error() string { return e.kind + ": " + e.message }

func (e *runtimeError) answer(w http.ResponseWriter) {
	body := map[string]any{}
	maps.Copy(body, e.more)
	if e.message != "" {
		body["Message"] = e.message
	}
	if e.code != "" {
		body["ErrorCode"] = e.code
	}
	w.Header().Del(variantHeader)
	w.Header().Set("X-Amzn-Errortype", e.kind)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	io.WriteString(w, encoded(body))
}

// answerRuntimeError answers with an error of the runtime; any other is a failure of the platform's own.
func (p *Platform) answerRuntimeError(w http.ResponseWriter, r *http.Request, err error) {
	var known *runtimeError
	if !errors.As(err, &known) {
		p.config.Log.ErrorContext(r.Context(), "invocation failed", "err", err)
		known = internalFailure()
	}
	known.answer(w)
}

// unfit is a ValidationError, the runtime's ValidationException.
func unfit(code, format string, args ...any) *runtimeError {
	return &runtimeError{status: http.StatusBadRequest, kind: "ValidationError", code: code, message: fmt.Sprintf(format, args...)}
}

// asValidationError turns what checks found into the runtime's own type.
func asValidationError(err error) error {
	var wrong *apiError
	if errors.As(err, &wrong) {
		return unfit("", "%s", wrong.message)
	}
	return err
}

// noCapacity is met by a component whose copies were all taken away, in the words of AWS's guide to scaling to zero.
func noCapacity() *runtimeError {
	return unfit("", "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.")
}

// The errors of the service itself, in the words of the service model.
func internalFailure() *runtimeError {
	return &runtimeError{status: http.StatusInternalServerError, kind: "InternalFailure", message: "An internal failure occurred."}
}

func unavailable() *runtimeError {
	return &runtimeError{status: http.StatusServiceUnavailable, kind: "ServiceUnavailable", message: "The service is unavailable. Try your call again."}
}

func dependencyFailed() *runtimeError {
	return &runtimeError{status: 530, kind: "InternalDependencyException", message: "Your request caused an exception with an internal dependency. Contact customer support."}
}

func notReady() *runtimeError {
	return &runtimeError{status: http.StatusTooManyRequests, kind: "ModelNotReadyException", message: "Either a serverless endpoint variant's resources are still being provisioned, or a multi-model endpoint is still downloading or loading the target model. Wait and try your request again."}
}

// throttled has no message, as users report (opensearch-project/ml-commons#2429).
func throttled() *runtimeError {
	return &runtimeError{status: http.StatusBadRequest, kind: "ThrottlingException", more: map[string]any{"message": nil}}
}

// modelError wraps what the container answered (facts §1b.3); status 0 is a container that gave no answer. The words are those
// of many reports, "primary" being the container. A body longer than a message may be is told as in
// awslabs/realtime-fraud-detection-with-gnn-on-dgl#1331.
func (p *Platform) modelError(base string, status int, body string) *runtimeError {
	side, code := "client", "CLIENT_ERROR_FROM_MODEL"
	if status >= 500 || status == 0 {
		side, code = "server", "INTERNAL_FAILURE_FROM_MODEL"
	}
	group := "/aws/sagemaker/InferenceComponents/" + base
	said := fmt.Sprintf("Received %s error (%d) from primary", side, status)
	see := fmt.Sprintf(" See https://%[1]s.console.aws.amazon.com/cloudwatch/home?region=%[1]s#logEventViewer:group=%s in account %s for more information.", p.config.Region, group, p.config.Account)
	body = strings.ToValidUTF8(body, "�")
	message := said + ` with message "` + body + `".` + see
	if utf8.RuneCountInString(message) > maxMessage {
		message = said + " and could not load the entire response body." + see
	}
	return &runtimeError{
		status: http.StatusFailedDependency, kind: "ModelError", code: code, message: message,
		more: map[string]any{
			"OriginalStatusCode": status, "OriginalMessage": firstRunes(body, maxMessage),
			"LogStreamArn": "arn:aws:logs:" + p.config.Region + ":" + p.config.Account + ":log-group:" + group,
		},
	}
}

func firstRunes(text string, most int) string {
	for at := range text {
		if most == 0 {
			return text[:at]
		}
		most--
	}
	return text
}

// tooLate is met by a container that takes longer than it may (RamVegiraju/SageMaker-Deployment#3).
func (p *Platform) tooLate(base string) *runtimeError {
	return p.modelError(base, 0, "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.")
}

// noAnswer is met by a container that closes the connection (aws/amazon-sagemaker-examples#3089).
func (p *Platform) noAnswer(endpoint, base string) *runtimeError {
	return p.modelError(base, 0, "Amazon SageMaker could not get a response from the "+endpoint+" endpoint. This can occur when CPU or memory utilization is high. To check your utilization, see Amazon CloudWatch. To fix this problem, use an instance type with more CPU capacity or memory.")
}

// tooLong is met by a container whose answer is longer than the service model lets one be. No report shows AWS's words, nor that it
// is a ModelError: beliefs.
func (p *Platform) tooLong(base string) *runtimeError {
	return p.modelError(base, 0, fmt.Sprintf("The response of container primary is larger than %d bytes. Ask for less, or use InvokeEndpointWithResponseStream.", maxInvocation))
}
