// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/tensor/float_types.hpp>

#include "device_functions.hpp"
#include "planted_bugs.hpp"

using namespace unmask;

TEST_CASE("device memory: aligned, NaN until written, copied back, counted, checked") {
    const int before = emulator::live_allocations();
    {
        emulator::buffer<float> memory(3);
        CHECK(emulator::live_allocations() == before + 1);
        CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % 256 == 0);
        CHECK(std::isnan(memory.to_host()[2]));
        memory.assign({1, 2});
        CHECK(memory.to_host()[1] == 2.0F);
        CHECK(std::isnan(memory.to_host()[2]));
        CHECK_THROWS_AS(memory.assign({1, 2, 3, 4}), emulator::fault);

        const emulator::buffer<float> moved = std::move(memory);
        CHECK(moved.to_host()[0] == 1.0F);
        CHECK(emulator::live_allocations() == before + 1);
    }
    CHECK(emulator::live_allocations() == before);
    CHECK(emulator::buffer<float>(0).to_host().empty());
}

TEST_CASE("scratch memory of a call, from the emulated runtime and from a resource") {
    const int before = emulator::live_allocations();
    {
        const detail::cuda::device_scratch scratch(detail::cuda::work_stream{}, 1000);
        CHECK(emulator::live_allocations() == before + 1);
    }
    CHECK(emulator::live_allocations() == before);
    CHECK_THROWS_AS(detail::cuda::device_scratch(detail::cuda::work_stream{}, std::size_t{1} << 40), cuda_error);
}

TEST_CASE("a fault is the same whenever the seed is, and comes out of any thread of the host") {
    const emulator::buffer<float> in(std::vector<float>(4 * test::bug_threads));
    const emulator::buffer<float> out(test::bug_threads);
    const auto what = [&](unsigned seed, int os_threads) -> std::string {
        emulator::settings wanted;
        wanted.seed = seed;
        wanted.os_threads = os_threads;
        const emulator::scoped_settings scope(wanted);
        try {
            detail::launch(test::planted_bugs.front().wrong, 8, test::bug_threads, test::bug_shared_bytes, nullptr,
                           test::arrays{in.data(), out.data()});
        } catch (const emulator::fault& found) {
            return found.what();
        }
        return "";
    };
    CHECK(what(1, 1) == what(1, 1));
    CHECK(what(1, 1) != what(2, 1));
    CHECK(what(1, 4).find("race in block ") == 0);
}

TEST_CASE("what the device is, is a setting") {
    CHECK(detail::device_properties::current().multiprocessors == 4);
    CHECK(detail::has_tensor_cores(test::exchange));
    emulator::settings wanted;
    wanted.multiprocessors = 132;
    wanted.tensor_cores = false;
    {
        const emulator::scoped_settings scope(wanted);
        CHECK(detail::device_properties::current().multiprocessors == 132);
        CHECK_FALSE(detail::has_tensor_cores(test::exchange));
    }
    CHECK(detail::device_properties::current().multiprocessors == 4);
}

TEST_CASE("how many blocks a multiprocessor holds, by shared memory and threads") {
    const auto gpu = detail::device_properties::current();
    CHECK(detail::resident_blocks(gpu, test::exchange, 128, 0) == 4);
    CHECK(detail::resident_blocks(gpu, test::exchange, 256, 100 * 1024) == 2);
    CHECK(detail::resident_blocks(gpu, test::exchange, 128, 113 * 1024) == 2);
    CHECK(detail::resident_blocks(gpu, test::exchange, 128, 113 * 1024 + 1) == 1);
    CHECK(detail::resident_blocks(gpu, test::exchange, 128, 227 * 1024) == 1);
    CHECK(detail::resident_blocks(gpu, test::exchange, 128, 227 * 1024 + 1) == 0);
}

TEST_CASE("a launch that no device takes is an error of the runtime") {
    const auto launch = [](int blocks, int threads, std::size_t shared_bytes) {
        detail::launch(test::well_behaved, blocks, threads, shared_bytes, nullptr, test::arrays{});
    };
    CHECK_THROWS_AS(launch(1, 1025, 0), cuda_error);
    CHECK_THROWS_AS(launch(1, 0, 0), cuda_error);
    CHECK_THROWS_AS(launch(1, 64, 227 * 1024 + 1), cuda_error);
    launch(0, 64, 0);
    try {
        launch(-1, 64, 0);
        FAIL("launched");
    } catch (const cuda_error& error) {
        CHECK(error.call() == "a kernel's launch");
        CHECK(error.code() == 1);
    }
}

TEST_CASE("blocks on several threads of the host, and what they do is counted") {
    const emulator::buffer<std::uint16_t> a(std::vector<std::uint16_t>(32 * 16));
    const emulator::buffer<std::uint16_t> b(std::vector<std::uint16_t>(16 * 16));
    const emulator::buffer<float> c(32 * 16);
    for (const int os_threads : {1, 3}) {
        emulator::settings wanted;
        wanted.os_threads = os_threads;
        const emulator::scoped_settings scope(wanted);
        emulator::counts() = {};
        detail::launch(test::tile_product<bfloat16, true>, 10, 64, test::product_shared_bytes, nullptr,
                       test::product_case{a.data(), b.data(), c.data()});
        const emulator::counters& counts = emulator::counts();
        CHECK(counts.launches == 1);
        CHECK(counts.blocks == 10);
        CHECK(counts.barriers == 10);
        CHECK(counts.copies == 10 * 96);
        CHECK(counts.invalid_copies == 0);
        CHECK(counts.matrix_loads == 10 * 4);
        CHECK(counts.multiply_adds == 10 * 4);
    }
}
