package handlers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"loradeck/internal/levers"
	"loradeck/internal/lora"
	"loradeck/web/templates"
)

// missing is what is InService of a base and answers nothing, for want of a container that has it.
type missing struct {
	base     bool     // the base itself
	adapters []string // of it
}

// lostOf says of each base in a sentence what the control plane calls InService and no container has. Clock writes a time.
func lostOf(now levers.Local, clock func(time.Time) string) []string {
	bases := map[string]missing{}
	for _, c := range now.Components {
		if lora.Status(c.Status) != lora.StatusInService || c.Held || c.Idle {
			continue
		}
		base := cmp.Or(c.Base, c.Name)
		m := bases[base]
		if c.Base == "" {
			m.base = true
		} else {
			m.adapters = append(m.adapters, c.Name)
		}
		bases[base] = m
	}
	var sentences []string
	for _, base := range slices.Sorted(maps.Keys(bases)) {
		var c levers.Container
		if i := slices.IndexFunc(now.Containers, func(c levers.Container) bool { return c.Component == base }); i >= 0 {
			c = now.Containers[i]
		}
		sentences = append(sentences, bases[base].sentences(base, c, clock)...)
	}
	return sentences
}

// sentences tell why: the engine died, or is away and will have forgotten them; nobody answers; or they were refused.
func (m missing) sentences(base string, c levers.Container, clock func(time.Time) string) []string {
	if c.Life == "dying" || c.Life == "down" {
		text := fmt.Sprintf("The engine of %s stopped at %s and starts again by itself. Until then it answers nothing, although it is InService.", base, clock(c.Died))
		if len(m.adapters) > 0 {
			text += " It comes back without " + counted(m.adapters) + "."
		}
		return []string{text}
	}
	if m.base {
		text := base + " is InService, and no container answers for it: invoking it answers an error."
		if len(m.adapters) > 0 {
			text += " The same goes for " + counted(m.adapters) + "."
		}
		return []string{text}
	}
	var forgotten, refused, sentences []string
	for _, name := range m.adapters {
		if slices.Contains(c.Lost, name) {
			forgotten = append(forgotten, name)
		} else {
			refused = append(refused, name)
		}
	}
	if len(forgotten) > 0 {
		sentences = append(sentences, fmt.Sprintf("The engine of %s stopped at %s; it forgot %s. %s Remove what is needed and deploy it again.", base, clock(c.Died), counted(forgotten), silent(forgotten)))
	}
	if len(refused) > 0 {
		sentences = append(sentences, fmt.Sprintf("The container of %s refused or could not read %s. %s The program's log says why.", base, counted(refused), silent(refused)))
	}
	return sentences
}

// silent says how adapters that are not loaded look from outside.
func silent(names []string) string {
	if len(names) == 1 {
		return "It is InService all the same, as on SageMaker, and invoking it answers an error."
	}
	return "They are InService all the same, as on SageMaker, and invoking them answers an error."
}

// mostNamed is how many adapters a sentence names.
const mostNamed = 12

// counted counts adapters and names them: "2 adapters: a, b".
func counted(names []string) string {
	text := templates.Plural(len(names), "adapter") + ": " + strings.Join(names[:min(len(names), mostNamed)], ", ")
	if more := len(names) - mostNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
