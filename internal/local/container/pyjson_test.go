package container

import (
	"encoding/json"
	"math"
	"testing"
)

func TestJSONFaultsHavePythonsWords(t *testing.T) {
	t.Parallel()
	// Each message was taken from Python 3.11's json.loads.
	for text, want := range map[string]string{
		``:              "Expecting value: line 1 column 1 (char 0)",
		`{`:             "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
		`{"a":`:         "Expecting value: line 1 column 6 (char 5)",
		`{"a" 1}`:       "Expecting ':' delimiter: line 1 column 6 (char 5)",
		`{"a": 1,}`:     "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)",
		`[1,]`:          "Expecting value: line 1 column 4 (char 3)",
		`[1 2]`:         "Expecting ',' delimiter: line 1 column 4 (char 3)",
		"{\n \"ä\": x}": "Expecting value: line 2 column 7 (char 8)",
		`"abc`:          "Unterminated string starting at: line 1 column 1 (char 0)",
		"\"a\nb\"":      "Invalid control character at: line 1 column 3 (char 2)",
		`"\x"`:          `Invalid \escape: line 1 column 2 (char 1)`,
		`1 2`:           "Extra data: line 1 column 3 (char 2)",
		`nul`:           "Expecting value: line 1 column 1 (char 0)",
		`-`:             "Expecting value: line 1 column 1 (char 0)",
		"\ufeff{}":      "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)",
	} {
		if _, err := parseJSON(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestJSONValuesAreReadAsPythonReadsThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"b": 1, "a": [true, null, 1.0, 1e400]}`: `{'b': 1, 'a': [True, None, 1.0, inf]}`,
		`{"a": 1, "b": 2, "a": 3}`:                `{'a': 3, 'b': 2}`,
		`"\u00e9\ud83d\ude00\n\/"`:                `'é😀\n/'`,
		`99999999999999999999`:                    `99999999999999999999`,
		`-0.5e-3`:                                 `-0.0005`,
		`1e-5`:                                    `1e-05`,
		`"it's"`:                                  `"it's"`,
	} {
		value, err := parseJSON(text)
		if err != nil || repr(value) != want {
			t.Errorf("%s: got %s (%v), want %s", text, repr(value), err, want)
		}
	}
	if value, err := parseJSON("NaN"); err != nil || !math.IsNaN(value.(float64)) {
		t.Errorf("NaN: got %v, %v", value, err)
	}
}

func FuzzJSONAgreesWithTheStandardLibrary(f *testing.F) {
	for _, seed := range []string{`{"a":[1,2.5,"x\u0041"]}`, `[[[]]]`, `"\ud800"`, `{"a":{"a":1},"a":2}`, "\x00", `1e309`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := parseBody([]byte(text))
		if err != nil {
			return
		}
		compact(value)
		repr(value)
		// What the standard library takes, we take; the other way round Python is wider (NaN, a byte order mark).
		var std any
		if json.Unmarshal([]byte(text), &std) == nil && value == nil && std != nil {
			t.Errorf("%q was read as null", text)
		}
	})
}
