package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	runtimetypes "github.com/aws/aws-sdk-go-v2/service/sagemakerruntime/types"
	"github.com/aws/smithy-go"

	"loradeck/internal/lora"
)

func apiError(code, message string) error {
	return &smithy.OperationError{ServiceID: "SageMaker", OperationName: "X", Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

func modelError(status int32, body string) error {
	return &smithy.OperationError{ServiceID: "SageMaker Runtime", OperationName: "InvokeEndpoint", Err: &runtimetypes.ModelError{
		Message: aws.String("Received client error (404) from primary with message"), OriginalStatusCode: &status, OriginalMessage: &body,
	}}
}

// The messages are SageMaker's (facts/sagemaker-vllm.md §1.9, §1b.3): it has one untyped ValidationException for most things.
func TestEveryAWSErrorHasItsKind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want lora.Kind
	}{
		{"unknown component", apiError("ValidationException", `Could not find inference component "x".`), lora.NotFound},
		{"taken name", apiError("ValidationException", "Cannot create already existing inference component \"x\"."), lora.Conflict},
		{"wrong input", apiError("ValidationException", "1 validation error detected"), lora.Invalid},
		{"throttle", apiError("ThrottlingException", "Rate exceeded"), lora.Throttled},
		{"throttle that says could not find", apiError("ThrottlingException", "Could not find capacity"), lora.Throttled},
		{"throttle as validation", apiError("ValidationException", "Rate exceeded"), lora.Throttled},
		{"quota", apiError("ResourceLimitExceeded", "The account-level service limit"), lora.Limit},
		{"in use", apiError("ResourceInUse", "x"), lora.Conflict},
		{"denied", apiError("AccessDeniedException", "User is not authorized"), lora.Forbidden},
		{"denied HEAD", apiError("Forbidden", "Forbidden"), lora.Forbidden},
		{"expired", apiError("ExpiredTokenException", "The security token is expired"), lora.Unauthorized},
		{"expired HEAD", apiError("BadRequest", "Bad Request"), lora.Unauthorized},
		{"unknown key", apiError("UnrecognizedClientException", "The security token is invalid"), lora.Unauthorized},
		{"no object", apiError("NoSuchKey", "The specified key does not exist."), lora.NotFound},
		{"no upload", apiError("NoSuchUpload", ""), lora.NotFound},
		{"other region", apiError("PermanentRedirect", ""), lora.Conflict},
		{"stream broke", apiError("ModelStreamError", "x"), lora.Unavailable},
		{"server fault", &smithy.GenericAPIError{Code: "New", Fault: smithy.FaultServer}, lora.Unavailable},
		{"refused connection", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, lora.Unavailable},
		{"cut connection", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), lora.Unavailable},
		{"late", context.DeadlineExceeded, lora.Unavailable},
		{"no credentials", fmt.Errorf("get identity: get credentials: %w", &net.OpError{Op: "dial", Err: syscall.ETIMEDOUT}), lora.Unauthorized},
		{"container refuses", modelError(400, `{"message":"bad"}`), lora.Invalid},
		{"container does not know", modelError(404, `{"detail":"Not Found"}`), lora.NotFound},
		{"container broken", modelError(500, "Internal Server Error"), lora.Unavailable},
		{"container silent", modelError(0, "Your invocation timed out while waiting for a response from container primary."), lora.Unavailable},
		{"no copies", apiError("ValidationError", "Inference Component has no capacity to process this request."), lora.Unavailable},
		{"stream broken", &runtimetypes.ModelStreamError{ErrorCode_: aws.String("StreamBroken")}, lora.Unavailable},
		{"stream too long", &runtimetypes.ModelStreamError{ErrorCode_: aws.String("ModelInvocationTimeExceeded")}, lora.Unavailable},
	}
	for _, test := range tests {
		got := translate(test.err, "do it")
		if kind := lora.KindOf(got); kind != test.want {
			t.Errorf("%s: got %q, want %q: %v", test.name, kind, test.want, got)
		}
		if _, isModel := AsModelError(got); !isModel && !errors.Is(got, test.err) {
			t.Errorf("%s: the original is lost", test.name)
		}
		if message := lora.Message(got); !strings.HasSuffix(message, ".") || strings.Contains(message, "%!") {
			t.Errorf("%s: no sentence: %q", test.name, message)
		}
	}
	if translate(nil, "do it") != nil {
		t.Error("no error became one")
	}
	if err := translate(context.Canceled, "do it"); !errors.Is(err, context.Canceled) || lora.Temporary(err) {
		t.Errorf("a cancelled call is no trouble of the service: %v", err)
	}
}

func TestADeadEngineIsTold(t *testing.T) {
	t.Parallel()
	const dead = `{"error":{"message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"Internal Server Error","param":null,"code":500}}`
	err := translate(modelError(500, dead), "ask")
	if answer, ok := AsModelError(err); !ok || !answer.Died() || lora.KindOf(err) != lora.Unavailable || !strings.Contains(lora.Message(err), "forgotten its adapters") {
		t.Errorf("got %v", err)
	}
	if answer, ok := AsModelError(translate(modelError(500, "Internal Server Error"), "ask")); !ok || answer.Died() {
		t.Errorf("a request that crashed is an engine that died: %v", answer)
	}
}

func TestWhatAContainerAnswersIsFollowedByWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status     int32
		body       string
		says, next string
	}{
		"it failed":        {500, "Internal Server Error", "answered 500: Internal Server Error. ", "Ask the base alone"},
		"it does not know": {404, `{"error":{"message":"The model ` + "`x`" + ` does not exist."}}`, "answered 404: The model `x` does not exist. ", "deploy it again"},
		"it is silent":     {0, "", "gave no answer. ", "look at the log"},
		"it refuses":       {400, `{"message":"max_tokens must be at least 1"}`, "answered 400: max_tokens must be at least 1.", ""}, // says it itself
	} {
		message := lora.Message(translate(modelError(test.status, test.body), "ask"))
		if !strings.Contains(message, test.says) || !strings.Contains(message, test.next) || test.next == "" && !strings.HasSuffix(message, test.says) {
			t.Errorf("%s: %q", name, message)
		}
	}
}

func TestUnknownAdapterIsTold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status  int32
		body    string
		unknown bool
		said    string
	}{
		{404, `{"error":{"message":"The model ` + "`x`" + ` does not exist.","code":404}}`, true, "The model `x` does not exist"},
		{404, `{"detail":"Not Found"}`, true, "Not Found"},
		{404, "", false, "nothing more"},
		{400, `{"error":{"message":"x does not exist"}}`, false, "x does not exist"},
		{500, "Internal Server Error", false, "Internal Server Error"},
		{400, `{"detail":[{"loc":["body"]}]}`, false, `{"detail":[{"loc":["body"]}]}`},
	}
	for _, test := range tests {
		answer, ok := AsModelError(translate(modelError(test.status, test.body), "ask"))
		if !ok || answer.Unknown() != test.unknown || answer.Said() != test.said {
			t.Errorf("%d %s: got %+v, unknown %t, said %q", test.status, test.body, answer, answer.Unknown(), answer.Said())
		}
	}
}
