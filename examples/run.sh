#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sets up, builds in build-examples/, and lets two models write: the language model of this project, whose weights are
# here, and one of antibodies that others trained, whose weights are fetched (7 MB) or, without a network, left out.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/packages.sh
need g++ cmake ninja-build libopenblas-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev python3-venv

cmake -S . -B build-examples -G Ninja -DCMAKE_BUILD_TYPE=Release -DUNMASK_BUILD_TESTS=OFF -DUNMASK_BUILD_BENCHMARKS=OFF
cmake --build build-examples --parallel "${JOBS:-$(nproc)}" --target language_model_generate pretrained_program

generate() {
    echo
    echo "generate $*"
    build-examples/examples/language_model/generate \
        --checkpoint examples/language_model/king_james.safetensors "$@"
}

generate --seed 1
generate --infill "In the ____ God created" --seed 1
generate --prompt "And the LORD said unto " --seed 1

pretrained() {
    echo
    echo "pretrained $*"
    build-examples/examples/pretrained/pretrained "$@" || [ $? -eq 77 ] # which says why it is skipped
}

chain=EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQ
chain+=MNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS
pretrained --model sapiens_heavy --generate --seed 1
pretrained --model sapiens_heavy --infill "$chain" --hide 36-60
