package container

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// refusal is an error with the status, type and words of vLLM.
type refusal struct {
	status        int
	kind, message string
}

func (r *refusal) Error() string { return r.message }

// badRequest is vLLM's own kind of 400, BadRequestError; the HTTP layer's is "Bad Request".
func badRequest(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "BadRequestError", fmt.Sprintf(format, args...)}
}

// loadFailure is how 0.11.2 reports anything that goes wrong while an adapter is loaded (recordings, menu-results.json).
func loadFailure(format string, args ...any) *refusal {
	return badRequest("Call to add_lora method failed: "+format, args...)
}

// notHere refuses what SageMaker would do and this platform does not.
func notHere(what string) string {
	return "The local platform does not do " + what + ", SageMaker would."
}

// peftConfig is the part of adapter_config.json that vLLM 0.11.2 reads.
type peftConfig struct {
	scale   float64
	targets any
}

// readPEFT reads and judges adapter_config.json in vLLM's order: the file, the required keys, the scale, and only then what
// the server does not support, all such faults in one message.
func readPEFT(name, dir string, maxRank int) (peftConfig, *refusal) {
	path := filepath.Join(dir, "adapter_config.json")
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return peftConfig{}, &refusal{
			http.StatusNotFound, "NotFoundError",
			fmt.Sprintf("Call to add_lora method failed: Loading lora %s failed: No adapter found for %s", name, dir),
		}
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
	scale, words := scaling(config)
	if words != "" {
		return peftConfig{}, loadFailure("%s", words)
	}
	if faults := illegal(config, maxRank); len(faults) > 0 {
		return peftConfig{}, loadFailure("%s", strings.Join(faults, " "))
	}
	return peftConfig{scale: scale, targets: config.get("target_modules")}, nil
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

func illegal(config *object, maxRank int) []string {
	var faults []string
	if truthy(config.get("modules_to_save")) {
		faults = append(faults, "vLLM only supports modules_to_save being None.")
	}
	if truthy(config.get("use_dora")) {
		faults = append(faults, "vLLM does not yet support DoRA.")
	}
	if r, _ := pythonNumber(config.get("r")); r > float64(maxRank) {
		faults = append(faults, fmt.Sprintf("LoRA rank %s is greater than max_lora_rank %d.", repr(config.get("r")), maxRank))
	}
	if config.has("bias") && config.get("bias") != any("none") {
		faults = append(faults, "Adapter bias is not supported.")
	}
	return faults
}
