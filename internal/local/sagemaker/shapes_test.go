package sagemaker

import (
	"maps"
	"testing"
)

// TestTranslatedPatternsSayTheSame has for each pattern that Go cannot read what it takes and what it does not, as Java and
// Python read it.
func TestTranslatedPatternsSayTheSame(t *testing.T) {
	t.Parallel()
	s, err := readService(shapesText)
	if err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(translated)
	for name, texts := range map[string]map[string]bool{
		"AlarmName":           {"a": true, " a ": true, "": false, " ": false, " \t": false, "a\nb": false},
		"MetricsEndpointPath": {"/metrics": true, "/a.b/c": true, "/.a": true, "/a.": true, "/.": true, "//": true, "/": false, "/..": false, "/a..b": false, "/a/../b": false, "metrics": false, "/a b": false},
		"VersionedArnOrName": {
			"a": true, "a-b": true, "a-b/1": true, "arn:aws:sagemaker:us-east-1:000000000000:model-package/p/12": true,
			"a-": false, "a-/1": false, "-a": false, "a/1234567890": false, "arn:aws:sagemaker:us-east-1:000000000000:model-package/p-": false,
		},
	} {
		delete(left, s.Shapes[name].Pattern)
		for text, want := range texts {
			if got := s.Shapes[name].form.MatchString(text); got != want {
				t.Errorf("%s takes %q: %v", name, text, got)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("not tried, or not in the service model: %v", left)
	}
}
