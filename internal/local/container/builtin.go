package container

import (
	"context"

	"loradeck/internal/lora"
)

// openBuiltIn opens the built-in engine.
func openBuiltIn(context.Context, string, Limits) (Engine, error) {
	return nil, lora.Errorf(lora.Unavailable, "This build has no engine.")
}
