// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What runtime.cuh and executor.cuh promise, on a GPU: launches, errors, scratch memory.

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/executor/cuda_executor.cuh>

namespace {

struct filling {
    int* numbers;
    int first;
};

__global__ void fill(filling parameters) {
    extern __shared__ int staged[];
    staged[threadIdx.x] = parameters.first + static_cast<int>(threadIdx.x);
    __syncthreads();
    parameters.numbers[threadIdx.x] = staged[threadIdx.x];
}

std::vector<int> copied(const void* device, std::size_t count) {
    std::vector<int> result(count);
    REQUIRE(cudaMemcpy(result.data(), device, count * sizeof(int), cudaMemcpyDeviceToHost) == cudaSuccess);
    return result;
}

struct counting_resource : unmask::device_memory_resource {
    std::size_t live = 0;
    std::size_t calls = 0;

    void* allocate(std::size_t bytes, unmask::cuda_stream stream) override {
        live += bytes;
        ++calls;
        return unmask::detail::allocate_async(bytes, stream);
    }
    void deallocate(void* memory, std::size_t bytes, unmask::cuda_stream stream) noexcept override {
        live -= bytes;
        unmask::detail::free_async(memory, stream);
    }
};

} // namespace

TEST_CASE("a kernel gets its parameters, and more shared memory than is allowed unasked") {
    const unmask::detail::cuda::device_scratch numbers(unmask::detail::cuda::work_stream{}, 32 * sizeof(int));
    unmask::detail::launch(fill, 1, 32, 64 * 1024, nullptr, filling{static_cast<int*>(numbers.data()), 7});
    const std::vector<int> result = copied(numbers.data(), 32);
    CHECK(result.front() == 7);
    CHECK(result.back() == 38);
}

TEST_CASE("how many blocks a multiprocessor holds, by the runtime; none that are too large") {
    const auto gpu = unmask::detail::device_properties::current();
    const auto most = static_cast<std::size_t>(gpu.shared_bytes_a_block);
    CHECK(unmask::detail::resident_blocks(gpu, fill, 1024, 0) >= 1);
    CHECK(unmask::detail::resident_blocks(gpu, fill, 32, most) == 1);
    CHECK(unmask::detail::resident_blocks(gpu, fill, 32, most / 2 - 1024) == 2);
    CHECK(unmask::detail::resident_blocks(gpu, fill, 32, most + 1) == 0);
}

TEST_CASE("no blocks, no launch") {
    unmask::detail::launch(fill, 0, 32, 0, nullptr, filling{});
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("a failure throws with the call's name, and is not blamed on the next call") {
    const auto launch_too_many_threads = [] { unmask::detail::launch(fill, 1, 4096, 0, nullptr, filling{}); };
    CHECK_THROWS_WITH_AS(launch_too_many_threads(), "a kernel's launch: invalid configuration argument (9)",
                         unmask::cuda_error);
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("scratch memory comes from the executor's resource and goes back to it") {
    counting_resource memory;
    const unmask::cuda_executor exec{nullptr, &memory};
    {
        const unmask::detail::cuda::device_scratch scratch(unmask::detail::cuda::work_on(exec), 1000);
        CHECK(scratch.data() != nullptr);
        CHECK(memory.live == 1000);
        const unmask::detail::cuda::device_scratch none(unmask::detail::cuda::work_on(exec), 0);
        CHECK(none.data() == nullptr);
    }
    CHECK(memory.live == 0);
    CHECK(memory.calls == 1);
}
