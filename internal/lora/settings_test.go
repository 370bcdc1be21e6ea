package lora_test

import (
	"testing"

	"loradeck/internal/lora"
)

func TestContextIsReadAsVLLMReadsIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "4096": 4096, " 256 ": 256, "8k": 8000, "8K": 8192, "25.6k": 25600, "1m": 1000000, "k": 0, "many": 0, "-1": 0, "1e300": 0, "NaN": 0,
	} {
		if got := lora.SettingsFrom(map[string]string{lora.EnvMaxModelLen: text}).Context; got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}
