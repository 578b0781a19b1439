#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sets up, builds in build-examples/, and runs every program on this machine with 2 and 4 processes: an attention layer
# of 65,536 positions, pages of the language model, a made model of LLaDA's kind, and twenty steps of training.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/packages.sh
need g++ cmake ninja-build libopenblas-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libopenmpi-dev openmpi-bin \
    bible-kjv

cmake -S . -B build-examples -G Ninja -DCMAKE_BUILD_TYPE=Release -DUNMASK_CUDA=OFF -DUNMASK_BUILD_TESTS=OFF \
    -DUNMASK_BUILD_BENCHMARKS=OFF
cmake --build build-examples --parallel "${JOBS:-$(nproc)}" --target \
    distributed_{layer,generate,dlm,train} dlm_make_model

export OMPI_MCA_btl_vader_single_copy_mechanism=none # containers refuse it
export OMPI_MCA_mpi_yield_when_idle=1                # there may be more processes than cores
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

programs=build-examples/examples/distributed
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

on() { # on PROCESSES PROGRAM OPTION...
    echo
    echo "mpirun -n $1 ${*:2}"
    mpirun -n "$1" --oversubscribe --bind-to none "$programs/${@:2}"
}

build-examples/examples/dlm/dlm_make_model --model "$results/made" --family LLaDA --layers 4
for processes in 2 4; do
    on $processes distributed_layer --length 65536 --mask causal
    on $processes distributed_generate --checkpoint examples/language_model/king_james.safetensors --samples 4
    on $processes distributed_dlm --model "$results/made" --prompt "the mask" --length 64
    on $processes distributed_train --out "$results/$processes.safetensors" --steps 20 --log-every 5 --windows 16
done
