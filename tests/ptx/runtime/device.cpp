// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <string>

#include <cuda_runtime_api.h>

#include "errors.hpp"

// One device, which settings describe.
extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 1;
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    return device == 0 ? cudaSuccess : ptx::failed(cudaErrorInvalidDevice);
}
cudaError_t cudaDriverGetVersion(int* version) {
    *version = ptx::current_settings().driver;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int /*device*/) {
    const ptx::settings& device = ptx::current_settings();
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = device.multiprocessors;
        break;
    case cudaDevAttrL2CacheSize:
        *value = device.cache_bytes;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = device.shared_bytes_a_block;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = device.capability / 10;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = device.capability % 10;
        break;
    default:
        ptx::give_up("cudaDeviceGetAttribute of " + std::to_string(attribute));
    }
    return cudaSuccess;
}

} // extern "C"
