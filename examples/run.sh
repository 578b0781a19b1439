#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sets up, builds the language model's `generate`, in build-examples/, and lets it write with the shipped weights.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/packages.sh
need g++ cmake ninja-build libopenblas-dev

cmake -S . -B build-examples -G Ninja -DCMAKE_BUILD_TYPE=Release -DUNMASK_BUILD_TESTS=OFF -DUNMASK_BUILD_BENCHMARKS=OFF
cmake --build build-examples --parallel "${JOBS:-$(nproc)}" --target language_model_generate

generate() {
    echo
    echo "generate $*"
    build-examples/examples/language_model/generate \
        --checkpoint examples/language_model/king_james.safetensors "$@"
}

generate --seed 1
generate --infill "In the ____ God created" --seed 1
generate --prompt "And the LORD said unto " --seed 1
