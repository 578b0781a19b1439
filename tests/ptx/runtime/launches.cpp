// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstring>
#include <vector>

#include <cuda_runtime_api.h>

#include "../launch.hpp"
#include "../state.hpp"
#include "errors.hpp"
#include "modules.hpp"
#include "streams.hpp"

// Launches, and what kernels are asked for.
namespace ptx {
namespace {

constexpr std::size_t shared_bytes_unasked = 48 << 10;

struct configuration {
    dim3 grid, block;
    std::size_t shared;
    cudaStream_t stream;
};
thread_local std::vector<configuration> configurations; // of <<<…>>>, until their calls

bool is_possible(const dim3& grid, const dim3& block) {
    const bool blocks =
        grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7fffffffU && grid.y <= 65535U && grid.z <= 65535U;
    const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
    return blocks && threads > 0 && threads <= 1024 && block.x <= 1024 && block.y <= 1024 && block.z <= 64;
}

// Of all that a block has, static shared memory included.
std::size_t shared_limit(const registered_kernel& kernel) {
    return kernel.dynamic_shared_limit > shared_bytes_unasked
               ? static_cast<std::size_t>(current_settings().shared_bytes_a_block)
               : shared_bytes_unasked;
}

void run(const kernel_launch& launch) {
    if (has_faulted()) {
        return;
    }
    try {
        run_kernel(launch);
    } catch (const fault& found) {
        report(found);
    }
}

cudaError_t launch(registered_kernel& kernel, const configuration& how, void** arguments) {
    if (!is_possible(how.grid, how.block)) {
        return failed(cudaErrorInvalidConfiguration);
    }
    const lowered_kernel& code = loaded(kernel);
    kernel_launch made;
    made.kernel = &code;
    made.grid = {how.grid.x, how.grid.y, how.grid.z};
    made.block = {how.block.x, how.block.y, how.block.z};
    made.dynamic_shared = how.shared;
    made.how = current_settings();
    if (made.block.all() > static_cast<std::uint64_t>(code.max_threads)) {
        return failed(cudaErrorLaunchOutOfResources);
    }
    if (how.shared > kernel.dynamic_shared_limit || how.shared + code.static_shared > shared_limit(kernel)) {
        return failed(cudaErrorInvalidValue);
    }
    made.parameters.resize(code.parameter_bytes);
    for (std::size_t n = 0; n < code.parameter_offsets.size(); ++n) {
        std::memcpy(made.parameters.data() + code.parameter_offsets[n], arguments[n], code.parameter_sizes[n]);
    }
    counters launched;
    launched.launches = 1;
    count(launched);
    return add(how.stream, node_kind::kernel, [made = std::move(made)] { run(made); });
}

} // namespace
} // namespace ptx

extern "C" {

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream) {
    ptx::configurations.push_back({grid, block, shared, stream});
    return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
    if (ptx::configurations.empty()) {
        return cudaErrorMissingConfiguration;
    }
    const ptx::configuration last = ptx::configurations.back();
    ptx::configurations.pop_back();
    *grid = last.grid;
    *block = last.block;
    *shared = last.shared;
    *static_cast<cudaStream_t*>(stream) = last.stream;
    return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host_function) {
    *kernel = reinterpret_cast<cudaKernel_t>(ptx::find_kernel(host_function));
    return *kernel != nullptr ? cudaSuccess : cudaErrorInvalidDeviceFunction;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                               cudaStream_t stream) {
    auto* const own = reinterpret_cast<ptx::registered_kernel*>(kernel);
    return own != nullptr ? ptx::launch(*own, {grid, block, shared, stream}, arguments)
                          : ptx::failed(cudaErrorInvalidDeviceFunction);
}
cudaError_t cudaLaunchKernel(const void* host_function, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                             cudaStream_t stream) {
    auto* const kernel = reinterpret_cast<cudaKernel_t>(ptx::find_kernel(host_function));
    return __cudaLaunchKernel(kernel, grid, block, arguments, shared, stream);
}

cudaError_t cudaFuncSetAttribute(const void* host_function, cudaFuncAttribute attribute, int value) {
    ptx::registered_kernel* const kernel = ptx::find_kernel(host_function);
    if (kernel == nullptr) {
        return ptx::failed(cudaErrorInvalidDeviceFunction);
    }
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
        ptx::give_up("cudaFuncSetAttribute of " + std::to_string(attribute));
    }
    const auto most = static_cast<std::size_t>(ptx::current_settings().shared_bytes_a_block);
    if (value < 0 || static_cast<std::size_t>(value) + ptx::loaded(*kernel).static_shared > most) {
        return ptx::failed(cudaErrorInvalidValue);
    }
    kernel->dynamic_shared_limit = static_cast<std::size_t>(value);
    return cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* host_function) {
    ptx::registered_kernel* const kernel = ptx::find_kernel(host_function);
    if (kernel == nullptr) {
        return ptx::failed(cudaErrorInvalidDeviceFunction);
    }
    const ptx::settings& device = ptx::current_settings();
    *attributes = {};
    attributes->ptxVersion = device.compiled_for != 0 ? device.compiled_for : ptx::compiled_for(*kernel);
    attributes->binaryVersion = device.capability;
    attributes->maxThreadsPerBlock = ptx::loaded(*kernel).max_threads;
    attributes->sharedSizeBytes = ptx::loaded(*kernel).static_shared;
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(kernel->dynamic_shared_limit);
    return cudaSuccess;
}

// There are no registers here: 128 for each thread are assumed, of 64 K. CUDA takes a kilobyte of each block's shared
// memory for itself, and a multiprocessor has one more than a block can ask for.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* host_function, int threads,
                                                                   std::size_t shared, unsigned /*flags*/) {
    ptx::registered_kernel* const kernel = ptx::find_kernel(host_function);
    if (kernel == nullptr) {
        return ptx::failed(cudaErrorInvalidDeviceFunction);
    }
    const auto all = static_cast<std::size_t>(ptx::current_settings().shared_bytes_a_block) + 1024;
    const std::size_t by_memory = all / (shared + ptx::loaded(*kernel).static_shared + 1024);
    *blocks = std::min(static_cast<int>(by_memory), std::max(512 / threads, 1));
    return cudaSuccess;
}

} // extern "C"
