package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"loradeck/internal/lora"
)

func none(string) string { return "" }

func TestFlagsWinOverEnvironment(t *testing.T) {
	t.Parallel()
	env := func(name string) string {
		return map[string]string{"LORADECK_ADDR": "127.0.0.1:1", "LORADECK_DATA": "/d", "LORADECK_HOST": "a.example, B.example"}[name]
	}
	o, err := parseOptions([]string{"--addr", "127.0.0.1:2"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if o.addr != "127.0.0.1:2" || o.data != "/d" || !slices.Equal(o.hosts, []string{"a.example", "b.example"}) {
		t.Errorf("got %+v", o)
	}
}

func TestBadOptionsGetASentence(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // command line → what the sentence must name
		"serve":                     `"serve"`,
		"--bogus":                   "-bogus",
		"--addr 8080":               "--addr",
		"--local-addr x":            "--local-addr",
		"--data=":                   "--data",
		"--local-account 12":        "twelve digits",
		"--local-region Mars":       "--local-region",
		"--local-pace warp":         `--local-pace is "warp"; use instant or realistic`,
		"--tls-cert a.pem":          "--tls-key",
		"--make-token":              "--token-file",
		"--host https://x":          "--host",
		"local --local-addr none":   "nothing",
		"extra words --addr x":      `"extra"`,
		"--addr 0.0.0.0:80":         "--token-file",
		"--addr :80 --token-file f": "TLS",
		"--addr [::]:80 --token-file f --behind-proxy": "--host",
		"--tls-cert a --tls-key b --behind-proxy":      "exclude",
		"--webhook https://ci.example":                 "LORADECK_WEBHOOK_SECRET",
		"--webhook-secret-file f":                      "--webhook",
		"--webhook ci --webhook-secret-file f":         "webhook's address",
	}
	for line, want := range tests {
		_, err := parseOptions(strings.Fields(line), none)
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), want) {
			t.Errorf("%q: got %v, want a sentence with %q", line, err, want)
		}
	}
	_, err := parseOptions(nil, func(name string) string {
		return map[string]string{"LORADECK_BEHIND_PROXY": "perhaps"}[name]
	})
	if lora.KindOf(err) != lora.Invalid {
		t.Errorf("bad environment: got %v", err)
	}
}

func TestTheWebhooksSecretOfTheEnvironmentIsNotRepeated(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]lora.Kind{"hush, this is short": lora.Invalid, "hush, these are more than 24 bytes": ""} {
		o, err := parseOptions([]string{"--webhook", "https://ci.example/in"}, func(name string) string {
			return map[string]string{"LORADECK_WEBHOOK_SECRET": secret}[name]
		})
		if lora.KindOf(err) != want {
			t.Errorf("%q: got %v", secret, err)
		}
		shown := fmt.Sprintf("%v %+v %#v", err, o, o)
		for _, hush := range []string{"hush", "104 117 115 104", "0x68, 0x75"} { // in words, and as fmt writes bytes
			if strings.Contains(shown, hush) {
				t.Errorf("%q: %q stands in %s", secret, hush, shown)
			}
		}
	}
}

func TestOffLoopbackStartsWithEverythingNamed(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"--addr 0.0.0.0:80 --token-file f --behind-proxy --host deck.example",
		"--addr :80 --token-file f --tls-cert c --tls-key k --host deck.example",
		"--addr localhost:80", "--addr [::1]:0", "--addr 127.0.0.9:1", "health --addr 0.0.0.0:80",
	} {
		if _, err := parseOptions(strings.Fields(line), none); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if _, err := parseOptions([]string{"--help"}, none); !errors.Is(err, errHelp) {
		t.Errorf("--help: got %v", err)
	}
}
