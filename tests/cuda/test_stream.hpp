// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

namespace test {

// A stream that does not wait for the default one.
struct test_stream {
    cudaStream_t handle = nullptr;

    test_stream() { REQUIRE(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking) == cudaSuccess); }
    test_stream(const test_stream&) = delete;
    test_stream& operator=(const test_stream&) = delete;
    ~test_stream() { cudaStreamDestroy(handle); }
};

} // namespace test
