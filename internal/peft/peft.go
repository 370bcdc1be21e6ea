// Package peft reads an adapter as PEFT saves it — a directory with adapter_config.json and adapter_model.safetensors, or an
// archive of one — and packs it as SageMaker wants it: a flat tar.gz.
//
// It reads headers, never tensors, and unpickles nothing. It says what is there and refuses to judge: whether an adapter
// would work on a base is for package check.
package peft

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"loradeck/internal/lora"
	"loradeck/internal/safetensors"
)

// Names of the two files that make an adapter.
const (
	ConfigFile  = "adapter_config.json"
	WeightsFile = "adapter_model.safetensors"
)

// maxConfig bounds adapter_config.json; peft writes about 1 KB.
const maxConfig = 1 << 20

// Adapter is what a directory holds.
type Adapter struct {
	Files   []File // in order of their paths
	Config  Config
	Header  *safetensors.Header // nil when there are no weights in safetensors or their header is not sound
	Rank    int                 // the largest of any module: r, or one of rank_pattern
	Alpha   float64             // lora_alpha
	Targets []string            // last parts of the module names that have tensors, sorted
	Bytes   int64               // of the kept files

	ConfigTrouble  error // why adapter_config.json could not be read; nil when it was
	WeightsTrouble error // why the weights' header could not be read; nil when it was
}

// File is a file of the directory.
type File struct {
	Path string
	Size int64
	Keep bool   // serving needs it
	Why  string // why it is left out; "" for a kept one
}

// Config is adapter_config.json as far as anyone asks. Members that are absent or null are the zero value; Raw tells which.
type Config struct {
	PeftType      string             `json:"peft_type"`
	Rank          *float64           `json:"r"`
	Alpha         *float64           `json:"lora_alpha"`
	Bias          *string            `json:"bias"`
	BaseModel     string             `json:"base_model_name_or_path"`
	RSLoRA        bool               `json:"use_rslora"`
	DoRA          bool               `json:"use_dora"`
	ModulesToSave []string           `json:"modules_to_save"`
	RankPattern   map[string]float64 `json:"rank_pattern"`
	AlphaPattern  map[string]float64 `json:"alpha_pattern"`

	Raw map[string]json.RawMessage `json:"-"` // every member as it stands
}

// Inspect reads a directory. It fails with kind Invalid only when there is nothing that could be an adapter; what is wrong
// with one that could be is in the Adapter, for package check to say.
func Inspect(fsys fs.FS) (Adapter, error) {
	var a Adapter
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		file := File{Path: name, Size: info.Size()}
		file.Keep, file.Why = judge(name, entry.Type())
		if file.Keep {
			a.Bytes += file.Size
		}
		a.Files = append(a.Files, file)
		return nil
	})
	if err != nil {
		return Adapter{}, lora.Wrap(err, lora.Invalid, "The adapter's folder cannot be read to its end.")
	}
	if !slices.ContainsFunc(a.Files, func(f File) bool {
		return path.Base(f.Path) == ConfigFile || strings.HasPrefix(path.Base(f.Path), "adapter_model.")
	}) {
		return Adapter{}, noAdapter()
	}
	a.Config, a.ConfigTrouble = readConfig(fsys)
	a.Header, a.WeightsTrouble = readHeader(fsys)
	a.Rank, a.Alpha = a.Config.highestRank(), value(a.Config.Alpha)
	a.Targets = targets(a.Header)
	return a, nil
}

// Has reports whether a file of that path is there.
func (a Adapter) Has(name string) bool {
	return slices.ContainsFunc(a.Files, func(f File) bool { return f.Path == name })
}

// Kept gives the paths of the files that serving needs.
func (a Adapter) Kept() []string {
	var kept []string
	for _, f := range a.Files {
		if f.Keep {
			kept = append(kept, f.Path)
		}
	}
	return kept
}

