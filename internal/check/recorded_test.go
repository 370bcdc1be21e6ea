package check_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"loradeck/internal/check"
	"loradeck/internal/lora"
	"loradeck/internal/peft"
)

// menu is testdata/recorded.json: 126 adapters that real vLLM was given, with what it did (recordings/menu and
// vllm-*/menu-results.json), cut down to what a check reads: the config without peft's usual defaults, the names of the files,
// and the tensors of the weights' header. "damaged" weights are no safetensors file at all; "~" stands for
// "base_model.model.model.layers.".
type menu struct {
	Base     json.RawMessage
	Tensors  map[string][][3]json.RawMessage // name, type, shape
	Adapters []struct {
		Name, Note             string
		Loads                  [3]bool // by vLLM 0.11.2, 0.27.1 and 0.32.0
		EqualsBase, EqualsGood bool    // what 0.11.2 answered
		Files                  map[string]string
		Tensors                string
	}
}

// sizes are the bytes of one value.
var sizes = map[string]int{"F32": 4, "BF16": 2, "F16": 2, "I8": 1, "F8_E4M3": 1}

// weights gives a safetensors file with these tensors, all zero.
func weights(t *testing.T, tensors [][3]json.RawMessage) []byte {
	t.Helper()
	var members []string
	at := 0
	for _, tensor := range tensors {
		var name, dtype string
		var shape []int
		for i, into := range []any{&name, &dtype, &shape} {
			if err := json.Unmarshal(tensor[i], into); err != nil {
				t.Fatal(err)
			}
		}
		size := sizes[dtype]
		for _, n := range shape {
			size *= n
		}
		members = append(members, fmt.Sprintf(`%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`,
			strings.ReplaceAll(name, "~", "base_model.model.model.layers."), dtype, tensor[2], at, at+size))
		at += size
	}
	header := "{" + strings.Join(members, ",") + "}"
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(file, header...), make([]byte, at)...)
}

// What vLLM refuses, in any version, or loads to answer as the base, is blocked; what it serves right is not. Both ways the
// exceptions are named.
func TestTheRulesAgreeWithRecordedVLLM(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var m menu
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	config, err := check.ParseModelConfig(m.Base)
	if err != nil {
		t.Fatal(err)
	}
	on := check.Base{Name: "tiny", Config: config, Settings: lora.Settings{Enabled: true, MaxRank: 16, MaxLoras: 1, RuntimeUpdate: true}}
	unseen := map[string]string{
		"ok_zero_b": "the values of the tensors are not read; the proof tells",
	}
	stricter := map[string]string{
		"a11_bin_good":              "pickles are refused whatever is in them",
		"a11_pt_good":               "pickles are refused whatever is in them",
		"a11_bin_module_not_in_cfg": "pickles are refused whatever is in them",
		"s7_peft_type_loha":         "it says that it is no LoRA",
	}
	for _, recorded := range m.Adapters {
		files := fstest.MapFS{}
		for name, content := range recorded.Files {
			files[name] = &fstest.MapFile{Data: []byte(content)}
		}
		if recorded.Tensors != "" {
			files[peft.WeightsFile] = &fstest.MapFile{Data: weights(t, m.Tensors[recorded.Tensors])}
		}
		blocked := true
		var report check.Report
		if a, err := peft.Inspect(files); err == nil {
			report = check.Run(a, on)
			blocked = report.Blocks()
		}
		bad := recorded.EqualsBase || recorded.Loads != [3]bool{true, true, true}
		if passes := bad && !blocked; passes != (unseen[recorded.Name] != "") {
			t.Errorf("%s (%s) is let through: %t; vLLM loads: %v, equals base: %t", recorded.Name, recorded.Note, passes, recorded.Loads, recorded.EqualsBase)
		}
		if stopped := !bad && recorded.EqualsGood && blocked; stopped != (stricter[recorded.Name] != "") {
			t.Errorf("%s (%s), which vLLM serves right, is blocked: %t: %s", recorded.Name, recorded.Note, stopped, report.Refusal())
		}
	}
}
