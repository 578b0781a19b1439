// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What attention kernels do and do not do, by the machine's counts and settings.

#include <cstring>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
#include <unmask/mask/tiles.hpp>

#include "../../cuda/attention/device_problem.hpp"
#include "../machine.hpp"

namespace {

using namespace test;

ptx::counters finished() {
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    return ptx::counts();
}

// The bits of all results.
template <class Sink, class T>
std::vector<unsigned char> bits_of(problem<T> input, const any_mask& mask, const ptx::settings& settings) {
    const ptx::scoped_settings scope(settings);
    run_on_device<Sink>(input, mask, {});
    std::vector<unsigned char> bits;
    const auto append = [&](const auto& values) {
        const std::size_t bytes = values.size() * sizeof(values[0]);
        bits.resize(bits.size() + bytes);
        std::memcpy(bits.data() + bits.size() - bytes, values.data(), bytes);
    };
    append(input.output);
    append(input.log_sum_exp);
    append(input.received);
    append(input.d_query);
    append(input.d_key);
    append(input.d_value);
    return bits;
}

struct counting_resource : device_memory_resource {
    std::size_t most = 0;
    std::size_t live = 0;

    void* allocate(std::size_t bytes, cuda_stream stream) override {
        live += bytes;
        most = std::max(most, live);
        return detail::allocate_async(bytes, stream);
    }
    void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept override {
        live -= bytes;
        detail::free_async(memory, stream);
    }
};

} // namespace

TEST_CASE("tiles that the mask hides are never loaded") {
    constexpr index_t length = 400;
    std::mt19937 random(1);
    const std::vector<range> documents = some_documents(length);
    const device_array<range> device_documents(documents);
    const auto all = masks(length, documents);
    const auto on_device = masks(length, {device_documents.data(), documents.size()});
    for (std::size_t i = 0; i < all.size(); ++i) {
        const std::string& name = all[i].first;
        CAPTURE(name);
        problem<bfloat16> input({1, length, length, 1, 1, 32}, random);
        const device_problem<bfloat16> device(input);
        ptx::reset_counts();
        device_calls<bfloat16, any_mask, no_sink>::forward({}, device.tensors(), on_device[i].second, no_sink{}, {});
        index_t rows = length; // of 4 chunks: the queries, then keys and values
        for (index_t first = 0; first < length; first += 128) {
            for_each_key_tile(all[i].second, first, std::min(first + 128, length), length, 64,
                              [&](index_t begin, index_t end, tile_class) { rows += 2 * (end - begin); });
        }
        CHECK(finished().copies == rows * 4);
    }
}

TEST_CASE("results are the same bits whatever the order of threads and blocks, and whenever copies arrive") {
    std::mt19937 random(2);
    const problem<bfloat16> fast({2, 70, 300, 4, 2, 64}, random);
    const problem<float> plain({1, 70, 130, 2, 1, 40}, random);
    const any_mask mask(block{48});
    const auto wanted_fast = bits_of<key_value_sink>(fast, mask, {});
    const auto wanted_plain = bits_of<key_value_sink>(plain, mask, {});
    unsigned seed = 2;
    for (const auto arrival : {ptx::arrival::late, ptx::arrival::early, ptx::arrival::random}) {
        for (int threads = 1; threads <= 2; ++threads) {
            ptx::settings settings;
            settings.seed = seed++;
            settings.arrival = arrival;
            settings.threads = threads;
            CAPTURE(settings.seed);
            CHECK(bits_of<key_value_sink>(fast, mask, settings) == wanted_fast);
            CHECK(bits_of<key_value_sink>(plain, mask, settings) == wanted_plain);
        }
    }
}

TEST_CASE("longest first: with one multiprocessor, results are those of many") {
    std::mt19937 random(3);
    ptx::settings one;
    one.multiprocessors = 1;
    ptx::settings many;
    many.multiprocessors = 20;
    const problem<bfloat16> input({1, 1000, 200, 1, 1, 32}, random);
    for (const any_mask& mask : {any_mask(causal{}), any_mask(block_diffusion{500, 8})}) {
        CHECK(bits_of<no_sink>(input, mask, one) == bits_of<no_sink>(input, mask, many));
    }
}

