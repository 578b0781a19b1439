// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include "device_array.cuh"

namespace bench {

/// Says in the output which GPU and which compiler it is.
inline void describe_gpu() {
    int device = 0;
    cudaDeviceProp properties{};
    int kilohertz = 0;
    expect_success(cudaGetDevice(&device), "cudaGetDevice");
    expect_success(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    expect_success(cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, device), "cudaDeviceGetAttribute");
    benchmark::AddCustomContext("gpu", properties.name);
    benchmark::AddCustomContext("multiprocessors", std::to_string(properties.multiProcessorCount));
    benchmark::AddCustomContext("clock_mhz", std::to_string(kilohertz / 1000));
    benchmark::AddCustomContext("instruction_set", "sm_" + std::to_string(10 * properties.major + properties.minor));
    benchmark::AddCustomContext("compiler", "nvcc " + std::to_string(__CUDACC_VER_MAJOR__) + "." +
                                                std::to_string(__CUDACC_VER_MINOR__) + "." +
                                                std::to_string(__CUDACC_VER_BUILD__));
}

} // namespace bench
