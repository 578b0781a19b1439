#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# Puts all that only a GPU can tell into a folder of programs, for a machine with a GPU and its driver, but without
# compilers or packages:
#
#   bundle.sh ARCHITECTURE [FOLDER]     of the GPU, as in sm_90: 90; into build/bundle-90
#
# There, go.sh in the folder runs it: see there. Takes nvcc half an hour on two cores; JOBS=N limits them.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/packages.sh

architecture=${1:?bundle.sh ARCHITECTURE [FOLDER]}
build=build/gpu-$architecture
folder=${2:-build/bundle-$architecture}
programs=(tests/cuda/test_cuda_{runtime,rows,sampler,attention}
    examples/{cuda_custom_mask,cuda_training,device_sampler}
    bench/bench_{sampler,attention}_cuda)
targets=(test_cuda_{runtime,rows,sampler,attention} example_{cuda_custom_mask,cuda_training,device_sampler}
    bench_{sampler,attention}_cuda)

need g++ cmake ninja-build doctest-dev libbenchmark-dev libopenblas-dev
cmake -S . -B "$build" -G Ninja -DUNMASK_HAS_GPU=ON -DCMAKE_CUDA_ARCHITECTURES="$architecture-real" \
    -DCMAKE_CUDA_FLAGS=--compress-mode=size \
    -DUNMASK_NATIVE=OFF -DUNMASK_OPENMP=OFF -DUNMASK_TEST_SCOPE=usual
if grep -q language_model_cuda_tests "$build/build.ninja"; then # cuBLAS is here
    programs+=(examples/language_model/language_model_cuda_{,bfloat16_}tests)
    targets+=(language_model_cuda_{,bfloat16_}tests)
fi
cmake --build "$build" --parallel "${JOBS:-$(nproc)}" --target "${targets[@]}"

# What programs need of this machine but the C library, which another may have in another version, and cuBLAS, which is
# too large.
libraries_of() {
    ldd "$@" | awk '$2 == "=>" { print $3 }' | sort -u | grep -vE '/lib(c|m|dl|rt|pthread|cublas|cublasLt)\.so'
}

rm -rf "$folder"
mkdir -p "$folder"
for program in "${programs[@]}"; do
    strip -o "$folder/${program##*/}" "$build/$program"
done
libraries_of "${programs[@]/#/$build/}" | # packed, or OpenBLAS would be half of the folder
    tar --create --gzip --file "$folder/lib.tar.gz" --dereference --absolute-names --files-from - \
        --transform 's,.*/,,'
cp tests/cuda/go.sh "$folder"
git rev-parse HEAD >"$folder/commit"
du -sh "$folder"
