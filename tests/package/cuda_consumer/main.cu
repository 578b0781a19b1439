// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The public names of unmask.cuh are there, and the program runs where there is no GPU, too.

#include <cstdio>
#include <stdexcept>
#include <type_traits>

#include <unmask/unmask.cuh>

static_assert(unmask::mask_policy<unmask::block>);
static_assert(std::is_base_of_v<std::runtime_error, unmask::cuda_error>);
static_assert(std::is_abstract_v<unmask::device_memory_resource>);

int main() {
    const unmask::cuda_executor exec{};
    int gpus = 0;
    const unmask::cuda_error error("cudaGetDeviceCount", cudaGetDeviceCount(&gpus));
    std::printf("%s, %d GPUs\n", error.what(), gpus);
    return exec.stream == nullptr && exec.memory == nullptr ? 0 : 1;
}
