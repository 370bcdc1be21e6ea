package sagemaker_test

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestRequestsAreJSON11 sends what no SDK sends: other methods, content types, targets and bodies.
func TestRequestsAreJSON11(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	const amazon, list, page = "application/x-amz-json-1.1", "SageMaker.ListModels", "<UnknownOperationException/>\n"
	for _, c := range []struct {
		rule, method, kind, target, body string
		status                           int
		want                             string
	}{
		{"as SDKs send it", "POST", amazon, list, `{}`, 200, `{"Models":[]}`},
		{"with a charset", "POST", amazon + "; charset=utf-8", list, `{}`, 200, `{"Models":[]}`},
		{"as plain JSON", "POST", "application/json", list, `{}`, 200, `{"Models":[]}`},
		{"without a type", "POST", "", list, `{}`, 200, `{"Models":[]}`},
		{"without a body", "POST", amazon, list, ``, 200, `{"Models":[]}`},
		{"as a form", "POST", "application/x-www-form-urlencoded", list, `{}`, 404, page},
		{"read with GET", "GET", amazon, list, ``, 404, page},
		{"of another service", "POST", amazon, "DynamoDB.ListTables", `{}`, 400, `"__type":"UnknownOperationException"`},
		{"of another letter case", "POST", amazon, "SageMaker.listModels", `{}`, 400, `"__type":"UnknownOperationException"`},
		{"an operation that is not here", "POST", amazon, "SageMaker.CreateTrainingJob", `{}`, 400, `"__type":"UnknownOperationException"`},
		{"no JSON", "POST", amazon, list, `{`, 400, `"__type":"SerializationException"`},
		{"two values", "POST", amazon, list, `{} {}`, 400, `"__type":"SerializationException"`},
		{"a list", "POST", amazon, list, `[]`, 400, "Start of list found where not expected"},
		{"null", "POST", amazon, list, `null`, 400, "Unexpected field type"},
		{"a text for a number", "POST", amazon, list, `{"MaxResults":"1"}`, 400, "STRING_VALUE can not be converted to an Integer"},
		{"a number beyond Java's", "POST", amazon, list, `{"MaxResults":3000000000}`, 400, "NUMBER_VALUE can not be converted to an Integer"},
		{"a fraction, which Java cuts off", "POST", amazon, list, `{"MaxResults":1.9}`, 200, `{"Models":[]}`},
		{"a number for a text", "POST", amazon, list, `{"NameContains":1.5}`, 400, "DECIMAL_VALUE can not be converted to a String"},
		{"true for a text", "POST", amazon, list, `{"NameContains":true}`, 400, "TRUE_VALUE can not be converted to a String"},
		{"a text for a time", "POST", amazon, list, `{"CreationTimeAfter":"2026-01-01"}`, 400, "STRING_VALUE can not be converted to milliseconds since epoch"},
		{"a structure for a text", "POST", amazon, list, `{"NameContains":{}}`, 400, "Start of structure or map found where not expected"},
		{"a text for a structure", "POST", amazon, "SageMaker.CreateModel", `{"PrimaryContainer":"x"}`, 400, "Unexpected field type"},
		{"a number for a truth", "POST", amazon, "SageMaker.CreateModel", `{"EnableNetworkIsolation":1}`, 400, "NUMBER_VALUE can not be converted to a Boolean"},
		{"a text for a share", "POST", amazon, "SageMaker.CreateEndpointConfig", `{"ProductionVariants":[{"InitialVariantWeight":"1"}]}`, 400, "STRING_VALUE can not be converted to a Float"},
		{"null in a list", "POST", amazon, "SageMaker.DeleteTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","TagKeys":[null]}`, 400, "Value null at 'tagKeys.1.member' failed to satisfy constraint: Member must not be null"},
		{"too long", "POST", amazon, list, `{"NextToken":"` + strings.Repeat("a", 4<<20) + `"}`, 413, `"__type":"RequestEntityTooLargeException"`},
		{"wrong more often than is told", "POST", amazon, "SageMaker.AddTags", `{"ResourceArn":"x","Tags":[` + strings.Repeat("null,", 200) + `null]}`, 400, "203 validation errors detected: "},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), c.method, h.url+"/", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amz-Target", c.target)
			if c.kind != "" {
				r.Header.Set("Content-Type", c.kind)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != c.status || !strings.Contains(string(text), c.want) {
				t.Errorf("got %d %.300s %v, want %d with %s", answer.StatusCode, text, err, c.status, c.want)
			}
			if answer.Header.Get("x-amzn-RequestId") == "" {
				t.Error("no request id")
			}
			if len(text) > 20_000 {
				t.Errorf("the answer has %d bytes", len(text))
			}
		})
	}
}

// TestTimesAreSecondsWithAFraction holds the form of times on the wire.
func TestTimesAreSecondsWithAFraction(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.model("m")
	var found struct{ CreationTime json.RawMessage }
	text := h.raw("DescribeModel", `{"ModelName":"m"}`)
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "200 ")), &found); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^1\d{9}\.\d{3}$`).Match(found.CreationTime) {
		t.Errorf("created at %s", found.CreationTime)
	}
}

// TestDeletionsAnswerNothing holds that operations without an output have an empty body, and those with an empty one {}.
func TestDeletionsAnswerNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, (&programs{}).run)
	h.model("m")
	if got := h.raw("DeleteTags", `{"ResourceArn":"arn:aws:sagemaker:us-east-1:000000000000:model/m","TagKeys":["k"]}`); got != "200 {}" {
		t.Errorf("DeleteTags answered %q", got)
	}
	if got := h.raw("DeleteModel", `{"ModelName":"m"}`); got != "200 " {
		t.Errorf("DeleteModel answered %q", got)
	}
}
