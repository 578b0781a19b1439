#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sets up, builds in build-examples/, and lets two models write: the language model of this project, whose weights are
# here, and one of antibodies that others trained, whose weights are fetched (7 MB) or, without a network, left out.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/packages.sh
need g++ cmake ninja-build libopenblas-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev python3-venv

cmake -S . -B build-examples -G Ninja -DCMAKE_BUILD_TYPE=Release -DUNMASK_CUDA=OFF -DUNMASK_BUILD_TESTS=OFF \
    -DUNMASK_BUILD_BENCHMARKS=OFF

build() { cmake --build build-examples --parallel "${JOBS:-$(nproc)}" --target "$1"; }

# generate MEANING OPTION...
generate() {
    printf '\n%s\n\ngenerate %s\n\n' "$1" "${*:2}"
    build-examples/examples/language_model/generate \
        --checkpoint examples/language_model/king_james.safetensors "${@:2}"
}

build language_model_generate
generate "A page from nothing but masks, of 256 tokens: words and parts of words. Each call of the model predicts all of
them; in the block of 8 that comes next, the one that it is surest of is kept. The last line counts." --seed 1
generate "Another in parallel: two are kept at each call. Half the calls, and worse English; --compare measures that." \
    --steps 128 --seed 1
generate "Gaps in the middle. A blank is a token, and the model sees what comes after it as well as what is before." \
    --infill "In the __ God created the __ and the earth" --seed 1
generate "A beginning, from which the model goes on." --prompt "And the LORD said unto" --length 96 --seed 1

# pretrained MEANING OPTION...
pretrained() {
    printf '\n%s\n\npretrained %s\n\n' "$1" "${*:2}"
    build-examples/examples/pretrained/pretrained "${@:2}" || [ $? -eq 77 ] # which says why it is skipped
}

echo
build pretrained_program
chain=EVQLVESGGGLVQPGGSLRLSCAASGFNIKDTYIHWVRQAPGKGLEWVARIYPTNGYTRYADSVKGRFTISADTSKNTAYLQ
chain+=MNSLRAEDTAVYYCSRWGGDGFYAMDYWGQGTLVTVSS
pretrained "Four antibodies, a letter an amino acid, by a model that was trained to fill in 15 % of one." \
    --model sapiens_heavy --generate --seed 1
pretrained "An antibody whose letters 36 to 60 are hidden, and what the model puts there." \
    --model sapiens_heavy --infill "$chain" --hide 36-60
