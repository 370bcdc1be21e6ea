// Runs llama.cpp for benchengine, from the shared libraries of its npm package. It is a process of its own: each line on
// stdin asks for one measurement, each line on stdout answers it.
//
//	llamacpp BACKENDS MODEL.gguf THREADS CONTEXT    BACKENDS is the package's folder, or one libggml-cpu-*.so in it
//
//	prefill N TIMES       what TIMES prompts of N tokens take in turn: seconds on the wall, and of all processors together
//	decode PROMPT N       what N greedy tokens after a prompt take
//	score N ID...         log probabilities of the tokens ID after a prompt of N tokens
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-backend.h"
#include "llama.h"

static struct llama_context *context;
static int vocab;

static void quiet(enum ggml_log_level level, const char *text, void *data) {
	(void)data;
	if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static double read_clock(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

// A measurement: seconds on the wall, and of all processors for this process.
static double wall, cpu;

static void begin(void) {
	wall = read_clock(CLOCK_MONOTONIC);
	cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static double elapsed(void) { return read_clock(CLOCK_MONOTONIC) - wall; }

// end answers, where part of the work stands for all of it.
static void end(double part) {
	printf("%.9f %.9f\n", elapsed() / part, (read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu) / part);
}

static void decode(llama_token *tokens, int n) {
	if (llama_decode(context, llama_batch_get_one(tokens, n)) != 0) {
		fputs("llama_decode failed\n", stderr);
		exit(1);
	}
	llama_synchronize(context);
}

// prompt computes the tokens that the tool gives the engine too, see prompt in ours.go, and leaves the last one's logits.
static void prompt(int n) {
	llama_memory_clear(llama_get_memory(context), true);
	llama_token *tokens = malloc(n * sizeof *tokens);
	for (int i = 0; i < n; i++) tokens[i] = (llama_token)((i * 7919LL + 13) % vocab);
	decode(tokens, n);
	free(tokens);
}

static llama_token likeliest(const float *logits) {
	int best = 0;
	for (int i = 1; i < vocab; i++)
		if (logits[i] > logits[best]) best = i;
	return best;
}

// answer measures n greedy tokens. On a machine that is busy with other things its threads may wait for each other for ever: what was done
// in ten seconds stands for all.
static void answer(int n) {
	llama_token next = likeliest(llama_get_logits_ith(context, -1));
	int made = 0;
	begin();
	while (made < n && elapsed() < 10) {
		decode(&next, 1);
		next = likeliest(llama_get_logits_ith(context, -1));
		made++;
	}
	end((double)made / n);
}

static void score(char *ids) {
	const float *logits = llama_get_logits_ith(context, -1);
	double top = logits[likeliest(logits)], sum = 0;
	for (int i = 0; i < vocab; i++) sum += exp(logits[i] - top);
	for (char *id = strtok(ids, " "); id; id = strtok(NULL, " ")) printf("%.6f ", logits[atoi(id)] - top - log(sum));
	printf("\n");
}

static void serve(void) {
	static char line[4096];
	while (fgets(line, sizeof line, stdin)) {
		line[strcspn(line, "\n")] = 0;
		int n, steps, times, read = 0;
		if (sscanf(line, "prefill %d %d", &n, &times) == 2) {
			begin();
			for (int i = 0; i < times; i++) prompt(n);
			end(1);
		} else if (sscanf(line, "decode %d %d", &n, &steps) == 2) {
			prompt(n);
			answer(steps);
		} else if (sscanf(line, "score %d %n", &n, &read) == 1) {
			prompt(n);
			score(line + read);
		} else {
			fprintf(stderr, "not understood: %s\n", line);
			exit(1);
		}
		fflush(stdout);
	}
}

int main(int argc, char **argv) {
	if (argc != 5) {
		fputs("usage: llamacpp BACKENDS MODEL.gguf THREADS CONTEXT\n", stderr);
		return 2;
	}
	llama_log_set(quiet, NULL);
	if (strstr(argv[1], ".so"))
		ggml_backend_load(argv[1]);
	else
		ggml_backend_load_all_from_path(argv[1]);
	llama_backend_init();
	struct llama_model *model = llama_model_load_from_file(argv[2], llama_model_default_params());
	if (!model) return 1;
	struct llama_context_params params = llama_context_default_params();
	params.n_threads = params.n_threads_batch = atoi(argv[3]);
	params.n_ctx = atoi(argv[4]);
	context = llama_init_from_model(model, params);
	if (!context) return 1;
	vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
	printf("%s\n", llama_print_system_info());
	fflush(stdout);
	serve();
	return 0;
}
