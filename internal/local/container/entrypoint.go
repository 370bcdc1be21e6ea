package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sort"
	"strings"
)

// flag is one option after the entrypoint, with the tokens behind it: bare when there are none.
type flag struct {
	name   string
	values []string
}

// flags turns SM_VLLM_* into options in the entrypoint's order (facts/sagemaker-vllm.md §2.1): true and empty are bare flags,
// false leaves the flag out, anything else is its value. Images of later versions also take JSON apart.
func flags(environment map[string]string, d dialect) []flag {
	var out []flag
	for key, value := range environment {
		rest, ok := strings.CutPrefix(key, "SM_VLLM_")
		if !ok || strings.EqualFold(value, "false") {
			continue
		}
		f := flag{name: "--" + strings.ToLower(strings.ReplaceAll(rest, "_", "-"))}
		switch {
		case value == "" || strings.EqualFold(value, "true"):
		case d.takesApart && !slices.Contains(oneToken, rest):
			if f.values = takenApart(value); len(f.values) == 0 {
				continue // an empty array drops the flag
			}
		default:
			f.values = []string{value}
		}
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

// oneToken are the variables whose value is never taken apart, as they end behind SM_VLLM_.
var oneToken = []string{"ALLOWED_ORIGINS", "ALLOWED_METHODS", "ALLOWED_HEADERS", "MIDDLEWARE"}

// takenApart makes one token of each element of a JSON array and of each of several JSON objects; any other text is one token.
func takenApart(value string) []string {
	var elements []json.RawMessage
	if json.Unmarshal([]byte(value), &elements) != nil || elements == nil {
		if elements = objects(value); len(elements) < 2 {
			return []string{value}
		}
	}
	tokens := make([]string, len(elements))
	for i, element := range elements {
		if json.Unmarshal(element, &tokens[i]) != nil { // no string: it stays JSON
			tokens[i] = string(element)
		}
	}
	return tokens
}

// objects are the JSON objects that a text consists of, none when it holds anything else.
func objects(text string) (found []json.RawMessage) {
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var one json.RawMessage
		switch err := decoder.Decode(&one); {
		case errors.Is(err, io.EOF):
			return found
		case err != nil || !bytes.HasPrefix(one, []byte("{")):
			return nil
		}
		found = append(found, one)
	}
}
