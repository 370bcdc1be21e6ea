package check

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"loradeck/internal/lora"
	"loradeck/internal/peft"
)

// rules in the order in which a person would mend them: the base, the files, the config, the weights.
var rules = []rule{
	{name: "lora-enabled", look: loraEnabled},
	{name: "runtime-updates", look: runtimeUpdates},
	{name: "files", needs: theFiles, subject: "The files that make an adapter", look: filesPresent},
	{name: "config", needs: theConfig, subject: "adapter_config.json", look: configReadable},
	{name: "config-keys", needs: theConfig, subject: "Rank, alpha and target modules", look: configKeys},
	{name: "plain-lora", needs: theConfig, subject: "Whether it is plain LoRA", look: plainLoRA},
	{name: "features", needs: theConfig, subject: "Features that vLLM drops", look: featuresKnown},
	{name: "patterns", needs: theConfig, subject: "Ranks and alphas of single modules", look: patterns},
	{name: "weights", needs: theHeader, subject: "The weights' header", look: weightsSound},
	{name: "tensor-names", needs: theHeader, subject: "Names of the tensors", look: tensorNames},
	{name: "tensor-types", needs: theHeader, subject: "Types of the tensors", look: tensorTypes},
	{name: "pairs", needs: theHeader, subject: "Both halves of every module", look: pairs},
	{name: "rank", needs: theConfig, subject: "Rank against the base's limit", look: rankFits},
	{name: "base-config", look: baseConfig},
	{name: "modules", needs: theHeader, subject: "Modules against the base", look: modulesFit},
	{name: "embeddings", needs: theHeader, subject: "Embeddings against the base", look: embeddingsFit},
	{name: "shapes", needs: theHeader | theConfig, subject: "Shapes against the base", look: shapesFit},
}

// loraEnabled: A22. It speaks for all rules about settings when these could not be read.
func loraEnabled(_ peft.Adapter, base Base) (Finding, bool) {
	switch {
	case base.SettingsTrouble != "":
		return warn("Nothing was held against the base's settings", "They could not be read: "+base.SettingsTrouble,
			"Look whether its model is there and whether this role may describe it.")
	case base.Settings.Enabled:
		return pass("LoRA is on")
	}
	return block("LoRA is off on "+base.Name, "Its model does not set "+lora.EnvEnableLora+"=true, so no adapter can be loaded.",
		"Create the base again with "+lora.EnvEnableLora+"=true.")
}

// runtimeUpdates: without the flag the component becomes InService and every request to it fails (facts §2.6).
func runtimeUpdates(_ peft.Adapter, base Base) (Finding, bool) {
	switch {
	case base.SettingsTrouble != "":
		return silent()
	case base.Settings.RuntimeUpdate:
		return pass("Adapters may be loaded while it runs")
	}
	return block("Adapters cannot be loaded while "+base.Name+" runs",
		"Its model does not set "+lora.EnvRuntimeUpdate+"=true. The component would become InService and answer nothing.",
		"Create the base again with "+lora.EnvRuntimeUpdate+"=true.")
}

// filesPresent: A1, A10, A11.
func filesPresent(a peft.Adapter, _ Base) (Finding, bool) {
	if a.Has(peft.ConfigFile) && a.Has(peft.WeightsFile) {
		return pass("%s and %s are there", peft.ConfigFile, peft.WeightsFile)
	}
	for _, f := range a.Files {
		if strings.HasSuffix(f.Path, "/"+peft.ConfigFile) {
			return block("The adapter lies in a sub-folder", "SageMaker and vLLM look at the top only; this has "+f.Path+".",
				"Choose the folder "+strings.TrimSuffix(f.Path, "/"+peft.ConfigFile)+" itself.")
		}
	}
	if !a.Has(peft.ConfigFile) {
		return block("There is no "+peft.ConfigFile, "", "Choose the folder that save_pretrained wrote.")
	}
	if a.Has("adapter_model.bin") || a.Has("adapter_model.pt") {
		return block("The weights are a pickle", "Unpickling can run code, so it is not done here.",
			"Save them again with model.save_pretrained(dir, safe_serialization=True).")
	}
	return block("There is no "+peft.WeightsFile, "", "Save the adapter again with save_pretrained; sharded weights must be one file.")
}

