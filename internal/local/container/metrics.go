package container

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// metrics serves GET /metrics: those of vLLM's families that this container has numbers for, named, typed and labelled as
// recorded (metrics.json). The model_name label is the base, never an adapter; only lora_requests_info tells adapters apart.
func (c *Container) metrics(w http.ResponseWriter, _ *http.Request) {
	var out strings.Builder
	page := metricsPage{out: &out, model: fmt.Sprintf("model_name=%q", c.settings.served)}
	load := c.engine.Load()
	page.value("num_requests_running", "gauge", "Number of requests in model execution batches.", "", float64(load.Running))
	page.value("num_requests_waiting", "gauge", "Number of requests waiting to be processed.", "", float64(load.Waiting+c.slots.waits()))
	page.family("engine_sleep_state", "gauge", "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.")
	for _, state := range []string{"awake", "weights_offloaded", "discard_all"} {
		page.line("engine_sleep_state", fmt.Sprintf("sleep_state=%q", state), map[string]float64{"awake": 1}[state])
	}
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	page.value("num_preemptions_total", "counter", "Cumulative number of preemption from the engine.", "", 0)
	page.value("prompt_tokens_total", "counter", "Number of prefill tokens processed.", "", float64(c.promptTokens.Load()))
	page.value("generation_tokens_total", "counter", "Number of generation tokens processed.", "", float64(c.generatedTokens.Load()))
	page.family("request_success_total", "counter", "Count of successfully processed requests.")
	for _, reason := range c.dialect.finishReasons() {
		fmt.Fprintf(&out, "vllm:request_success_total{engine=\"0\",finished_reason=%q,%s} %s\n", reason, page.model, floatText(float64(c.meter.success[reason])))
	}
	for _, h := range histogramFamilies() {
		page.family(h.name, "histogram", h.help)
		c.meter.histograms[h.name].series(&out, "vllm:"+h.name, `engine="0"`, page.model)
	}
	if c.settings.enableLora {
		page.family("lora_requests_info", "gauge", "Running stats on lora requests.")
		for _, one := range c.slots.series() {
			fmt.Fprintf(&out, "vllm:lora_requests_info{max_lora=\"%d\",running_lora_adapters=%q,waiting_lora_adapters=%q} %s\n",
				c.settings.maxLoras, one.running, one.waiting, floatText(float64(one.at.UnixNano())/1e9))
		}
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write([]byte(out.String()))
}

// metricsPage writes families in the text format.
type metricsPage struct {
	out   *strings.Builder
	model string // the label every series ends with
}

func (p metricsPage) family(name, kind, help string) {
	fmt.Fprintf(p.out, "# HELP vllm:%s %s\n# TYPE vllm:%s %s\n", name, help, name, kind)
}

func (p metricsPage) line(name, more string, value float64) {
	labels := []string{`engine="0"`, p.model, more}
	labels = slices.DeleteFunc(labels, func(label string) bool { return label == "" })
	fmt.Fprintf(p.out, "vllm:%s{%s} %s\n", name, strings.Join(labels, ","), floatText(value))
}

func (p metricsPage) value(name, kind, help, more string, value float64) {
	p.family(name, kind, help)
	p.line(name, more, value)
}

// finishReasons are the reasons that request_success_total tells apart.
func (d dialect) finishReasons() []string {
	reasons := []string{"stop", "length", "abort"}
	if d.usageDetail {
		reasons = append(reasons, "error", "repetition")
	}
	return reasons
}

type histogramFamily struct{ name, help string }

func histogramFamilies() []histogramFamily {
	return []histogramFamily{
		{"request_prompt_tokens", "Number of prefill tokens processed."},
		{"request_generation_tokens", "Number of generation tokens processed."},
		{"request_max_num_generation_tokens", "Histogram of maximum number of requested generation tokens."},
		{"request_params_n", "Histogram of the n request parameter."},
		{"request_params_max_tokens", "Histogram of the max_tokens request parameter."},
		{"time_to_first_token_seconds", "Histogram of time to first token in seconds."},
		{"inter_token_latency_seconds", "Histogram of inter-token latency in seconds."},
		{"request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request."},
		{"e2e_request_latency_seconds", "Histogram of e2e request latency in seconds."},
		{"request_queue_time_seconds", "Histogram of time spent in WAITING phase for request."},
		{"request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request."},
		{"request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request."},
		{"request_decode_time_seconds", "Histogram of time spent in DECODE phase for request."},
	}
}
