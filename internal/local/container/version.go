package container

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"loradeck/internal/lora"
)

// dialect is what differs between the recorded versions of vLLM. Everything is false for 0.11.2; each field says from when
// it is true (recordings, "Belief → finding", and the exchanges of the three versions side by side).
type dialect struct {
	version      string // as GET /version has it
	modelsModule string // Python's name of the module that lists models, in one message
	mostVocab    int    // largest vocabulary of a base with LoRA
	vocabRule    string // what is said of a larger one
	fingerprint  string // system_fingerprint of every answer; "" leaves it null

	// From 0.27.1.
	shortIDs    bool // 16 hex digits in the ids of answers, 32 before
	wraps       bool // an adapter that does not load is a 500 of the worker, a bare 400 before
	hidesPaths  bool // directories in messages are shown as <path>
	names       bool // errors name the field at fault in param and at the end of the message
	reasons     bool // a body that fits no schema is told why
	leanMessage bool // chat messages have neither tool_calls nor reasoning_content
	newFields   bool // routed_experts, ec_transfer_params, metrics, prompt_text
	otherFields bool // requests have bad_words in completions, logprob_token_ids …, and best_of, guided_… … no more
	lateRoom    bool // the length of a request is judged against the whole context
	inPlace     bool // /v1/load_lora_adapter knows load_inplace
	strictRank  bool // r ≤ 0 is refused as such
	baseLayers  bool // the full embeddings under base_layer are passed over
	needsTensor bool // a weights file without tensors is refused
	vocabulary  bool // embedding halves are held to the base's vocabulary
	takesApart  bool // the image's entrypoint makes a token of each element of a JSON array
	moreBounds  bool // configurations hold more of their numbers to a range

	// From 0.32.0.
	patterns    bool // rank_pattern and alpha_pattern count
	features    bool // features of PEFT it does not have are refused
	ownName     bool // the base's own name is no adapter name
	aliases     bool // an unknown model is told the base's names
	shortInputs bool // complaints about fields name the kind of a value, not the value
	usageDetail bool // completion_tokens_details
	promptFirst bool // a prompt longer than the context is told so whatever the limit of the answer
}

// dialectOf gives the dialect of the newest recorded version that is not newer than version, and that of 0.11.2 for an
// older or unreadable one.
func dialectOf(version string) dialect {
	d := dialect{
		version: Version, modelsModule: "serving_models", mostVocab: 257_024, vocabRule: "32000 >= vocab_size <= 257024",
	}
	if !atLeast(version, "0.27.1") {
		return d
	}
	d = dialect{
		version: "0.27.1", modelsModule: "models.protocol", mostVocab: 258_048, vocabRule: "<= 258048", fingerprint: "vllm-0.27.1",
		shortIDs: true, wraps: true, hidesPaths: true, names: true, reasons: true, leanMessage: true, newFields: true, otherFields: true,
		lateRoom: true, inPlace: true, strictRank: true, baseLayers: true, needsTensor: true, vocabulary: true, takesApart: true, moreBounds: true,
	}
	if !atLeast(version, "0.32.0") {
		return d
	}
	d.version, d.fingerprint = "0.32.0", "vllm-0.32.0"
	d.patterns, d.features, d.ownName, d.aliases, d.shortInputs, d.usageDetail, d.promptFirst = true, true, true, true, true, true, true
	return d
}

// under is the dialect of a server with this environment: its fingerprint ends in eight hex digits of how it is set up, which
// stay the same from start to start.
func (d dialect) under(environment map[string]string) dialect {
	if d.fingerprint == "" {
		return d
	}
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(environment)) {
		fmt.Fprintf(sum, "%q=%q\n", key, environment[key])
	}
	d.fingerprint += "-" + hex.EncodeToString(sum.Sum(nil)[:4])
	return d
}

// takesLoRA refuses a base on which this vLLM does not start with LoRA (recordings, startup.json).
func (d dialect) takesLoRA(dir string) error {
	var config struct {
		Architectures []string `json:"architectures"`
		Vocab         int      `json:"vocab_size"`
	}
	if readConfig(filepath.Join(dir, "config.json"), &config) != nil {
		return nil // readBase tells
	}
	switch {
	case len(config.Architectures) > 0 && config.Architectures[0] == "GPT2LMHeadModel":
		return lora.Errorf(lora.Invalid, "ValueError: %s does not support LoRA yet.", config.Architectures[0])
	case config.Vocab > d.mostVocab:
		return lora.Errorf(lora.Invalid, "ValueError: When using LoRA, vocab size must be %s", d.vocabRule)
	}
	return nil
}

// vocabularyRoom is how many tokens beyond the base's an adapter has room for: the default of --lora-extra-vocab-size in
// 0.11.2, and none since the option has gone.
func (d dialect) vocabularyRoom() int {
	if d.vocabulary {
		return 0
	}
	return 256
}

// atLeast compares versions number by number; what is no number counts as zero.
func atLeast(version, least string) bool {
	numbers := func(text string) []int {
		var out []int
		for _, part := range strings.SplitN(text, ".", 4) {
			digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
			n, _ := strconv.Atoi(digits)
			out = append(out, n)
		}
		return out
	}
	return slices.CompareFunc(numbers(version), numbers(least), func(a, b int) int { return cmp.Compare(a, b) }) >= 0
}

// worded puts the reason why an adapter does not load as the version does: 0.11.2 says 400, later ones let their worker say
// it and answer 500; a source without an adapter is a 404 to all (recordings, menu-results.json).
func (d dialect) worded(r *refusal) *refusal {
	const call = "Call to add_lora method failed: "
	out := *r
	switch {
	case !r.worker || d.wraps && r.status == http.StatusNotFound:
	case !d.wraps:
		out.message = call + r.message
	default:
		out.status, out.kind = http.StatusInternalServerError, "InternalServerError"
		out.message = call + "Worker failed with error '" + r.message + "', please check the stack trace above for the root cause"
	}
	return &out
}