// judge says whether vLLM reads a file (facts/sagemaker-vllm.md §5), and why it is left out when not.
func judge(name string, kind fs.FileMode) (keep bool, why string) {
	base := path.Base(name)
	switch {
	case !kind.IsRegular():
		return false, "not a regular file"
	case name == ConfigFile || name == WeightsFile:
		return true, ""
	case strings.Contains(name, "/"):
		return false, inSubFolder
	case strings.HasPrefix(base, "optimizer"), strings.HasPrefix(base, "scheduler"), strings.HasPrefix(base, "rng_state"), base == "scaler.pt", base == "trainer_state.json", base == "training_args.bin":
		return false, "a trainer's state"
	}
	switch path.Ext(base) {
	case ".bin", ".pt", ".pth", ".pkl", ".ckpt":
		return false, "a pickle, which could run code"
	case ".py", ".sh", ".so":
		return false, "code, which serving does not run"
	case ".md":
		return true, "" // the model card travels with the adapter
	}
	return false, "not read when serving"
}

func readConfig(fsys fs.FS) (Config, error) {
	var c Config
	file, err := fsys.Open(ConfigFile)
	if err != nil {
		return c, missing(err, ConfigFile)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if errors.Is(err, ErrNotYet) {
		return c, notYet(ConfigFile)
	}
	if err != nil {
		return c, err
	}
	if len(text) > maxConfig {
		return c, lora.Errorf(lora.Invalid, "%s is larger than 1 MiB, which no real one is.", ConfigFile)
	}
	if err := json.Unmarshal(text, &c.Raw); err != nil {
		return c, lora.Wrap(err, lora.Invalid, "%s is no JSON object: %v.", ConfigFile, err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, lora.Wrap(err, lora.Invalid, "%s has a member of the wrong type: %v.", ConfigFile, err)
	}
	return c, nil
}

func readHeader(fsys fs.FS) (*safetensors.Header, error) {
	file, err := fsys.Open(WeightsFile)
	if err != nil {
		return nil, missing(err, WeightsFile)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	header, err := safetensors.ReadHeader(file, info.Size())
	if errors.Is(err, ErrNotYet) {
		return nil, notYet(WeightsFile)
	}
	if errors.Is(err, safetensors.ErrFormat) {
		return nil, lora.Wrap(err, lora.Invalid, "%s is damaged: %v.", WeightsFile, err)
	}
	return header, err
}

func missing(err error, name string) error {
	if errors.Is(err, ErrNotYet) {
		return notYet(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return lora.Wrap(err, lora.NotFound, "There is no %s at the top of the folder.", name)
	}
	return err
}

func notYet(name string) error {
	return lora.Wrap(ErrNotYet, lora.Unavailable, "%s is still on its way.", name)
}

func (c Config) highestRank() int {
	highest := value(c.Rank)
	for _, rank := range c.RankPattern {
		highest = max(highest, rank)
	}
	return int(highest)
}

func value(number *float64) float64 {
	if number == nil {
		return 0
	}
	return *number
}

// Module takes a tensor's name apart: the module's path in the Hugging Face model and which half it is, "A" or "B". Names
// that are no plain LoRA half give ok false (facts §4.2 A13, §5: "base_model.model.PATH.lora_A.weight"). vLLM takes the prefix off
// however often it is there, and does without (recordings, menu rows s1_double_prefix, ok_no_prefix).
func Module(tensor string) (module, half string, ok bool) {
	for _, h := range []string{"A", "B"} {
		if rest, found := strings.CutSuffix(tensor, ".lora_"+h+".weight"); found {
			for found {
				rest, found = strings.CutPrefix(rest, "base_model.model.")
			}
			return rest, h, true
		}
	}
	return "", "", false
}

func targets(h *safetensors.Header) []string {
	var list []string
	if h == nil {
		return list
	}
	for _, t := range h.Tensors {
		module, _, ok := Module(t.Name)
		if !ok {
			continue
		}
		if last := module[strings.LastIndexByte(module, '.')+1:]; !slices.Contains(list, last) {
			list = append(list, last)
		}
	}
	slices.Sort(list)
	return list
}
