package sagemaker_test

import (
	"strings"
	"testing"
)

// TestModelsThatCannotBeLaidOutFail holds the rules of S3Prefix (facts §1.9): the base fails, and says which object to look at.
func TestModelsThatCannotBeLaidOutFail(t *testing.T) {
	t.Parallel()
	for rule, c := range map[string]struct{ keys, want string }{
		"a folder marker":                  {"config.json sub/", `"tiny/sub/" marks a folder`},
		"a marker of the prefix":           {"config.json /", `"tiny/" marks a folder`},
		"a file that is a directory too":   {"weights weights/part1", `"tiny/weights" would be both a file and a directory`},
		"and deeper":                       {"a/b/c a/b/c/d/e", `"tiny/a/b/c" would be both a file and a directory`},
		"an empty part":                    {"a//b", "a part of its path is empty"},
		"a dot":                            {"a/./b", "a part of its path is ."},
		"two dots":                         {"../b", "a part of its path is .."},
		"a part of more than 255 bytes":    {strings.Repeat("é", 128) + "/b", "longer than 255 bytes"},
		"a null byte":                      {"a\x00b", "null byte"},
		"nothing":                          {"", "at least one object located under the URI"},
		"parts that are as long as may be": {strings.Repeat("a", 255) + "/b a.b/..c", ""},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, (&programs{}).run)
			delete(h.shelf.held, "models/tiny/config.json")
			for key := range strings.FieldsSeq(c.keys) {
				h.shelf.put("models/tiny/"+strings.TrimPrefix(key, "/"), nil)
			}
			h.endpoint("e")
			h.model("m")
			status, reason := "Failed", ""
			if got := h.create(baseInput("base", "e", "m")); got.FailureReason != nil {
				reason = *got.FailureReason
			} else {
				status = string(got.InferenceComponentStatus)
			}
			if (status == "InService") != (c.want == "") || !strings.Contains(reason, c.want) {
				t.Errorf("%s, %q; want %q", status, reason, c.want)
			}
		})
	}
}
