package container

import "testing"

func TestImageVersionPicksTheNewestRecordedOneUpToIt(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"": "0.11.2", "latest": "0.11.2", "0.9.1": "0.11.2", "0.11.2": "0.11.2", "0.26.9": "0.11.2", "0.27.1": "0.27.1",
		"0.31.0.post1": "0.27.1", "0.32.0": "0.32.0", "0.32.0rc1": "0.32.0", "1.0": "0.32.0",
	} {
		if got := dialectOf(version); got.version != want {
			t.Errorf("%q is played as %s, want %s", version, got.version, want)
		}
	}
}

func TestFingerprintSaysHowAServerIsSetUp(t *testing.T) {
	t.Parallel()
	one, again := map[string]string{"SM_VLLM_MAX_LORAS": "1"}, map[string]string{"SM_VLLM_MAX_LORAS": "1"}
	two := map[string]string{"SM_VLLM_MAX_LORAS": "2"}
	later := dialectOf("0.32.0")
	if later.under(one).fingerprint != later.under(again).fingerprint || later.under(one).fingerprint == later.under(two).fingerprint {
		t.Errorf("%s, %s", later.under(one).fingerprint, later.under(two).fingerprint)
	}
	if old := dialectOf("0.11.2").under(one); old.fingerprint != "" {
		t.Errorf("0.11.2 has none, got %q", old.fingerprint)
	}
}

func TestPathsInMessagesAreHiddenFrom0271On(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"No adapter found for /opt/ml/models/a-1/adapter": "No adapter found for <path>",
		"Not a directory: '/tmp/x/adapter_config.json'":   "Not a directory: '<path>'",
		"top_p must be in (0, 1], got 2.0.":               "top_p must be in (0, 1], got 2.0.",
		"n and/or m":                                      "n and/or m",
		`["/one"]`:                                        `["/one"]`,
	} {
		if got := dialectOf("0.27.1").shown(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
		if got := dialectOf("0.11.2").shown(text); got != text {
			t.Errorf("0.11.2 shows %q as %q", text, got)
		}
	}
}

func TestPatternsScaleSingleModulesFrom0320On(t *testing.T) {
	t.Parallel()
	value, err := parseJSON(`{"r": 8, "lora_alpha": 16, "target_modules": [], "rank_pattern": {"layers.1.mlp.up_proj": 4, "down_proj": 16}, "alpha_pattern": {"q_proj": 64}}`)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[string]map[string]float64{
		"0.27.1": {"model.layers.1.mlp.up_proj": 2, "model.layers.0.mlp.down_proj": 2, "model.layers.0.self_attn.q_proj": 2},
		"0.32.0": {"model.layers.1.mlp.up_proj": 4, "model.layers.0.mlp.up_proj": 2, "model.layers.0.mlp.down_proj": 1, "model.layers.0.self_attn.q_proj": 8},
	} {
		c := &Container{dialect: dialectOf(version), settings: settings{maxRank: 16}}
		config, refused := c.judgePEFT(value.(*object))
		if refused != nil {
			t.Fatal(refused)
		}
		for module, scale := range want {
			if got := config.scaleOf(module); got != scale {
				t.Errorf("%s scales %s by %v, want %v", version, module, got, scale)
			}
		}
	}
}
