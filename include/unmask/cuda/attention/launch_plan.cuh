// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/error.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/tensor/attention_call.hpp>

// From a call of the front door to launches of kernels.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Into how many parts to split the keys of each block: 1 unless there are too few blocks for the multiprocessors, then
// as few as keep them nearly as busy as any number would. A part has at least 4 tiles.
constexpr int parts_of_keys(index_t blocks, int slots, int key_tiles) {
    const int most = std::min(128, key_tiles / 4);
    if (blocks * 5 >= slots * 4 || most < 2) {
        return 1;
    }
    // The share of the slots that work, over all rounds of blocks.
    const auto efficiency = [&](int parts) {
        const index_t all = blocks * parts;
        const index_t rounds = (all + slots - 1) / slots;
        return static_cast<double>(all) / static_cast<double>(rounds * slots);
    };
    double best = 0.0;
    for (int parts = 1; parts <= most; ++parts) {
        best = std::max(best, efficiency(parts));
    }
    int parts = 1;
    while (efficiency(parts) < 0.85 * best) {
        ++parts;
    }
    return parts;
}

// The grid of a kernel whose blocks take `rows` rows and tiles of `keys` keys, `resident` of them on a multiprocessor.
template <class T>
block_grid plan_grid(const device_properties& gpu, const kernel_call<T>& call, int rows, int keys, int resident,
                     bool mask_is_uneven) {
    block_grid grid{};
    grid.units = call.sequences * call.kv_heads;
    grid.tiles = tiles_of(call.query_length * call.group, rows);
    const index_t blocks = static_cast<index_t>(grid.units) * grid.tiles;
    const int slots = gpu.multiprocessors * resident;
    grid.parts = parts_of_keys(blocks, slots, tiles_of(call.key_length, keys));
    grid.uneven = mask_is_uneven && grid.tiles > 1 && blocks * grid.parts > slots;
    const index_t unit_bytes =
        2 * static_cast<index_t>(call.key_length) * call.head_dim * static_cast<index_t>(sizeof(T));
    grid.section = static_cast<int>(
        std::clamp<index_t>(gpu.cache_bytes / 2 / std::max<index_t>(unit_bytes, 1), 1, std::max(grid.units, 1)));
    return grid;
}

template <class Element>
tensor<Element> tensor_of(const tensor_view<Element, 4>& view, index_t first_sequence) {
    return {view.data + first_sequence * view.strides[0], view.strides[0], view.strides[1], view.strides[2]};
}

// Sequences [first, first + count) of a call.
template <class T>
kernel_call<T> kernel_call_of(const attention_call<T>& from, index_t first, index_t count) {
    kernel_call<T> call{};
    call.query = tensor_of(from.query, first);
    call.key = tensor_of(from.key, first);
    call.value = tensor_of(from.value, first);
    call.output = tensor_of(from.output, first);
    if (!from.log_sum_exp.empty()) {
        const auto& [sequence, head, position] = from.log_sum_exp.strides;
        call.log_sum_exp = {from.log_sum_exp.data + first * sequence, sequence, head, position};
    }
    call.sequences = static_cast<int>(count);
    call.query_length = static_cast<int>(from.query_length);
    call.key_length = static_cast<int>(from.key_length);
    call.kv_heads = static_cast<int>(from.kv_heads);
    call.group = static_cast<int>(from.group());
    call.head_dim = static_cast<int>(from.head_dim);
    call.scale = from.scale;
    call.cap = from.soft_cap;
    call.inverse_cap = from.soft_cap > 0.0F ? 1.0F / from.soft_cap : 0.0F;
    // Softmax takes differences of sums before it scales them, which saves a product; a factor that floats can't hold
    // would make NaN of −∞.
    const float factor = from.scale * log2_e;
    const bool late = from.soft_cap == 0.0F && factor >= std::numeric_limits<float>::min() && factor <= largest_float;
    call.softmax_scale = late ? from.scale : 1.0F;
    call.query_offset = from.query_offset;
    call.ragged = from.query_lengths != nullptr || from.key_lengths != nullptr;
    for (index_t i = 0; call.ragged && i < count; ++i) {
        call.query_lengths[i] = static_cast<int>(from.queries(first + i));
        call.key_lengths[i] = static_cast<int>(from.keys(first + i));
    }
    return call;
}

