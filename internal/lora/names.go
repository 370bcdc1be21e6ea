package lora

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// MaxComponentName is the longest name SageMaker takes for an inference component (botocore sagemaker service model,
// InferenceComponentName).
const MaxComponentName = 63

var (
	nameForm      = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$`)
	componentForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	notInName     = regexp.MustCompile(`[^a-zA-Z0-9]+`)
)

// ValidComponentName reports whether SageMaker would take name for an inference component.
func ValidComponentName(name string) bool { return componentForm.MatchString(name) }

// ValidName reports whether name can be the name of an adapter or a tenant: it becomes part of S3 keys and tags, so it has
// letters, digits, dots, underscores and hyphens only, up to 63.
func ValidName(name string) bool { return nameForm.MatchString(name) }

// ComponentName proposes the name of an adapter component, "ADAPTER-vN-BASE". What SageMaker does not allow becomes a
// hyphen; a name that is too long is cut and ends in a hash of the whole, so that two of them stay apart.
func ComponentName(adapter string, version int64, base string) string {
	clean := func(s string) string { return strings.Trim(notInName.ReplaceAllString(s, "-"), "-") }
	whole := fmt.Sprintf("%s-v%d-%s", clean(adapter), version, clean(base))
	whole = strings.Trim(whole, "-")
	if len(whole) <= MaxComponentName {
		return whole
	}
	sum := sha256.Sum256([]byte(whole))
	tail := "-" + hex.EncodeToString(sum[:])[:8]
	return strings.TrimRight(whole[:MaxComponentName-len(tail)], "-") + tail
}
