package handlers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/levers"
)

func TestWhatNoContainerHasIsASentenceForEachBase(t *testing.T) {
	t.Parallel()
	died := time.Date(2026, 3, 4, 14, 2, 11, 0, time.UTC)
	lost := func(name, base string) levers.Component {
		return levers.Component{Name: name, Base: base, Status: "InService"}
	}
	held := levers.Component{Name: "tiny", Status: "InService", Held: true}
	var many []levers.Component
	var names []string
	for i := range 30 {
		names = append(names, fmt.Sprintf("a%02d", i))
		many = append(many, lost(names[i], "tiny"))
	}
	for name, test := range map[string]struct {
		now  levers.Local
		want []string
	}{
		"all is held": {levers.Local{Components: []levers.Component{held}}, nil},
		"what moves, failed or has no copies": {levers.Local{Components: []levers.Component{
			{Name: "a", Status: "Creating"}, {Name: "b", Status: "Failed"}, {Name: "c", Base: "tiny", Status: "InService", Idle: true},
		}}, nil},
		"forgotten": {levers.Local{
			Containers: []levers.Container{{Component: "tiny", Life: "running", Died: died, Lost: []string{"d", "c", "b", "a"}}},
			Components: []levers.Component{lost("a", "tiny"), lost("b", "tiny"), lost("c", "tiny"), lost("d", "tiny"), held},
		}, []string{"The engine of tiny stopped at 14:02:11; it forgot 4 adapters: a, b, c, d. They are InService all the same, as on SageMaker, and invoking them answers an error. Remove what is needed and deploy it again."}},
		"one forgotten, one refused, and another base": {levers.Local{
			Containers: []levers.Container{{Component: "tiny", Life: "running", Died: died, Lost: []string{"a"}}, {Component: "big", Life: "running"}},
			Components: []levers.Component{lost("a", "tiny"), lost("b", "tiny"), lost("c", "big"), held},
		}, []string{
			"The container of big refused or could not read 1 adapter: c. It is InService all the same, as on SageMaker, and invoking it answers an error. The program's log says why.",
			"The engine of tiny stopped at 14:02:11; it forgot 1 adapter: a. It is InService all the same, as on SageMaker, and invoking it answers an error. Remove what is needed and deploy it again.",
			"The container of tiny refused or could not read 1 adapter: b. It is InService all the same, as on SageMaker, and invoking it answers an error. The program's log says why.",
		}},
		"its engine is away": {levers.Local{
			Containers: []levers.Container{{Component: "tiny", Life: "down", Died: died, Lost: []string{"a"}}},
			Components: []levers.Component{lost("a", "tiny"), lost("tiny", "")},
		}, []string{"The engine of tiny stopped at 14:02:11 and starts again by itself. Until then it answers nothing, although it is InService. It comes back without 1 adapter: a."}},
		"nobody answers": {levers.Local{Components: []levers.Component{lost("own", ""), lost("a", "own"), lost("b", "own")}},
			[]string{"own is InService, and no container answers for it: invoking it answers an error. The same goes for 2 adapters: a, b."}},
		"very many": {levers.Local{
			Containers: []levers.Container{{Component: "tiny", Life: "running", Died: died, Lost: names}}, Components: many,
		}, []string{"The engine of tiny stopped at 14:02:11; it forgot 30 adapters: " + strings.Join(names[:12], ", ") + " and 18 more. They are InService all the same, as on SageMaker, and invoking them answers an error. Remove what is needed and deploy it again."}},
	} {
		if diff := cmp.Diff(test.want, lostOf(test.now, func(t time.Time) string { return t.Format(time.TimeOnly) })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
