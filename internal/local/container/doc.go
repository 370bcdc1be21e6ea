// Package container is what runs inside a base component of the local platform: the contract between SageMaker and the
// vLLM image, spoken over an engine. It answers POST /invocations, GET and POST /ping, POST /adapters,
// DELETE /adapters/{name} and vLLM's own /v1 routes, in the words, statuses and key sets that real vLLMs were recorded to
// use: 0.11.2, 0.27.1 or 0.32.0, by the image's tag (version.go).
//
// It knows no SageMaker resource, no bucket and no archive: it is given a directory with a base, an environment, and
// directories with adapters. It shares nothing with the rooms that judge an adapter before it is shipped (check, peft):
// what it refuses is written from recordings, so that a mistake there is not repeated here.
//
// An adapter is decoded as that vLLM decodes one, oddities included: rank and alpha patterns unread before 0.32.0, module
// names that the base does not have dropped without a word, smaller tensors laid into a corner. The engine then gets plain
// matrices and a scale. SM_VLLM_MAX_LORAS different adapters answer at once, others wait; SM_VLLM_MAX_CPU_LORAS are kept, and
// one that is not is read from its directory again.
//
// What SageMaker does and this platform does not, and says so when asked: adapter weights as .bin or .pt (nothing is ever
// unpickled here), new_embeddings files, mixture-of-experts bases; more than 20 logprobs, bad words,
// structured output, beam search, best_of, tools, per-request template arguments, prompt embeddings, special tokens in the
// answer, and the vLLM options listed in settings.go.
//
// What hurts in real vLLMs happens only when it is set as a fault (trouble.go): engines that die and come back without their
// adapters, prefix caches that go stale, rounding that differs from answer to answer, NaN.
package container
