package main

import (
	"loradeck/internal/handlers"
	"loradeck/internal/local/demo"
)

// samples are the demo's adapters as the pages offer them.
func samples() []handlers.Sample {
	var list []handlers.Sample
	for _, s := range demo.Samples() {
		list = append(list, handlers.Sample{Name: s.Name, Title: s.Title, Blurb: s.Blurb, Files: s.Files, Prompts: s.Prompts})
	}
	return list
}
