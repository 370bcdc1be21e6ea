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

// What the command lines of 0.11.2 and 0.32.0 said to these words is recorded beside local/container.
func TestALimitThatVLLMRefusesIsNotKnown(t *testing.T) {
	t.Parallel()
	tests := []struct {
		variable, value   string
		rank, loras, kept int
		wrong             bool
	}{
		{lora.EnvMaxLoraRank, "64", 64, 2, 0, false},
		{lora.EnvMaxLoraRank, " +3_2 ", 32, 2, 0, false},
		{lora.EnvMaxLoraRank, "False", 16, 2, 0, false}, // leaves the flag out
		{lora.EnvMaxLoraRank, "33", 0, 2, 0, true},
		{lora.EnvMaxLoraRank, "16.0", 0, 2, 0, true},
		{lora.EnvMaxLoraRank, "sixty-four", 0, 2, 0, true},
		{lora.EnvMaxLoraRank, "", 0, 2, 0, true},
		{lora.EnvMaxLoras, "0", 16, 0, 0, true},
		{lora.EnvMaxLoras, "1__0", 16, 0, 0, true},
		{lora.EnvMaxCPULoras, "2", 16, 2, 2, false},
		{lora.EnvMaxCPULoras, "1", 16, 2, 0, true}, // below the batch
		{lora.EnvMaxCPULoras, "0", 16, 2, 0, false},
		{lora.EnvMaxCPULoras, "-1", 16, 2, 0, false}, // as if it were not given
	}
	for _, test := range tests {
		env := map[string]string{lora.EnvEnableLora: "true", lora.EnvMaxLoras: "2"}
		env[test.variable] = test.value
		got := lora.SettingsFrom(env)
		if got.MaxRank != test.rank || got.MaxLoras != test.loras || got.MaxCPULoras != test.kept {
			t.Errorf("%s=%q: got %+v", test.variable, test.value, got)
		}
		given, wrong := got.Wrong[test.variable]
		if wrong != test.wrong || wrong && given != test.value {
			t.Errorf("%s=%q: wrong %t, %q", test.variable, test.value, wrong, given)
		}
	}
	const says = `SM_VLLM_MAX_LORA_RANK is "33", which vLLM does not take: it takes 1, 8, 16, 32, 64, 128, 256, 320 or 512.`
	if got := lora.SettingsFrom(map[string]string{lora.EnvMaxLoraRank: "33"}).Refusal(lora.EnvMaxLoraRank); got != says {
		t.Errorf("got %q, want %q", got, says)
	}
}

func TestLoRAIsOnAsTheEntrypointHasIt(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"true": true, "True": true, "": true, "1": true, "yes": true, "false": false, "FALSE": false} {
		if got := lora.SettingsFrom(map[string]string{lora.EnvEnableLora: value}).Enabled; got != want {
			t.Errorf("%q: got %t", value, got)
		}
	}
	if lora.SettingsFrom(nil).Enabled {
		t.Error("on though it is not set")
	}
}
