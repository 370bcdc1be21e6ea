package handlers_test

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"loradeck/internal/lora"
	"loradeck/internal/people"
)

func TestAButtonsPageShowsTheCallsItLeadsTo(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"), platform(t))
	d.prove(t, d.seed(t), lora.VerdictProven)
	u := d.program(t, "").uploaded(t, pirate(t))
	hostile := `x"</pre><script>alert(1)</script>`
	for address, want := range map[string][]string{
		fmt.Sprintf("/uploads/%d?adapter=sailor", u.ID): {
			`InferenceComponentName="sailor-v1-tiny-llama-base"`, `"ArtifactUrl": "s3://loradeck/adapters/default/ARCHIVE-SHA256.tar.gz"`,
			`{"Key": "loradeck:adapter", "Value": "sailor"}`, "aws --region us-east-1 --endpoint-url http://127.0.0.1:",
		},
		fmt.Sprintf("/uploads/%d?adapter=sailor&component=my-own", u.ID): {`InferenceComponentName="my-own"`},
		fmt.Sprintf("/uploads/%d?component=%s", u.ID, url.QueryEscape(hostile)): {
			`InferenceComponentName="x\"</pre><script>alert(1)</script>"`,
		},
		"/remove?place=" + url.QueryEscape(placeID) + "&component=pirate-v1-tiny-llama-base": {
			`sm.delete_inference_component(InferenceComponentName="pirate-v1-tiny-llama-base")`, "sagemaker delete-inference-component",
		},
	} {
		page := d.get(t, address).body
		if strings.Contains(page, "<script>alert") {
			t.Errorf("%s: the name became markup", address)
		}
		for _, text := range want {
			if !strings.Contains(html.UnescapeString(page), text) {
				t.Errorf("%s does not show %s", address, text)
			}
		}
	}
}

func TestOfAPlaceThatTheDeckWasStartedWithoutNoCallsAreShown(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.prove(t, d.seed(t), lora.VerdictProven)
	page := d.get(t, "/remove?place="+url.QueryEscape(placeID)+"&component=pirate-v1-tiny-llama-base").body
	if !strings.Contains(page, "What will happen") || strings.Contains(page, "boto3") {
		t.Errorf("the page is\n%s", page)
	}
}
