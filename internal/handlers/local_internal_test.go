package handlers

import (
	"testing"
	"time"

	"loradeck/internal/levers"
)

func TestAContainersStateIsWhatIsTrueOfIt(t *testing.T) {
	t.Parallel()
	h := &Handlers{Deps: Deps{Now: time.Now}}
	for name, test := range map[string]struct {
		container   levers.Container
		answers     bool
		word, empty string
	}{
		"running":            {levers.Container{Version: "0.11.2", Life: "running"}, true, "Running", "It has no adapter."},
		"back from a crash":  {levers.Container{Version: "0.11.2", Life: "running", Lost: []string{"a"}}, true, "Running", "It has forgotten its adapters."},
		"dying":              {levers.Container{Version: "0.11.2", Life: "dying", Dead: true}, false, "Engine died", "It has no adapter."},
		"down":               {levers.Container{Version: "0.11.2", Life: "down"}, false, "Starting again", "It has forgotten its adapters."},
		"dead in service":    {levers.Container{Version: "0.11.2", Life: "running", Dead: true}, true, "Answers nothing", "It has no adapter."},
		"a vLLM":             {levers.Container{}, true, "A vLLM of your own", "It has no adapter."},
		"a dead vLLM":        {levers.Container{Dead: true}, true, "Answers nothing", "It has no adapter."},
		"a vLLM that is off": {levers.Container{}, false, "Does not answer", "What it has is not known."},
	} {
		if got := h.heldOf(test.container, 0, test.answers); got.State.Word != test.word || got.Empty != test.empty {
			t.Errorf("%s: got %q and %q, want %q and %q", name, got.State.Word, got.Empty, test.word, test.empty)
		}
	}
}
