#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Builds the programs of this folder with the nvcc of requirements.txt, beside the one on the machine, and runs them on
# the machine for PTX: other_nvcc.sh FOLDER
set -euo pipefail
folder=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
source tests/packages.sh

mkdir -p "$folder"
fetch_nvcc "$folder/nvcc"
if [ -z "$fetched_nvcc" ]; then
    echo "skipped: there is no other nvcc"
    exit 0
fi
"$fetched_nvcc" --version
cmake -S . -B "$folder/build" -G Ninja -DUNMASK_TEST_SCOPE=usual -DUNMASK_BUILD_EXAMPLES=OFF \
    -DUNMASK_BUILD_BENCHMARKS=OFF -DCMAKE_CUDA_COMPILER="$fetched_nvcc" -DCMAKE_CUDA_ARCHITECTURES=80
cmake --build "$folder/build" --target test_cuda_{runtime,rows,sampler,attention}
ctest --test-dir "$folder/build" --output-on-failure --no-tests=error -R '^ptx\.(runtime|rows|sampler|attention)'
