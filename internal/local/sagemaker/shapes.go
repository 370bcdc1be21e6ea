package sagemaker

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// shapesText is SageMaker's service model as botocore has it, changed in that tools/clients/shapes.py cut it to the operations of
// this room and took out its texts. botocore is Amazon's, under the Apache License 2.0, as this program is (LICENSE).
//
//go:embed shapes.json
var shapesText string

// service is the service model: what each operation takes and answers. It is read once and not changed.
type service struct {
	Operations map[string]struct{ Input, Output shapeRef }
	Shapes     map[string]*shape
}

// shape is a type of the service model with its limits. Lengths are in characters, and Min and Max bound them or a number.
type shape struct {
	Type               string // structure, list, map, string, integer, float, boolean or timestamp
	Members            members
	Required           []string
	Member, Key, Value shapeRef // of a list, of a map
	Min, Max           *float64
	Pattern            string
	Enum               []string

	form   *regexp.Regexp // of Pattern, for the whole value
	limits []limit
}

// shapeRef names a shape; the zero shapeRef is none.
type shapeRef struct {
	Shape  string
	*shape `json:"-"`
}

type member struct {
	name string
	shapeRef
}

// members are a structure's, in the model's order: what is wrong with them is told in it.
type members []member

// UnmarshalJSON reads an object and keeps its order.
func (m *members) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		one := member{name: fmt.Sprint(name)}
		if err := decoder.Decode(&one.shapeRef); err != nil {
			return err
		}
		*m = append(*m, one)
	}
	return nil
}

// translated has the patterns that look ahead or behind, which Go's regular expressions do not, and what says the same.
var translated = map[string]string{
	`(?!\s*$).+`:                   `.*\S.*`,
	`/(?!.*\.\.)[a-zA-Z0-9/_.\-]+`: `/(\.|(\.?[a-zA-Z0-9/_\-])+\.?)`,
	`(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?([a-zA-Z0-9]([a-zA-Z0-9-]){0,62})(?<!-)(\/[0-9]{1,9})?`: `(arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:[a-z\-]*\/)?([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(\/[0-9]{1,9})?`,
}

// readService reads a service model and joins its names to their shapes.
func readService(text string) (*service, error) {
	var s service
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return nil, fmt.Errorf("read service model: %w", err)
	}
	find := func(ref *shapeRef) error {
		if ref.Shape == "" {
			return nil
		}
		ref.shape = s.Shapes[ref.Shape]
		if ref.shape == nil {
			return fmt.Errorf("read service model: it has no shape %s", ref.Shape)
		}
		return nil
	}
	for name, o := range s.Operations {
		for _, ref := range []*shapeRef{&o.Input, &o.Output} {
			if err := find(ref); err != nil {
				return nil, err
			}
		}
		s.Operations[name] = o
	}
	for name, of := range s.Shapes {
		refs := []*shapeRef{&of.Member, &of.Key, &of.Value}
		for i := range of.Members {
			refs = append(refs, &of.Members[i].shapeRef)
		}
		for _, ref := range refs {
			if err := find(ref); err != nil {
				return nil, err
			}
		}
		if of.Pattern != "" {
			var err error
			if of.form, err = regexp.Compile("^(?:" + cmp.Or(translated[of.Pattern], of.Pattern) + ")$"); err != nil {
				return nil, fmt.Errorf("read service model: pattern of %s: %w", name, err)
			}
		}
		of.limits = limitsOf(of)
	}
	return &s, nil
}

// answer gives what of a document an operation answers.
func (s *service) answer(operation string, of document) document {
	kept, _ := s.Operations[operation].Output.cut(map[string]any(of)).(map[string]any)
	return kept
}

// cut gives what of a value the shape has: AWS's answers have fewer members than its questions.
func (s *shape) cut(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if s.Type != "structure" {
			return value // a map is answered as it was sent
		}
		kept := map[string]any{}
		for _, m := range s.Members {
			if inner, there := value[m.name]; there {
				kept[m.name] = m.cut(inner)
			}
		}
		return kept
	case []any:
		kept := slices.Clone(value)
		for i := range kept {
			kept[i] = s.Member.cut(kept[i])
		}
		return kept
	}
	return value
}
