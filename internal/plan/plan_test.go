package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/lora"
	"loradeck/internal/plan"
)

func shipment() plan.Shipment {
	return plan.Shipment{
		Tenant: "legal", Adapter: "redact", Version: 3, Digest: "c0ffee", Mark: "0123abcd", Bucket: "acme", Key: plan.ArtifactKey("legal", "beef"),
		Endpoint: "support-prod", Base: "llama31-8b-base", Component: "redact-v3-llama31-8b-base",
	}
}

// hostile are names that nobody gets past the forms, and that would break out of a text if they did.
func hostile() map[string]string {
	return map[string]string{
		"quotes":     `"""'''"+print(1)+"` + "`id`$(id)${HOME}!!",
		"backslash":  `\\" \' \n \u0041 \`,
		"lines":      "a\nb\r\nc\td\u2028e\fprint(1)",
		"control":    "a\x1b[2Jb\x07\x7f\u009b\u202eevil",
		"unicode":    "чай 你好 é 😀 \U000e0041",
		"no utf-8":   "a\xff\xc3(b",
		"option":     "-rf",
		"looks away": "file:///etc/passwd",
		"empty":      "",
	}
}

func named(name string) plan.Shipment {
	s := shipment()
	s.Adapter, s.Component, s.Base, s.Endpoint, s.Bucket, s.Key, s.Tenant, s.Mark = name, name, name, name, name, name, name, name
	return s
}

func everything(s plan.Shipment) []plan.Call {
	return append(plan.Deploy(s), plan.Remove(s.Component)...)
}

func places() map[string]lora.Place {
	return map[string]lora.Place{
		"AWS":   {Region: "eu-central-1"},
		"local": {Region: "us-east-1", Local: true, Near: true, Endpoint: "http://127.0.0.1:8090"},
	}
}

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestADeploymentIsSentCreatedAwaitedAndAsked(t *testing.T) {
	t.Parallel()
	var operations []string
	for _, call := range everything(shipment()) {
		operations = append(operations, strings.TrimSpace(call.Operation+" "+string(call.Until)))
	}
	want := []string{
		"UploadFile", "CreateInferenceComponent", "DescribeInferenceComponent InService", "InvokeEndpoint", "InvokeEndpoint",
		"DeleteInferenceComponent", "DescribeInferenceComponent gone",
	}
	if diff := cmp.Diff(want, operations); diff != "" {
		t.Error(diff)
	}
}

func TestAnAdapterIsAskedForWithoutComputeVariantOrCopies(t *testing.T) {
	t.Parallel()
	want := decode(t, `{
		"InferenceComponentName": "redact-v3-llama31-8b-base",
		"EndpointName": "support-prod",
		"Specification": {"BaseInferenceComponentName": "llama31-8b-base", "Container": {"ArtifactUrl": "s3://acme/adapters/legal/beef.tar.gz"}},
		"Tags": [
			{"Key": "loradeck:adapter", "Value": "redact"}, {"Key": "loradeck:digest", "Value": "c0ffee"}, {"Key": "loradeck:job", "Value": "0123abcd"},
			{"Key": "loradeck:tenant", "Value": "legal"}, {"Key": "loradeck:version", "Value": "3"}
		]}`)
	if diff := cmp.Diff(want, decode(t, plan.Deploy(shipment())[1].Input.JSON())); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNotKnownYetStandsInCapitals(t *testing.T) {
	t.Parallel()
	s := shipment()
	if note := plan.Deploy(s)[0].Note; strings.Contains(note, "CAPITALS") {
		t.Errorf("all is known, and the note says %q", note)
	}
	s.Digest, s.Mark, s.Key = "", "", plan.ArtifactKey(s.Tenant, "")
	calls := plan.Deploy(s)
	if note := calls[0].Note; !strings.Contains(note, "CAPITALS") {
		t.Errorf("the note says only %q", note)
	}
	text := plan.Boto3(lora.Place{Region: "eu-central-1"}, calls)
	for _, word := range []string{"ARCHIVE-SHA256", "CONTENT-SHA256", "JOB-MARK"} {
		if !strings.Contains(text, word) {
			t.Errorf("no %s in\n%s", word, text)
		}
	}
}

func TestJSONHoldsAnyName(t *testing.T) {
	t.Parallel()
	for what, name := range hostile() {
		removal := plan.Remove(name)[0].Input
		got, isMembers := decode(t, removal.JSON()).(map[string]any)
		if want := strings.ToValidUTF8(name, "\uFFFD"); !isMembers || len(got) != 1 || got["InferenceComponentName"] != want {
			t.Errorf("%s: %v instead of %q", what, got, want)
		}
	}
}

func TestATextLeadsToItsPlaceAndHoldsNoKeysOfAWS(t *testing.T) {
	t.Parallel()
	for where, place := range places() {
		calls := plan.Deploy(shipment())
		python, shell := plan.Boto3(place, calls), plan.CLI(place, calls)
		for _, text := range []string{python, shell} {
			if !strings.Contains(text, place.Region) || place.Endpoint != "" && !strings.Contains(text, place.Endpoint) {
				t.Errorf("%s: the text leads elsewhere:\n%s", where, text)
			}
			if place.Local == strings.Contains(text, "15") {
				t.Errorf("%s: the text looks at the wrong pace:\n%s", where, text)
			}
		}
		if keys := strings.Contains(python, "aws_access_key_id"); keys != place.Local {
			t.Errorf("%s: names keys: %t", where, keys)
		}
	}
}
