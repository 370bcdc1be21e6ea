package lora_test

import (
	"strings"
	"testing"

	"loradeck/internal/lora"
)

func TestComponentNameIsAlwaysOneSageMakerTakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("very-long-", 9)
	tests := []struct{ adapter, base, want string }{
		{"pirate", "tiny-llama-base", "pirate-v3-tiny-llama-base"},
		{"my_adapter (new)", "base", "my-adapter-new-v3-base"},
		{"海盗", "base", "v3-base"},
	}
	for _, test := range tests {
		if got := lora.ComponentName(test.adapter, 3, test.base); got != test.want {
			t.Errorf("%q on %q: got %q, want %q", test.adapter, test.base, got, test.want)
		}
	}
	one, two := lora.ComponentName(long+"a", 1, "base"), lora.ComponentName(long+"b", 1, "base")
	if one == two {
		t.Errorf("two long names fall together: %q", one)
	}
	for _, name := range []string{one, two, lora.ComponentName("x", 1, long)} {
		if !lora.ValidComponentName(name) {
			t.Errorf("%q (%d characters) would be refused", name, len(name))
		}
	}
}
