// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What settings of the machine do, and what it counts.

#include <cmath>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>

#include "../cuda/attention/device_memory.hpp"
#include "../cuda/device_functions.cuh"
#include "machine.hpp"

using namespace unmask;
using ptx::arrival;
using test::device_array;

TEST_CASE("copies arrive late, early or at random") {
    const auto got = [](arrival mode, unsigned seed) {
        ptx::settings wanted;
        wanted.arrival = mode;
        wanted.seed = seed;
        const ptx::scoped_settings scope(wanted);
        const device_array<float> source(std::vector<float>(4, 1.0F));
        const device_array<float> result(std::size_t{1});
        detail::launch(test::change_under_a_copy, 1, 1, 16, nullptr, test::change_case{source.data(), result.data()});
        return result.to_host()[0];
    };
    int late = 0;
    for (unsigned seed = 0; seed < 40; ++seed) {
        CHECK(got(arrival::late, seed) == 2.0F);
        CHECK(got(arrival::early, seed) == 1.0F);
        late += got(arrival::random, seed) == 2.0F ? 1 : 0;
    }
    CHECK(late > 5);
    CHECK(late < 35);
}

TEST_CASE("device memory: NaN until written, counted, checked") {
    const int before = ptx::live_allocations();
    {
        const device_array<float> memory(std::size_t{3});
        CHECK(ptx::live_allocations() == before + 1);
        CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % 256 == 0);
        CHECK(std::isnan(memory.to_host()[2]));
        CHECK(cudaMemset(memory.data(), 0, 16) == cudaErrorInvalidValue);
        CHECK(cudaGetLastError() == cudaErrorInvalidValue);
    }
    CHECK(ptx::live_allocations() == before);
}

TEST_CASE("scratch memory that the device does not have") {
    const auto take = [] {
        const detail::cuda::device_scratch scratch(detail::cuda::work_stream{}, std::size_t{1} << 40);
    };
    CHECK_THROWS_AS(take(), cuda_error);
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("what the device is, is a setting") {
    CHECK(detail::device_properties::current().multiprocessors == 108);
    CHECK(detail::has_tensor_cores(test::exchange));
    ptx::settings wanted;
    wanted.multiprocessors = 132;
    wanted.compiled_for = 75;
    {
        const ptx::scoped_settings scope(wanted);
        CHECK(detail::device_properties::current().multiprocessors == 132);
        CHECK_FALSE(detail::has_tensor_cores(test::exchange));
    }
    CHECK(detail::device_properties::current().multiprocessors == 108);
}

TEST_CASE("a launch that no device takes is an error of the runtime") {
    const auto launch = [](int threads, std::size_t shared_bytes) {
        detail::launch(test::exchange, 1, threads, shared_bytes, nullptr, test::warp_case{});
    };
    CHECK_THROWS_AS(launch(1025, 0), cuda_error);
    CHECK_THROWS_AS(launch(0, 0), cuda_error);
    CHECK_THROWS_AS(launch(32, (163 << 10) + 1), cuda_error);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("blocks on several threads of the host, and what they do is counted") {
    const device_array<std::uint16_t> a(std::vector<std::uint16_t>(32 * 16));
    const device_array<std::uint16_t> b(std::vector<std::uint16_t>(16 * 16));
    const device_array<float> c(std::size_t{32 * 16});
    for (const int threads : {1, 3}) {
        ptx::settings wanted;
        wanted.threads = threads;
        const ptx::scoped_settings scope(wanted);
        ptx::reset_counts();
        detail::launch(test::tile_product<bfloat16, true>, 10, 64, test::product_shared_bytes, nullptr,
                       test::product_case{a.data(), b.data(), c.data()});
        REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
        const ptx::counters counts = ptx::counts();
        CHECK(counts.launches == 1);
        CHECK(counts.blocks == 10);
        CHECK(counts.barriers == 10);
        CHECK(counts.copies == 10 * 96);
        CHECK(counts.empty_copies == 0);
        CHECK(counts.matrix_loads == 10 * 4);
        CHECK(counts.multiply_adds == 10 * 4);
    }
}

namespace {

struct sum_case {
    const double* in; // three
    double* out;      // four
};

__global__ void sums_of_products(sum_case c) {
    const double a = c.in[0];
    const double b = c.in[1];
    double product;
    double sum;
    // As nvcc leaves them where C++ code says how to round: without .rn.
    asm volatile("mul.f64 %0, %1, %2;" : "=d"(product) : "d"(a), "d"(b));
    asm volatile("add.f64 %0, %1, %2;" : "=d"(sum) : "d"(product), "d"(c.in[2]));
    c.out[0] = sum;
    asm volatile("mul.f64 %0, %1, %2;" : "=d"(product) : "d"(a), "d"(b));
    asm volatile("sub.f64 %0, %1, %2;" : "=d"(sum) : "d"(c.in[2]), "d"(product));
    c.out[1] = sum;
    asm volatile("mul.f64 %0, %1, %2;" : "=d"(product) : "d"(a), "d"(b));
    asm volatile("sub.f64 %0, %1, %2;" : "=d"(sum) : "d"(product), "d"(c.in[2]));
    c.out[2] = sum;
    c.out[3] = __dadd_rn(__dmul_rn(a, b), c.in[2]);
}

} // namespace

TEST_CASE("products and sums that say no rounding are fused where settings say so") {
    const double a = 1 + 0x1p-30;
    const device_array<double> in(std::vector<double>{a, a, -1.0});
    const auto results = [&](bool contract) {
        ptx::settings wanted;
        wanted.contract = contract;
        const ptx::scoped_settings scope(wanted);
        const device_array<double> out(std::size_t{4});
        detail::launch(sums_of_products, 1, 1, 0, nullptr, sum_case{in.data(), out.data()});
        return out.to_host();
    };
    const double rounded = 0x1p-29; // of a · a − 1, which is 2^−29 + 2^−60
    const double exact = rounded + 0x1p-60;
    const double two = 2 + rounded;
    CHECK(results(false) == std::vector<double>{rounded, -two, two, rounded});
    ptx::reset_counts();
    CHECK(results(true) == std::vector<double>{exact, -(2 + exact), 2 + exact, rounded});
    CHECK(ptx::counts().fused == 3);
}