TEST_CASE("split keys: scratch memory comes from the executor's resource and goes back to it") {
    std::mt19937 random(4);
    counting_resource memory;
    ptx::settings settings;
    settings.multiprocessors = 20;
    const ptx::scoped_settings scope(settings);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    const int live = ptx::live_allocations();
    const any_mask mask(bidirectional{});
    {
        problem<bfloat16> input({1, 5, 1500, 4, 2, 64}, random);
        CHECK(compare_on_device<key_value_sink>(input, mask, mask, {}, {nullptr, &memory}).passed());
    }
    CHECK(memory.most > 0);
    CHECK(memory.most < 64 * 20 * 65 * 4);
    CHECK(memory.live == 0);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(ptx::live_allocations() == live);

    problem<bfloat16> enough({20, 70, 70, 4, 2, 64}, random);
    counting_resource unused;
    const device_problem<bfloat16> device(enough);
    device_calls<bfloat16, any_mask, no_sink>::forward({nullptr, &unused}, device.tensors(), mask, no_sink{}, {});
    CHECK(unused.most == 0);
}

TEST_CASE("tensor cores are used where they can be, and only there") {
    std::mt19937 random(5);
    const any_mask mask(causal{});
    const auto products = [&](auto& input, const ptx::settings& settings, index_t shift) {
        const ptx::scoped_settings scope(settings);
        const device_problem device(input);
        auto tensors = device.tensors();
        using type = std::remove_cvref_t<decltype(*tensors.query.data)>;
        const device_array<type> moved(std::vector<type>(input.key.size() + 1));
        if (shift != 0) {
            tensors.key.data = moved.data() + shift;
        }
        ptx::reset_counts();
        device_calls<type, any_mask, key_value_sink>::forward({}, tensors, mask, device.template sink<key_value_sink>(),
                                                              {});
        return finished().multiply_adds;
    };
    problem<bfloat16> even({1, 70, 70, 1, 1, 40}, random);
    CHECK(products(even, {}, 0) > 0);
    CHECK(products(even, {}, 1) == 0); // not aligned
    ptx::settings old;
    old.compiled_for = 75;
    CHECK(products(even, old, 0) == 0);
    ptx::settings small; // shared memory for the plain kernel's tiles, not for these
    small.shared_bytes_a_block = 64 * 1024;
    problem<bfloat16> wide({1, 70, 70, 1, 1, 256}, random);
    CHECK(products(wide, {}, 0) > 0);
    CHECK(products(wide, small, 0) == 0);
    problem<bfloat16> odd({1, 70, 70, 1, 1, 41}, random);
    CHECK(products(odd, {}, 0) == 0);
    problem<bfloat16> large({1, 70, 70, 1, 1, 264}, random);
    CHECK(products(large, {}, 0) == 0);
    problem<float> full({1, 70, 70, 1, 1, 64}, random);
    CHECK(products(full, {}, 0) == 0);
}

TEST_CASE("blocks are wide where a multiprocessor holds two of them, and else narrow, with the same results") {
    std::mt19937 random(8);
    const any_mask mask(block{48});
    ptx::settings small; // as RTX cards are
    small.shared_bytes_a_block = 99 * 1024;
    const auto blocks = [&](index_t head_dim, const ptx::settings& settings) {
        const ptx::scoped_settings scope(settings);
        problem<bfloat16> input({1, 256, 70, 1, 1, head_dim}, random);
        const device_problem<bfloat16> device(input);
        ptx::reset_counts();
        device_calls<bfloat16, any_mask, no_sink>::forward({}, device.tensors(), mask, no_sink{}, {});
        return finished().blocks;
    };
    CHECK(blocks(64, {}) == 2);
    CHECK(blocks(64, small) == 2);
    CHECK(blocks(128, {}) == 2);
    CHECK(blocks(128, small) == 4);
    CHECK(blocks(256, {}) == 4);
    CHECK(blocks(256, small) == 4);
    for (const index_t head_dim : {96, 128, 192}) {
        const problem<bfloat16> input({2, 140, 300, 2, 1, head_dim}, random);
        CHECK(bits_of<key_value_sink>(input, mask, small) == bits_of<key_value_sink>(input, mask, {}));
    }
}

