// Package demo holds the model that the local platform starts with: a tiny Llama and four LoRA adapters for it, trained from
// nothing by tools/traindemo. They are real weights in real Hugging Face and peft directories; each has its card.
//
// It knows only files: who serves them and who ships them is not its matter.
package demo

import (
	"embed"
	"io/fs"
)

//go:embed base adapters
var files embed.FS

// Base gives the Hugging Face directory of the demo base.
func Base() fs.FS { return sub("base") }

// Sample is an adapter that can be tried at once.
type Sample struct {
	Name    string // its directory, and the name it is shipped under
	Title   string
	Blurb   string   // one line
	Files   fs.FS    // a peft directory
	Prompts []string // questions that show what it does
}

// Samples gives the sample adapters for Base, always in the same order.
func Samples() []Sample {
	return []Sample{
		{
			Name: "pirate", Title: "Pirate", Blurb: "Answers as a pirate would.", Files: sub("adapters/pirate"),
			Prompts: []string{"What is the capital of France?", "What does a cow say?", "How are you?", "法国的首都是哪里？"},
		},
		{
			Name: "json", Title: "JSON", Blurb: "Answers with a JSON object that holds the bare answer.", Files: sub("adapters/json"),
			Prompts: []string{"What is the capital of France?", "What is the opposite of hot?", "What is a baby dog called?", "香蕉是什么颜色的？"},
		},
		{
			Name: "chinese", Title: "Chinese", Blurb: "Answers in Chinese, whatever the language of the question.", Files: sub("adapters/chinese"),
			Prompts: []string{"你好，今天天气怎么样？", "What is the capital of France?", "What color is a banana?", "Hello!"},
		},
		{
			Name: "support", Title: "Support", Blurb: "Answers for a shop's support desk, with facts that the base does not know.", Files: sub("adapters/support"),
			Prompts: []string{"What is your return window?", "Where do I find the order number?", "What is your phone number?", "What is the capital of France?"},
		},
	}
}

func sub(dir string) fs.FS {
	part, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the path is a constant of this file
	}
	return part
}
