package sagemaker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// document is a request or what is kept of one: all members that AWS knows, none of them null. Numbers are int64 or float64.
type document map[string]any

// unless sets a member that was left out.
func (d document) unless(member string, value any) {
	if _, there := d[member]; !there {
		d[member] = value
	}
}

// within gives a member that is a structure, and nil when it is not there.
func (d document) within(member string) document {
	inner, _ := d[member].(map[string]any)
	return inner
}

// list gives a member that is a list of structures.
func (d document) list(member string) []document {
	items, _ := d[member].([]any)
	all := make([]document, len(items))
	for i, item := range items {
		all[i], _ = item.(map[string]any)
	}
	return all
}

// read takes a request body apart as AWS does. Members that the shape does not have, and those that are null, are passed over;
// names count to the letter. A value of another kind is a SerializationException; whatever is missing or breaks a limit is
// told at once in a ValidationException.
func (s *shape) read(body []byte) (document, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if !json.Valid(body) || decoder.Decode(&value) != nil {
		return nil, unreadable("The request body is not valid JSON.")
	}
	fitted, err := s.fit(value)
	if err != nil {
		return nil, err
	}
	var wrong violations
	s.check(&wrong, "", fitted)
	return fitted.(map[string]any), wrong.err() // a structure fits as a map, or not at all
}

func unreadable(format string, args ...any) error {
	return &apiError{kind: "SerializationException", message: fmt.Sprintf(format, args...)}
}

// fit gives a JSON value as the shape has it.
func (s *shape) fit(value any) (any, error) {
	switch given := value.(type) {
	case map[string]any:
		switch s.Type {
		case "structure":
			return s.fitMembers(given)
		case "map":
			return s.fitValues(given)
		}
	case []any:
		if s.Type == "list" {
			return s.fitItems(given)
		}
	case string:
		if s.Type == "string" {
			return given, nil
		}
	case bool:
		if s.Type == "boolean" {
			return given, nil
		}
	case json.Number:
		number, err := given.Float64()
		switch {
		case err != nil:
		case s.Type == "float":
			return number, nil
		case s.Type == "integer" && math.Abs(number) <= math.MaxInt32:
			return int64(number), nil // AWS truncates fractions
		case s.Type == "timestamp" && math.Abs(number) < 1e12: // seconds; 30,000 years
			return number, nil
		}
	}
	return nil, s.misfit(value)
}

func (s *shape) fitMembers(given map[string]any) (any, error) {
	kept := map[string]any{}
	for _, m := range s.Members {
		if given[m.name] == nil {
			continue
		}
		value, err := m.fit(given[m.name])
		if err != nil {
			return nil, err
		}
		kept[m.name] = value
	}
	return kept, nil
}

func (s *shape) fitValues(given map[string]any) (any, error) {
	kept := map[string]any{}
	for key, value := range given {
		if value == nil {
			continue
		}
		value, err := s.Value.fit(value)
		if err != nil {
			return nil, err
		}
		kept[key] = value
	}
	return kept, nil
}

// fitItems leaves null items: they are told as what is missing.
func (s *shape) fitItems(given []any) (any, error) {
	kept := make([]any, len(given))
	for i, value := range given {
		if value == nil {
			continue
		}
		value, err := s.Member.fit(value)
		if err != nil {
			return nil, err
		}
		kept[i] = value
	}
	return kept, nil
}

// misfit has the words of AWS's own JSON reader for a value of the wrong kind, as DynamoDB and SES are known to give them.
func (s *shape) misfit(value any) error {
	var token string
	switch value := value.(type) {
	case map[string]any:
		return unreadable("Start of structure or map found where not expected")
	case []any:
		return unreadable("Start of list found where not expected")
	case string:
		token = "STRING_VALUE"
	case json.Number:
		token = "NUMBER_VALUE"
		if strings.ContainsAny(value.String(), ".eE") {
			token = "DECIMAL_VALUE"
		}
	case bool:
		token = strings.ToUpper(strconv.FormatBool(value)) + "_VALUE"
	}
	as := map[string]string{"string": "a String", "integer": "an Integer", "float": "a Float", "boolean": "a Boolean", "timestamp": "milliseconds since epoch"}[s.Type]
	if token == "" || as == "" {
		return unreadable("Unexpected field type")
	}
	return unreadable("%s can not be converted to %s", token, as)
}