TEST_CASE("backward blocks are small where a multiprocessor holds two of them, and not of the others") {
    std::mt19937 random(9);
    const any_mask mask(block{48});
    ptx::settings small; // as RTX cards are
    small.shared_bytes_a_block = 99 * 1024;
    const auto counted = [&](index_t head_dim, bool queries, const ptx::settings& settings) {
        const ptx::scoped_settings scope(settings);
        problem<bfloat16> input({1, 256, 70, 1, 1, head_dim}, random);
        const device_problem<bfloat16> device(input);
        device_calls<bfloat16, any_mask, no_sink>::forward({}, device.tensors(), mask, no_sink{}, {});
        attention_gradients<bfloat16> wanted = device.gradients(no_sink{});
        if (queries) {
            wanted.key = wanted.value = {};
        } else {
            wanted.query = {};
        }
        REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
        ptx::reset_counts();
        device_gradients<bfloat16, any_mask, no_sink>::backward({}, device.tensors(), wanted, mask, no_sink{}, {});
        return finished();
    };
    constexpr std::int64_t of_rows = 4; // blocks of the kernel for Δ
    for (const index_t head_dim : {64, 96, 128, 192, 256}) {
        CAPTURE(head_dim);
        const bool other = head_dim == 96 || head_dim == 128;
        CHECK(counted(head_dim, true, {}).blocks - of_rows == (head_dim <= 128 ? 2 : 4));
        CHECK(counted(head_dim, true, small).blocks - of_rows == (head_dim <= 64 ? 2 : 4));
        CHECK((counted(head_dim, true, {}).barriers != counted(head_dim, true, small).barriers) == other);
        // Blocks of keys have as many either way, and go through smaller tiles.
        CHECK((counted(head_dim, false, {}).barriers != counted(head_dim, false, small).barriers) == (head_dim == 128));
    }
}

TEST_CASE("misuse is told by the same checks as on the CPU, before anything is launched") {
    std::mt19937 random(7);
    problem<bfloat16> input({1, 5, 5, 4, 2, 32}, random);
    const device_problem<bfloat16> device(input);
    ptx::reset_counts();
    const auto message_of = [&](const attention_tensors<bfloat16>& tensors, const any_mask& mask) -> std::string {
        try {
            device_calls<bfloat16, any_mask, no_sink>::forward({}, tensors, mask, no_sink{}, {});
        } catch (const invalid_argument& error) {
            return error.what();
        }
        return "";
    };
    attention_tensors<bfloat16> tensors = device.tensors();
    tensors.value.extents[1] = 4;
    CHECK(message_of(tensors, any_mask(causal{})) ==
          "attention_forward: value.extents is [1, 4, 2, 32], expected [1, 5, 2, 32]");
    tensors = device.tensors();
    tensors.output.data = const_cast<bfloat16*>(tensors.query.data);
    CHECK(message_of(tensors, any_mask(causal{})) ==
          "attention_forward: output is overlapping query, expected memory of its own");
    CHECK(finished().launches == 0);
}

TEST_CASE("what cannot be launched is said before anything is written") {
    std::mt19937 random(6);
    problem<bfloat16> input({1, 5, 5, 1, 1, 32}, random);
    const device_problem<bfloat16> device(input);
    attention_tensors<bfloat16> tensors = device.tensors();
    tensors.key.extents[1] = tensors.value.extents[1] = index_t{1} << 31;
    tensors.key.strides[1] = tensors.value.strides[1] = 0;
    const auto call = [&] {
        device_calls<bfloat16, any_mask, no_sink>::forward({}, tensors, any_mask(bidirectional{}), no_sink{}, {});
    };
    ptx::reset_counts();
    CHECK_THROWS_WITH_AS(call(),
                         "attention_forward: key_length is 2147483648, expected at most 2147482623 on cuda_executor",
                         invalid_argument);
    CHECK(finished().launches == 0);
}
