// Package engine runs a small transformer on the CPU and applies LoRA adapters per request. It reads Hugging Face
// directories of the Llama, Mistral and Qwen2 families (float32, float16, bfloat16), batches requests continuously, each
// with its own adapter or none, and streams what they generate.
//
// It is strict: what it cannot compute exactly as transformers and peft do — another family, an unknown rope scaling, DoRA,
// trained biases, saved modules — fails at load, in a sentence that names it.
//
// Guarantees:
//   - A request's numbers are the same, bit for bit, whatever it was batched with, however its prompt was cut into steps
//     and however many threads ran it, unless Trouble asks for rounding.
//   - Adapters come and go while others generate; a request keeps the adapter it started with.
//   - A NaN in an adapter's weights comes out as NaN log probabilities and is never hidden.
//
// Errors are lora errors: Invalid for what cannot be run or asked, NotFound and Conflict for adapters' names, Unavailable
// once closed, Internal once a bug of the engine's own has ended it. A request whose context ends gets the context's cause.
// The zero Request asks for the chosen token's log probability (Logprobs 0); -1 asks for none.
//
// Tokens are chosen in vLLM's order of temperature, limits and penalties. Otherwise it knows nothing of vLLM, of HTTP or of
// SageMaker, and it keeps no state on disk.
package engine
