package handlers_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"loradeck/internal/db"
	"loradeck/internal/lora"
	"loradeck/internal/people"
)

// rebase stores the seed's base as a later look would find it.
func (d *deck) rebase(t *testing.T, change func(*db.PutComponentParams)) {
	t.Helper()
	d.write(t, func(q *db.Queries) error {
		base, err := q.ComponentNamed(t.Context(), db.ComponentNamedParams{PlaceID: placeID, Name: "tiny-llama-base"})
		if err != nil {
			return err
		}
		put := db.PutComponentParams{
			PlaceID: placeID, Name: base.Name, ARN: base.ARN, Endpoint: base.Endpoint, ModelName: base.ModelName, Status: base.Status, Copies: base.Copies, Tags: "{}",
			Environment: base.Environment, ModelConfig: base.ModelConfig, CreatedAt: base.CreatedAt, ModifiedAt: base.ModifiedAt,
		}
		change(&put)
		return q.PutComponent(t.Context(), put)
	})
}

// pressable finds the links and the buttons that can be pressed and have this text in them.
func pressable(html, text string) (found []string) {
	for _, one := range regexp.MustCompile(`(?s)<(?:a|button)\b[^>]*>.*?</(?:a|button)>`).FindAllString(html, -1) {
		open, _, _ := strings.Cut(one, ">")
		if strings.Contains(one, text) && !strings.Contains(open, " disabled") {
			found = append(found, one)
		}
	}
	return found
}

func TestWhatNeedsARunningCopyCannotBePressedWithoutOne(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.prove(t, d.seed(t), lora.VerdictProven)
	playground := "/playground?" + url.Values{"base": {placeID + " tiny-llama-base"}}.Encode()
	upload := fmt.Sprintf("/uploads/%d", d.program(t, "").uploaded(t, pirate(t)).ID)
	acts := []struct{ page, text, says string }{
		{"/", "Try base", "No copy of tiny-llama-base runs"},
		{"/", "Compare", "No copy of tiny-llama-base runs"},
		{"/", "Deploy sample", "No copy of tiny-llama-base runs"},
		{playground, "Run", "No copy of tiny-llama-base runs"},
		{"/adapters/1", ">Compare<", "No copy of tiny-llama-base runs"},
		{"/jobs/1", "Compare in playground", "No copy of tiny-llama-base runs"},
		{upload, "Deploy pirate", "No copy of tiny-llama-base runs"},
	}
	for _, act := range acts {
		if page := d.get(t, act.page).body; len(pressable(page, act.text)) == 0 || strings.Contains(page, act.says) {
			t.Errorf("%s, with a copy: %q cannot be pressed, or the page says %q", act.page, act.text, act.says)
		}
	}
	for _, reason := range []string{"", "The update was rolled back."} { // what failed does not hide that nothing answers
		d.rebase(t, func(base *db.PutComponentParams) { base.Copies, base.FailureReason = 0, reason })
		for _, act := range acts {
			page := d.get(t, act.page).body
			if found := pressable(page, act.text); len(found) > 0 {
				t.Errorf("%s, without a copy, offers %s", act.page, found)
			}
			if !strings.Contains(page, act.text) || !strings.Contains(page, act.says) {
				t.Errorf("%s, without a copy, does not show %q and why it cannot be pressed", act.page, act.text)
			}
		}
		if page := d.get(t, "/").body; !strings.Contains(page, reason) {
			t.Errorf("the deck does not say %q", reason)
		}
	}
}

func TestABaseThatIsNotInServiceIsNotDeployedTo(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.prove(t, d.seed(t), lora.VerdictProven)
	path := fmt.Sprintf("/uploads/%d", d.program(t, "").uploaded(t, pirate(t)).ID)
	d.rebase(t, func(base *db.PutComponentParams) { base.Status, base.Copies = "Creating", 0 })
	if page := d.get(t, path).body; len(pressable(page, "Deploy pirate")) > 0 || !strings.Contains(page, "tiny-llama-base is Creating, and only") {
		t.Errorf("it can be deployed on a base that is being created:\n%s", page)
	}
}

// What a base that does not start was given is shown as given, and no number in its place.
func TestALimitThatVLLMRefusesIsShownAsItWasGiven(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	d.rebase(t, func(base *db.PutComponentParams) {
		base.Status, base.Copies, base.FailureReason = "Failed", 0, "api_server.py: error: argument --max-lora-rank: invalid choice: 33"
		base.Environment = `{"SM_VLLM_ENABLE_LORA":"true","SM_VLLM_MAX_LORAS":"4","SM_VLLM_MAX_CPU_LORAS":"8","SM_VLLM_MAX_LORA_RANK":"33","VLLM_ALLOW_RUNTIME_LORA_UPDATING":"true"}`
	})
	page := d.get(t, "/").body
	for _, want := range []string{"invalid choice: 33", "SM_VLLM_MAX_LORA_RANK is &#34;33&#34;, which vLLM does not take", "<b>not known</b>", "<b>4</b>", "<b>8</b>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the deck lacks %q:\n%s", want, page)
		}
	}
	for _, made := range []string{"<b>33</b>", "<b>16</b>", "<li data-in"} {
		if strings.Contains(page, made) {
			t.Errorf("the deck shows %s for a rank that is not known", made)
		}
	}
	var bases struct {
		Bases []struct {
			Settings struct {
				Rank  int               `json:"max_rank"`
				Wrong map[string]string `json:"wrong"`
			} `json:"settings"`
		} `json:"bases"`
	}
	d.program(t, "").call(t, http.MethodGet, "/api/v1/bases", "", http.StatusOK, &bases)
	if got := bases.Bases[0].Settings; got.Rank != 0 || got.Wrong["SM_VLLM_MAX_LORA_RANK"] != "33" {
		t.Errorf("the API gives %+v", got)
	}
}

func TestNothingIsSaidOfSettingsThatWereNotRead(t *testing.T) {
	t.Parallel()
	d := newDeck(t, people.Alone("dana"))
	d.seed(t)
	path := fmt.Sprintf("/uploads/%d", d.program(t, "").uploaded(t, pirate(t)).ID)
	d.rebase(t, func(base *db.PutComponentParams) { base.Environment = "{}" })
	if page := d.get(t, path).body; strings.Contains(page, "LoRA is off") || strings.Contains(page, "of up to 16") || !strings.Contains(page, "Nothing was held against the base") {
		t.Errorf("the page makes up settings:\n%s", page)
	}
}
