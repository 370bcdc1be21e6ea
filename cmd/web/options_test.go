package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"loradeck/internal/local"
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

func TestBasesComeFromFlagsOrTheEnvironment(t *testing.T) {
	t.Parallel()
	env := func(name string) string {
		return map[string]string{
			"LORADECK_LOCAL_MODEL": "a=/m/a;b=/m,b", "LORADECK_LOCAL_VLLM": "c=http://gpu:8000/,model=/m/c,seen=/mnt/adapters,rank=64", "LORADECK_LOCAL_VLLM_KEY": "k",
		}[name]
	}
	o, err := parseOptions(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	want := []local.Base{{Name: "a", Dir: "/m/a"}, {Name: "b", Dir: "/m,b"}, {Name: "c", URL: "http://gpu:8000", Dir: "/m/c", Seen: "/mnt/adapters", Rank: 64, Key: "k"}}
	if diff := cmp.Diff(want, o.localBases()); diff != "" {
		t.Error(diff)
	}
	if o, err = parseOptions([]string{"--local-model", "x=/x", "--local-model", "y=/y"}, env); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]local.Base{{Name: "x", Dir: "/x"}, {Name: "y", Dir: "/y"}, want[2]}, o.localBases()); diff != "" {
		t.Errorf("a flag replaces its variable: %s", diff)
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
		"--addr [::]:80 --token-file f --behind-proxy":      "--host",
		"--tls-cert a --tls-key b --behind-proxy":           "exclude",
		"--webhook https://ci.example":                      "LORADECK_WEBHOOK_SECRET",
		"--webhook-secret-file f":                           "--webhook",
		"--webhook ci --webhook-secret-file f":              "webhook's address",
		"--local-model ./smollm2":                           "a name and a folder",
		"--local-model a_b=./x":                             `"a_b" cannot be`,
		"--local-model Tiny-Llama=./x":                      "demo's base",
		"--local-model " + strings.Repeat("a", 59) + "=./x": "58 letters",
		"--local-model a=./x --local-addr none":             "--local-addr none",
		"--local-vllm http://127.0.0.1:8000":                "a name and an http",
		"--local-vllm a=127.0.0.1:8000":                     "a name and an http",
		"--local-vllm a=http://me:secret@h":                 "LORADECK_LOCAL_VLLM_KEY",
		"--local-vllm a=http://h/v1":                        "has a path",
		"--local-vllm a=http://h,rank=x":                    "rank=64",
		"--local-vllm a=http://h,seen=adapters":             "from / on",
		"--local-vllm a=http://h,dir=/x":                    "model=, seen= and rank=",
	}
	for line, want := range tests {
		_, err := parseOptions(strings.Fields(line), none)
		if lora.KindOf(err) != lora.Invalid || !strings.Contains(lora.Message(err), want) {
			t.Errorf("%q: got %v, want a sentence with %q", line, err, want)
		}
	}
	_, err := parseOptions([]string{"--local-model", "X y=./x"}, none)
	if text := lora.Message(err); strings.Count(text, "cannot be") != 1 || strings.Contains(text, "..") {
		t.Errorf("a refusal is said once, and ends once: %s", text)
	}
	_, err = parseOptions(nil, func(name string) string {
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