// configReadable: A2.
func configReadable(a peft.Adapter, _ Base) (Finding, bool) {
	switch {
	case lora.KindOf(a.ConfigTrouble) == lora.NotFound:
		return silent()
	case a.ConfigTrouble != nil:
		return block(peft.ConfigFile+" cannot be read", lora.Message(a.ConfigTrouble), "Save the adapter again with save_pretrained.")
	}
	return pass("%s is readable", peft.ConfigFile)
}

// configKeys: A3, A4, A5, S7.
func configKeys(a peft.Adapter, _ Base) (Finding, bool) {
	c := a.Config
	if a.ConfigTrouble != nil {
		return silent()
	}
	var absent []string
	for _, key := range []string{"r", "lora_alpha", "target_modules"} {
		if _, there := c.Raw[key]; !there {
			absent = append(absent, key)
		}
	}
	again := "Save the adapter again with a current version of peft."
	switch {
	case len(absent) > 0:
		return block(peft.ConfigFile+" lacks "+strings.Join(absent, ", "), "vLLM needs them to read the weights.", again)
	case c.PeftType != "LORA" && c.PeftType != "":
		return block(fmt.Sprintf("It is a %q adapter and not LoRA", c.PeftType), "vLLM serves LoRA adapters only.", "Train it as LoRA.")
	case c.Rank == nil || *c.Rank < 1 || *c.Rank != math.Trunc(*c.Rank):
		return block("The rank is no whole number above 0", "r is "+string(c.Raw["r"])+".", again)
	case c.Alpha == nil:
		return block("lora_alpha is no number", "It is "+string(c.Raw["lora_alpha"])+".", again)
	case *c.Alpha == 0:
		return block("lora_alpha is 0", "The adapter would be loaded and change nothing.", "Set lora_alpha to the value it was trained with.")
	case c.PeftType == "":
		return warn("The config does not say that it is LoRA", "peft_type is missing. vLLM does not look at it; peft will not load the adapter.", again)
	}
	return pass("rank %d, alpha %s", int(*c.Rank), strconv.FormatFloat(*c.Alpha, 'g', -1, 64))
}

// plainLoRA: A7, A8, A9.
func plainLoRA(a peft.Adapter, _ Base) (Finding, bool) {
	if a.ConfigTrouble != nil {
		return silent()
	}
	var extra []string
	if len(a.Config.ModulesToSave) > 0 {
		extra = append(extra, "modules_to_save ("+strings.Join(a.Config.ModulesToSave, ", ")+")")
	}
	if a.Config.DoRA {
		extra = append(extra, "use_dora")
	}
	if raw, there := a.Config.Raw["bias"]; there && (a.Config.Bias == nil || *a.Config.Bias != "none") {
		extra = append(extra, "bias "+string(raw))
	}
	if len(extra) > 0 {
		return block("vLLM refuses this kind of adapter", "It uses "+strings.Join(extra, " and ")+".", "Train it without, or merge it into a base of its own.")
	}
	return pass("plain LoRA: no DoRA, no bias, no saved modules")
}

// patterns: S3, S4. vLLM before 0.32 ignores both patterns and applies one scale (recordings/README.md).
func patterns(a peft.Adapter, _ Base) (Finding, bool) {
	if len(a.Config.RankPattern)+len(a.Config.AlphaPattern) == 0 {
		return silent()
	}
	keys := slices.Sorted(maps.Keys(a.Config.RankPattern))
	keys = append(keys, slices.Sorted(maps.Keys(a.Config.AlphaPattern))...)
	return warn("Ranks or alphas differ between modules", "vLLM 0.11.2 and 0.27.1 ignore rank_pattern and alpha_pattern ("+strings.Join(keys, ", ")+") and scale those modules wrongly.",
		"Serve it with vLLM 0.32 or later, or train it with one rank and alpha.")
}

