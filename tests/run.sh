#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sets up, builds and runs the tests. JOBS=N limits how much is done at once. The last line is a count.
#
#   run.sh          every check but the rare ones, in build/
#   run.sh all      besides, also in build/: what is expensive and rarely finds anything. Flags that few choose, all
#                   tests on all instruction sets and with all sanitizers, fuzzing, the sink study, the benchmarks'
#                   build; nvcc for each header, for six architectures, for all kernels of attention and the examples;
#                   without a GPU, programs for one under many settings of the machine in tests/ptx
#   run.sh quick    the CPU's unit tests, misuse that must not compile, and rules for files, in build-quick/: without
#                   nvcc, and with clang only where it is installed
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/packages.sh

scope=${1:-usual}
jobs=${JOBS:-$(nproc)}
build=build
packages=(g++ cmake ninja-build doctest-dev doxygen python3-venv)
options=(-DUNMASK_TEST_SCOPE="$scope" -DCMAKE_COMPILE_WARNING_AS_ERROR=ON)
case $scope in
quick)
    build=build-quick
    options+=(-DUNMASK_CUDA=OFF -DUNMASK_BUILD_EXAMPLES=OFF -DUNMASK_BUILD_BENCHMARKS=OFF
        -DUNMASK_TEST_FLAGS_attention=-O1 -DUNMASK_TEST_FLAGS_analysis=-O0 -DUNMASK_TEST_FLAGS_sampler=-O0)
    ;;
usual | all)
    packages+=(clang libclang-rt-dev libomp-dev libopenblas-dev libopenmpi-dev openmpi-bin nlohmann-json3-dev
        libpcre2-dev libutf8proc-dev)
    if [ "$scope" = all ]; then
        packages+=(libbenchmark-dev)
    fi
    options+=(-DUNMASK_BUILD_BENCHMARKS="$([ "$scope" = all ] && echo ON || echo OFF)")
    ;;
*)
    echo "usage: run.sh [quick | all]" >&2
    exit 2
    ;;
esac
if ! nvidia-smi -L >/dev/null 2>&1; then
    options+=(-DCMAKE_CUDA_ARCHITECTURES=80) # one is enough where none is run
fi
need "${packages[@]}"
need_tools "$build/tools"
if [ "$scope" != quick ]; then
    need_nvcc "$build/nvcc"
    [ -z "$fetched_nvcc" ] || options+=(-DCMAKE_CUDA_COMPILER="$fetched_nvcc")
fi

cmake -S . -B "$build" -G Ninja "${options[@]}"
cmake --build "$build" --parallel "$jobs"

failures=0
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error |
    tee "$build/ctest.log" || failures=$?
grep -E "tests passed.* out of " "$build/ctest.log"
exit "$failures"
