package container

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// refusal is an error with the status, type and words of vLLM.
type refusal struct {
	status        int
	kind, message string
	param         string // the field at fault, where the version names it
	suffix        string // what such a version puts after the message
	worker        bool   // said while an adapter is loaded; message is then the bare reason
}

func (r *refusal) Error() string { return r.message }

// badRequest is vLLM's own kind of 400, BadRequestError; the HTTP layer's is "Bad Request".
func badRequest(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, kind: "BadRequestError", message: fmt.Sprintf(format, args...)}
}

// about says which field is at fault, and its value; a nil value is none.
func (r *refusal) about(param string, value any) *refusal {
	r.param, r.suffix = param, " (parameter="+param+")"
	if value != nil {
		r.suffix = fmt.Sprintf(" (parameter=%s, value=%v)", param, value)
	}
	return r
}

// loadFailure is anything that goes wrong while an adapter is loaded; workerFailure puts it as the version does.
func loadFailure(format string, args ...any) *refusal {
	out := badRequest(format, args...)
	out.worker = true
	return out
}

// noAdapter is a source without an adapter_config.json.
func noAdapter(name, source string) *refusal {
	return &refusal{
		status: http.StatusNotFound, kind: "NotFoundError", worker: true,
		message: fmt.Sprintf("Loading lora %s failed: No adapter found for %s", name, source),
	}
}

// notHere refuses what SageMaker would do and this platform does not.
func notHere(what string) string {
	return "The local platform does not do " + what + ", SageMaker would."
}

// peftConfig is the part of adapter_config.json that vLLM reads.
type peftConfig struct {
	scale         float64
	rank, alpha   float64
	stabilised    bool      // divided by the root of the rank
	ranks, alphas []pattern // for single modules, where the version heeds them
	targets       any
}

// readPEFT reads and judges adapter_config.json in vLLM's order: the file, the required keys, the scale, and only then what
// the server does not support, all such faults in one message.
func (c *Container) readPEFT(name, dir string) (peftConfig, *refusal) {
	path := filepath.Join(dir, "adapter_config.json")
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return peftConfig{}, noAdapter(name, dir)
	case err != nil:
		return peftConfig{}, loadFailure("%s", osError(err, path))
	}
	value, err := parseJSON(string(raw))
	if err != nil {
		return peftConfig{}, loadFailure("%s", err)
	}
	config, ok := value.(*object)
	if !ok {
		if _, list := value.([]any); list {
			return peftConfig{}, loadFailure("list indices must be integers or slices, not str")
		}
		return peftConfig{}, loadFailure("'%s' object does not support item assignment", typeName(value))
	}
	var missing []string
	for _, key := range []string{"lora_alpha", "r", "target_modules"} {
		if !config.has(key) {
			missing = append(missing, reprText(key))
		}
	}
	if len(missing) > 0 {
		return peftConfig{}, loadFailure("Missing required configuration fields: {%s}", strings.Join(missing, ", "))
	}
	return c.judgePEFT(config)
}

// judgePEFT judges the values of a config that has the required keys.
func (c *Container) judgePEFT(config *object) (peftConfig, *refusal) {
	if words := rankFault(config.get("r")); c.dialect.strictRank && words != "" {
		return peftConfig{}, loadFailure("%s", words)
	}
	scale, words := scaling(config)
	if words == "" && c.dialect.features {
		words = unsupported(config)
	}
	if words != "" {
		return peftConfig{}, loadFailure("%s", words)
	}
	out := peftConfig{scale: scale, stabilised: truthy(config.get("use_rslora")), targets: config.get("target_modules")}
	out.rank, _ = pythonNumber(config.get("r"))
	out.alpha, _ = pythonNumber(config.get("lora_alpha"))
	if c.dialect.patterns {
		out.ranks, out.alphas = patterns(config.get("rank_pattern")), patterns(config.get("alpha_pattern"))
	}
	if faults := c.illegal(config, out.largestRank()); len(faults) > 0 {
		return peftConfig{}, loadFailure("%s", strings.Join(faults, " "))
	}
	return out, nil
}

// osError puts an operating system error as Python would.
func osError(err error, path string) string {
	var code syscall.Errno
	if !errors.As(err, &code) {
		return err.Error()
	}
	message := code.Error()
	return fmt.Sprintf("[Errno %d] %s: %s", int(code), strings.ToUpper(message[:1])+message[1:], reprText(path))
}

// scaling is lora_alpha / r, or / sqrt(r) for rank-stabilised adapters, with Python's own words where the types do not
// divide. A negative rank and NaN go through, as recorded.
func scaling(config *object) (scale float64, words string) {
	alpha, rank := config.get("lora_alpha"), config.get("r")
	a, alphaFits := pythonNumber(alpha)
	r, rankFits := pythonNumber(rank)
	divisor, divisorType := r, typeName(rank)
	if truthy(config.get("use_rslora")) {
		switch {
		case !rankFits:
			return 0, "must be real number, not " + typeName(rank)
		case r < 0:
			return 0, "math domain error"
		}
		divisor, divisorType = math.Sqrt(r), "float"
	}
	switch {
	case !alphaFits || !rankFits:
		return 0, fmt.Sprintf("unsupported operand type(s) for /: '%s' and '%s'", typeName(alpha), divisorType)
	case divisor == 0 && (divisorType == "float" || typeName(alpha) == "float"):
		return 0, "float division by zero"
	case divisor == 0:
		return 0, "division by zero"
	}
	return a / divisor, ""
}

// pythonNumber is the value of anything Python calculates with; true is 1.
func pythonNumber(value any) (float64, bool) {
	if _, isText := value.(string); isText {
		return 0, false
	}
	return asDecimal(value)
}

func (c *Container) illegal(config *object, rank float64) []string {
	var faults []string
	if saved := config.get("modules_to_save"); truthy(saved) {
		words := "vLLM only supports modules_to_save being None."
		if c.dialect.features {
			words = `vLLM only supports modules_to_save being either None or ["classifier", "score"] for classification models. Unsupported modules_to_save: ` + repr(saved)
		}
		faults = append(faults, words)
	}
	if truthy(config.get("use_dora")) {
		faults = append(faults, "vLLM does not yet support DoRA.")
	}
	if rank > float64(c.settings.maxRank) {
		words := repr(config.get("r"))
		if own, _ := pythonNumber(config.get("r")); own != rank {
			words = strconv.FormatFloat(rank, 'f', -1, 64)
		}
		faults = append(faults, fmt.Sprintf("LoRA rank %s is greater than max_lora_rank %d.", words, c.settings.maxRank))
	}
	if config.has("bias") && config.get("bias") != any("none") {
		faults = append(faults, "Adapter bias is not supported.")
	}
	return faults
}
