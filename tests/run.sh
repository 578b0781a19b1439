#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Sets up, builds and runs all tests, in build/. JOBS=N limits how much is done at once. The last line is a count.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/packages.sh
need g++ cmake ninja-build clang libclang-rt-dev libomp-dev doctest-dev libbenchmark-dev libopenblas-dev \
    nlohmann-json3-dev libboost-context-dev

jobs=${JOBS:-$(nproc)}
cmake -S . -B build -G Ninja -DCMAKE_COMPILE_WARNING_AS_ERROR=ON
cmake --build build --parallel "$jobs"

failures=0
ctest --test-dir build --parallel "$jobs" --output-on-failure --no-tests=error | tee build/ctest.log || failures=$?
grep -E "tests passed.* out of " build/ctest.log
exit "$failures"