// weightsSound: A12, A24.
func weightsSound(a peft.Adapter, _ Base) (Finding, bool) {
	switch {
	case lora.KindOf(a.WeightsTrouble) == lora.NotFound:
		return silent()
	case a.WeightsTrouble != nil:
		return block("The weights file is damaged", lora.Message(a.WeightsTrouble), "Copy it again from where it was trained; compare the sizes.")
	case len(a.Header.Tensors) == 0:
		return block("The weights file holds no tensors", "", "Save the adapter again with save_pretrained.")
	}
	return pass("%d tensors, and they fill the file exactly", len(a.Header.Tensors))
}

// tensorNames: A13. Embeddings have a rule of their own.
func tensorNames(a peft.Adapter, _ Base) (Finding, bool) {
	if a.Header == nil {
		return silent()
	}
	for _, t := range a.Header.Tensors {
		if _, _, ok := peft.Module(t.Name); !ok && !isEmbedding(t.Name) {
			return block("vLLM refuses the tensor "+t.Name, "Only names that end in .lora_A.weight or .lora_B.weight are taken.",
				"Train without embeddings and saved modules, then save the adapter again.")
		}
	}
	return pass("every tensor is one half of a LoRA pair")
}

// pairs: A18 and S5 within a module.
func pairs(a peft.Adapter, _ Base) (Finding, bool) {
	if a.Header == nil {
		return silent()
	}
	halves := map[string]string{}
	for _, t := range a.Header.Tensors {
		if module, half, ok := peft.Module(t.Name); ok {
			halves[module] += half
		}
	}
	var single []string
	for _, module := range slices.Sorted(maps.Keys(halves)) {
		if len(halves[module]) < 2 {
			single = append(single, module+" has only "+halves[module])
		}
	}
	if len(single) > 0 {
		return block("A half is missing", few(single)+".", "Save the adapter again; both halves of every module are needed.")
	}
	return pass("%d modules with both halves", len(halves))
}

// rankFits: A6, S4.
func rankFits(a peft.Adapter, base Base) (Finding, bool) {
	if a.ConfigTrouble != nil || a.Rank == 0 || base.SettingsTrouble != "" {
		return silent()
	}
	_, wrong := base.Settings.Wrong[lora.EnvMaxLoraRank]
	if !wrong && a.Rank <= base.Settings.MaxRank {
		return pass("rank %d of up to %d", a.Rank, base.Settings.MaxRank)
	}
	ranks := lora.Ranks()
	next := fmt.Sprintf("vLLM takes no rank above %d.", slices.Max(ranks))
	if i := slices.IndexFunc(ranks, func(rank int) bool { return rank >= a.Rank }); i >= 0 {
		next = fmt.Sprintf("Create the base again with %s=%d or more.", lora.EnvMaxLoraRank, ranks[i])
	}
	if wrong {
		return warn("The rank that this base takes is not known", base.Settings.Refusal(lora.EnvMaxLoraRank), next)
	}
	return block(fmt.Sprintf("Rank %d is too high for this base", a.Rank), fmt.Sprintf("%s takes up to %d (%s).", base.Name, base.Settings.MaxRank, lora.EnvMaxLoraRank),
		next+" Or train with a lower rank.")
}

// baseConfig says that modules and shapes could not be compared.
func baseConfig(_ peft.Adapter, base Base) (Finding, bool) {
	if base.Config != nil && slices.Contains(llamaFamily, base.Config.ModelType) {
		return silent()
	}
	if base.Config != nil {
		return warn("Modules and shapes were not compared", fmt.Sprintf("The base is a %q, whose modules this check does not know.", base.Config.ModelType),
			"Make sure that it is the base the adapter was trained on, and look at the proof.")
	}
	return warn("Modules and shapes were not compared", "The base's config.json could not be read: "+base.ConfigTrouble,
		"Look whether its model names an S3 prefix that this role may read.")
}

// errUnknown says that a module's shape is not known here, so nothing is said of it.
var errUnknown = errors.New("unknown kind of module")

// dims gives the shape of a linear of the Llama family by the last part of its name.
func (c *ModelConfig) dims(last string) (in, out int, err error) {
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	switch last {
	case "q_proj":
		return c.Hidden, q, nil
	case "k_proj", "v_proj":
		return c.Hidden, kv, nil
	case "o_proj":
		return q, c.Hidden, nil
	case "gate_proj", "up_proj":
		return c.Hidden, c.Inner, nil
	case "down_proj":
		return c.Inner, c.Hidden, nil
	}
	return 0, 0, errUnknown
}

