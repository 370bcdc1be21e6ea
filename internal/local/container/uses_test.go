package container

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
)

// knownUses are the adapters that answer otherwise on purpose, and why.
var knownUses = map[string]string{}

// TestAdaptersAnswerAsRecorded uses every adapter that loads: whether it answers as the base, as the good adapter or as
// neither is what was recorded, and so is a failure. Equal means that text and logprobs to four
// places are, as the recorder had it.
func TestAdaptersAnswerAsRecorded(t *testing.T) {
	t.Parallel()
	dir := unpackData(t)
	buildMenu(t, dir)
	server := httptest.NewServer(startRecorded(t, dir, nil, nil))
	defer server.Close()
	base := use(t, server.URL, "")
	if got := register(t, server.URL, "ref-good", filepath.Join(dir, "good")); got.Status != 200 {
		t.Fatal(got.Body)
	}
	good := use(t, server.URL, "ref-good")
	if slices.Equal(base, good) {
		t.Fatal("the good adapter answers as the base")
	}
	compared, equal := 0, 0
	for _, want := range readMenuResults(t, dir) {
		if _, refused := knownLoads[want.Name]; refused || want.Load.Status != 200 {
			continue
		}
		if got := register(t, server.URL, want.Name, filepath.Join(dir, "menu", want.Name)); got.Status != 200 {
			t.Errorf("%s: %d %s", want.Name, got.Status, got.Body)
			continue
		}
		got := use(t, server.URL, want.Name)
		var statuses []int
		for _, one := range want.Use {
			statuses = append(statuses, one.Status)
		}
		compared++
		same := slices.Equal(statuses, []int{got[0].status, got[1].status}) &&
			want.EqualsBase == slices.Equal(got, base) && want.EqualsGood == slices.Equal(got, good)
		_, expected := knownUses[want.Name]
		if same == expected {
			t.Errorf("%s (%s): statuses %v, base %t, good %t; recorded %v, %t, %t", want.Name, want.Note, []int{got[0].status, got[1].status},
				slices.Equal(got, base), slices.Equal(got, good), statuses, want.EqualsBase, want.EqualsGood)
		}
		if same {
			equal++
		}
		unregister(t, server.URL, want.Name)
	}
	if again := use(t, server.URL, ""); !slices.Equal(again, base) {
		t.Error("the base answers otherwise after the menu")
	}
	t.Logf("%d adapters used: %d as recorded, %d otherwise on purpose", compared, equal, len(knownUses))
}

// used is what an adapter answered: the status, the text and the logprobs.
type used struct {
	status        int
	text, numbers string
}

// use asks as the recorder did.
func use(t *testing.T, url, adapter string) []used {
	t.Helper()
	var out []used
	for _, body := range []string{
		`{"prompt": "The boat", "temperature": 0, "max_tokens": 10, "logprobs": 2}`,
		`{"messages": [{"role": "user", "content": "What about the lamp?"}], "temperature": 0, "max_tokens": 24}`,
	} {
		got := post(t, url, "/invocations", adapter, body)
		var answer struct {
			Choices []struct {
				Logprobs *struct {
					Numbers []float64 `json:"token_logprobs"`
				} `json:"logprobs"`
			} `json:"choices"`
		}
		one := used{status: got.Status, text: textOf(got)}
		if json.Unmarshal([]byte(got.Body), &answer) == nil && len(answer.Choices) > 0 && answer.Choices[0].Logprobs != nil {
			one.numbers = fmt.Sprintf("%.4f", answer.Choices[0].Logprobs.Numbers)
		}
		out = append(out, one)
	}
	return out
}
