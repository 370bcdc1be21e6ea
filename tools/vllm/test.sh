#!/usr/bin/env bash
# Runs the tests of the container, of --local-vllm and of the proof against a real vLLM of VERSION, installed in DIR.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:?usage: test.sh VERSION DIR} dir=${2:?usage: test.sh VERSION DIR}
wait=${VLLM_START_WAIT:-900} # seconds; 30 to 100 on two free cores

if why=$("$here/install.sh" "$version" "$dir" 2>&1); then :; else
    code=$?
    echo "make test-vllm: $why" >&2
    [ "$code" = 3 ] && exit 0 # it cannot be had here, and that has been said
    exit 1
fi

work=$(mktemp -d)
server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap stop EXIT
tar -xzf "$here/../../internal/local/container/testdata/tiny-base-and-good.tar.gz" -C "$work"
port=$(python3.11 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$here/serve.sh" "$dir" "$work" "$port" >"$dir/serve.log" 2>&1 &
server=$!
echo "vLLM $version is starting on 127.0.0.1:$port; its log is $dir/serve.log"
for ((second = 0; ; second++)); do
    kill -0 "$server" 2>/dev/null || { tail -20 "$dir/serve.log" >&2; echo "make test-vllm: vLLM ended; see above" >&2; exit 1; }
    curl -fso /dev/null "http://127.0.0.1:$port/ping" && break
    [ "$second" -lt "$wait" ] || { echo "make test-vllm: vLLM does not answer after $wait s; give it more with VLLM_START_WAIT" >&2; exit 1; }
    sleep 1
done
# The first request with logprobs compiles a function. It is asked for before anything is compared.
curl -fso /dev/null -m "$wait" "http://127.0.0.1:$port/invocations" -H 'Content-Type: application/json' \
    -d '{"prompt": "The boat", "max_tokens": 1, "logprobs": 1}'

# One after another: on a CPU a base that shares a batch with an adapter answers as the adapter.
export VLLM_URL=http://127.0.0.1:$port
cd "$here/../.."
go test -count=1 -timeout 60m -v -p 1 -parallel 1 -run '^(TestAnswersAsRecorded|TestAServerAnswersInTheContainersPlace|TestAServerTellsWhatItIs|TestAdaptersOnAVLLMEndAsTheirProofDoes)$' \
    ./internal/local/vllm ./cmd/web ./internal/local/container