// Whether all rows of a tensor begin at multiples of 16 bytes. One that isn't given does.
template <class Element>
bool has_rows_of_16_bytes(const tensor<Element>& of, int sequences, int positions, int heads) {
    constexpr index_t elements = 16 / sizeof(Element);
    return reinterpret_cast<std::uintptr_t>(of.data) % 16 == 0 &&
           (sequences <= 1 || of.sequence_stride % elements == 0) &&
           (positions <= 1 || of.position_stride % elements == 0) && (heads <= 1 || of.head_stride % elements == 0) &&
           of.position_stride <= std::numeric_limits<int>::max();
}
// Those of the tensors that have queries, and of those that have keys.
template <class T, class... Tensors>
bool queries_of_16_bytes(const kernel_call<T>& call, const Tensors&... all) {
    return (has_rows_of_16_bytes(all, call.sequences, call.query_length, call.kv_heads * call.group) && ...);
}
template <class T, class... Tensors>
bool keys_of_16_bytes(const kernel_call<T>& call, const Tensors&... all) {
    return (has_rows_of_16_bytes(all, call.sequences, call.key_length, call.kv_heads) && ...);
}

// Whether all rows of a call begin at multiples of 16 bytes, and are that long.
template <class T>
bool copies_16_bytes(const kernel_call<T>& call) {
    constexpr index_t elements = 16 / sizeof(T);
    return call.head_dim % elements == 0 && queries_of_16_bytes(call, call.query, call.output) &&
           keys_of_16_bytes(call, call.key, call.value);
}

// Kernels count rows, keys and blocks with 32 bits.
template <class T>
void check_sizes(const char* function, const attention_call<T>& call) {
    constexpr index_t most = std::numeric_limits<int>::max() - 1024; // a tile past the last one must still be a number
    const auto check = [&](index_t was, const char* argument) {
        if (was > most) {
            throw invalid_argument(function, argument, std::to_string(was),
                                   "at most " + std::to_string(most) + " on cuda_executor");
        }
    };
    const index_t rows = call.query_length * call.group();
    check(rows, "query_length · heads / kv_heads");
    check(call.key_length, "key_length");
    check(call.head_dim, "head_dim");
    // Blocks have at least 64 rows or keys and 128 columns; the tiles of an uneven grid are rounded up to 64.
    const index_t tiles = std::max(rows, call.key_length) / 64 + 65;
    const index_t columns = call.head_dim / 128 + 1;
    if (call.heads > most / call.batch / tiles / columns) {
        throw invalid_argument(function, "query.extents",
                               std::to_string(call.batch) + " sequences of " + std::to_string(call.query_length) +
                                   " queries, " + std::to_string(call.heads) + " heads",
                               "fewer on cuda_executor: that takes more blocks than can be launched");
    }
}

// Calls launch(kernel_call, first sequence) for all sequences together, or for some at a time where a ragged batch is
// too long for a kernel's parameters.
template <class T, class Launch>
void for_each_launch(const char* function, const attention_call<T>& call, const Launch& launch) {
    if (call.batch == 0 || call.heads == 0) {
        return;
    }
    check_sizes(function, call);
    const bool ragged = call.query_lengths != nullptr || call.key_lengths != nullptr;
    const index_t step = ragged ? most_ragged_sequences : call.batch;
    for (index_t first = 0; first < call.batch; first += step) {
        launch(kernel_call_of(call, first, std::min(step, call.batch - first)), first);
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
