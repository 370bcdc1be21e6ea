#!/usr/bin/env bash
# Serves DATA/base on 127.0.0.1:PORT with the vLLM that install.sh put in DIR, set up as the recordings' was: LoRA on, adapters
# loaded at run time, one adapter in a batch and two in memory. More options of vLLM may follow.
set -euo pipefail
usage="usage: serve.sh DIR DATA PORT [OPTION…]"
venv=$(cd "${1:?$usage}/venv" && pwd) data=$(cd "${2:?$usage}" && pwd) port=${3:?$usage}
shift 3
export PATH=$venv/bin:$PATH PYTHONUNBUFFERED=1 CUDA_VISIBLE_DEVICES=
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1
export VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1
export VLLM_ALLOW_RUNTIME_LORA_UPDATING=${VLLM_ALLOW_RUNTIME_LORA_UPDATING-true}
exec python -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port "$port" --enforce-eager \
    --model "$data/base" --served-model-name /opt/ml/model --max-model-len 256 --max-num-seqs 8 \
    --enable-lora --max-loras 1 --max-cpu-loras 2 --max-lora-rank 16 --block-size 32 "$@"