// llamaFamily are the model types whose modules are named as dims knows them (facts §4.4).
var llamaFamily = []string{"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "granite"}

// modulesFit: A14, S1.
func modulesFit(a peft.Adapter, base Base) (Finding, bool) {
	if a.Header == nil || base.Config == nil || !slices.Contains(llamaFamily, base.Config.ModelType) {
		return silent()
	}
	var unknown, lost []string
	for _, t := range a.Header.Tensors {
		module, half, ok := peft.Module(t.Name)
		if !ok || half != "A" {
			continue
		}
		last := module[strings.LastIndexByte(module, '.')+1:]
		if slices.Contains(embeddings, last) {
			continue
		}
		if _, _, err := base.Config.dims(last); err != nil {
			unknown = append(unknown, last)
		} else if !base.Config.has(module, last) {
			lost = append(lost, module)
		}
	}
	slices.Sort(unknown)
	unknown = slices.Compact(unknown)
	switch {
	case len(unknown) > 0:
		return block("The base has no module "+few(unknown), "vLLM refuses adapters with modules it cannot adapt.", "Is this the base it was trained on? Train on attention and MLP linears.")
	case len(lost) > 0:
		return block("Some modules are not in the base", few(lost)+" would be ignored without a word, and the adapter would change nothing there.",
			"Is this the base it was trained on? Look at the prefix of its tensor names.")
	}
	return pass("every module is in the base: %s", strings.Join(a.Targets, ", "))
}

// has reports whether the base has a module of that path. Without the inner "model." vLLM answers as the base, without a word
// (recordings, menu row s1_missing_model_dot).
func (c *ModelConfig) has(module, last string) bool {
	part := "self_attn"
	if strings.HasPrefix(last, "gate") || strings.HasPrefix(last, "up") || strings.HasPrefix(last, "down") {
		part = "mlp"
	}
	rest, ok := strings.CutPrefix(module, "model.layers.")
	number, rest, cut := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	return ok && cut && err == nil && layer >= 0 && layer < c.Layers && rest == part+"."+last
}

// shapesFit: A20, S5.
func shapesFit(a peft.Adapter, base Base) (Finding, bool) {
	if a.Header == nil || base.Config == nil || !slices.Contains(llamaFamily, base.Config.ModelType) {
		return silent()
	}
	ranks := map[string]int{}
	var wrong []string
	for _, t := range a.Header.Tensors {
		module, half, ok := peft.Module(t.Name)
		if !ok {
			continue // other rules speak of it
		}
		if len(t.Shape) != 2 {
			wrong = append(wrong, fmt.Sprintf("%s has %d dimensions", t.Name, len(t.Shape)))
			continue
		}
		in, out, err := base.Config.dims(module[strings.LastIndexByte(module, '.')+1:])
		if err != nil {
			continue
		}
		rank, size, want := t.Shape[0], t.Shape[1], in
		if half == "B" {
			rank, size, want = t.Shape[1], t.Shape[0], out
		}
		if size != want {
			wrong = append(wrong, fmt.Sprintf("%s is %d wide, the base's module %d", t.Name, size, want))
		}
		if other, seen := ranks[module]; seen && other != rank {
			wrong = append(wrong, fmt.Sprintf("%s has rank %d in one half and %d in the other", module, other, rank))
		}
		ranks[module] = rank
		if len(a.Config.RankPattern) == 0 && rank != a.Rank && a.Rank > 0 {
			wrong = append(wrong, fmt.Sprintf("%s has rank %d, the config says %d", t.Name, rank, a.Rank))
		}
	}
	if len(wrong) > 0 {
		return block("The adapter does not fit the base's shapes", few(wrong)+".", "It was trained on another base, or its config belongs to other weights.")
	}
	return pass("all shapes fit the base")
}

// few lists up to three and counts the rest.
func few(list []string) string {
	if len(list) <= 3 {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:3], ", "), len(list)-3)
}