// noCause is what 0.11.2 puts after a message of the chat template's stage: the cause of the error, which is none.
func (d dialect) noCause() string {
	if d.names {
		return ""
	}
	return " None"
}

// noMessages refuses an empty conversation.
func (d dialect) noMessages() string {
	if d.names {
		return "Cannot apply chat template to an empty conversation. Provide at least one message."
	}
	return "list index out of range list index out of range"
}

// noUsage is what a chunk of a streamed completion says of usage when it says nothing: 0.11.2 says null, later ones leave
// the field out.
func (d dialect) noUsage() any {
	if d.newFields {
		return nil
	}
	return json.RawMessage("null")
}

// runningUsage is usage so far, in every chunk of a streamed completion.
func (d dialect) runningUsage(counts usage) any {
	if d.newFields {
		return counts
	}
	return d.fullUsage(counts)
}

// refuseBroken answers where a logprob is no number: 0.11.2 crashes, later versions say why (recordings, nan.json).
func (c *Container) refuseBroken(w http.ResponseWriter) {
	if !c.dialect.reasons {
		crash(w)
		return
	}
	c.refuse(w, badRequest("Out of range float values are not JSON compliant"))
}

// taken refuses a name that is registered.
func (d dialect) taken(name string) *refusal {
	words := fmt.Sprintf("The lora adapter '%s' has already been loaded.", name)
	if d.inPlace {
		words += " If you want to load the adapter in place, set 'load_inplace' to True."
	}
	return &refusal{status: http.StatusBadRequest, kind: "InvalidUserInput", message: words}
}

// directory is a path of two parts at least, as it stands in a message.
var directory = regexp.MustCompile(`/[\w~+-][\w.~+-]*(?:/[\w.~+-]+)+`)

// shown is a message as the version lets clients see it. The recorded servers leave the first part of some paths in sight;
// which ones is not known, so that all of a path is hidden here.
func (d dialect) shown(message string) string {
	if !d.hidesPaths {
		return message
	}
	return directory.ReplaceAllString(message, "<path>")
}

// failed is the body of an error in this version.
func (d dialect) failed(r *refusal) errorBody {
	out := r.body()
	if d.names {
		out.Error.Message += r.suffix
		if r.param != "" {
			out.Error.Param = r.param
		}
	}
	out.Error.Message = d.shown(out.Error.Message)
	return out
}

// misfit is a field of a request that the web framework complains about.
type misfit struct {
	kind    string
	at      []any // where in the request, "body" first
	message string
	input   any
	context string // "" is none
}

// invalidFields are complaints about a typed route's body, as Python prints them.
func (d dialect) invalidFields(faults ...misfit) *refusal {
	var lines []string
	for _, f := range faults {
		line := fmt.Sprintf("{'type': '%s', 'loc': %s, 'msg': %s, 'input': %s", f.kind, d.place(f.at), reprText(f.message), d.input(f.input))
		if f.context != "" {
			line += ", 'ctx': {'error': " + f.context + "}"
		}
		lines = append(lines, line+"}")
	}
	if !d.names {
		return invalid("[" + strings.Join(lines, ", ") + "]")
	}
	plural := ""
	if len(lines) > 1 {
		plural = "s"
	}
	out := invalid(fmt.Sprintf("%d validation error%s:\n  %s", len(lines), plural, strings.Join(lines, "\n  ")))
	out.param = dotted(faults[0].at)
	return out
}

// place is where a misfit is: a tuple, and in later versions a dotted name.
func (d dialect) place(at []any) string {
	if d.shortInputs {
		return reprText(dotted(at))
	}
	parts := make([]string, len(at))
	for i, part := range at {
		if parts[i] = fmt.Sprint(part); typeName(part) == "str" {
			parts[i] = reprText(parts[i])
		}
	}
	if len(parts) == 1 {
		return "(" + parts[0] + ",)"
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func dotted(at []any) string {
	parts := make([]string, len(at))
	for i, part := range at {
		parts[i] = fmt.Sprint(part)
	}
	return strings.Join(parts, ".")
}

func (d dialect) input(value any) string {
	fields, isObject := value.(*object)
	if d.shortInputs && isObject {
		return fmt.Sprintf("'<dict of %d items>'", len(fields.keys))
	}
	return repr(value)
}

// tooLong judges the length of a request as versions from 0.27.1 on do: the limit the client set first, then the prompt
// with the answer. They stop counting a prompt's tokens one past what has room, and say so.
func (d dialect) tooLong(context, tokens int, limit *int64) *refusal {
	var wanted int64
	if limit != nil {
		wanted = max(0, *limit)
	}
	const over = "This model's maximum context length is %d tokens. However, "
	switch most := context - int(min(wanted, int64(context))); {
	case wanted > int64(context):
		whole := "max_model_len=max_total_tokens"
		if d.promptFirst {
			whole = "max_model_len"
		}
		return badRequest("max_tokens=%d cannot be greater than %s=%d. Please request fewer output tokens.", wanted, whole, context).about("max_tokens", wanted)
	case d.promptFirst && tokens > context:
		return badRequest(over+"your prompt contains at least %d input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt.", context, context+1).about("input_tokens", context+1)
	case tokens > most:
		return badRequest(over+"you requested %d output tokens and your prompt contains at least %d input tokens, for a total of at least %d tokens. Please reduce the length of the input prompt or the number of requested output tokens.", context, wanted, most+1, most+1+int(wanted)).about("input_tokens", most+1)
	}
	return nil
}
