package container

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManyPromptsAreAnsweredAsEachAlone sends 48 prompts in one request, as a proof does: the choices come in the order of
// the prompts, and none depends on the others.
func TestManyPromptsAreAnsweredAsEachAlone(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(startRecorded(t, unpackData(t), nil, nil))
	defer server.Close()
	type choice struct {
		Index    int
		Text     string
		Logprobs struct {
			Top []map[string]float64 `json:"top_logprobs"`
		}
	}
	asking := func(prompts ...string) []choice {
		t.Helper()
		got := post(t, server.URL, "/invocations", "", fmt.Sprintf(`{"prompt":%s,"max_tokens":1,"logprobs":5,"temperature":0}`, compact(prompts)))
		var answer struct{ Choices []choice }
		if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || len(answer.Choices) != len(prompts) {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		return answer.Choices
	}
	words := strings.Fields("the boat is bright near old gate lamp and garden")
	var prompts []string
	for i := range 48 {
		prompts = append(prompts, words[i%10]+" "+words[i*7%10]+" "+words[i/10])
	}
	together := asking(prompts...)
	for _, i := range []int{0, 1, 17, 47} {
		alone := asking(prompts[i])
		alone[0].Index = i
		if diff := cmp.Diff(alone[0], together[i]); diff != "" {
			t.Errorf("prompt %d answers otherwise among others:\n%s", i, diff)
		}
		if n := len(together[i].Logprobs.Top[0]); n != 5 {
			t.Errorf("prompt %d has %d likeliest tokens, want 5", i, n)
		}
	}
}
