// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/backward_plan.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/integers.hpp>

// The gradients of queries where blocks of keys add them up in any order: sums in global memory, in floats, and the
// kernel that makes gradients of them.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The sums of a tile of 32 queries. They lie as the lanes of a block hold them: a warp has 16 of the queries, and every
// other 16 columns.
template <class Plan>
struct query_sums {
    static constexpr int queries = 32;
    static constexpr int column_tiles = Plan::head_dim / 16; // of 8 columns, of a warp
    static constexpr int floats = queries * Plan::head_dim;
    static_assert(Plan::visited == queries && Plan::warps == 4 && Plan::head_dim % 32 == 0);
    using part = fragment<1, column_tiles>;

    float* data;

    template <class T>
    UNMASK_HOST_DEVICE static index_t size(const kernel_call<T>& call) {
        return static_cast<index_t>(call.sequences) * call.kv_heads * call.group *
               tiles_of(call.query_length, queries) * floats;
    }
    template <class T>
    UNMASK_DEVICE static query_sums of(const backward_call<T>& of, int sequence, int head, int first_query) {
        const kernel_call<T>& call = of.call;
        const int row = sequence * call.kv_heads * call.group + head;
        const auto tile = static_cast<int>(static_cast<unsigned>(first_query) / queries); // by a shift
        return {of.query_sums + (device::product(row, tiles_of(call.query_length, queries)) + tile) * floats};
    }

    // The query of a lane's element e in the tile, and the column of its tile j of 8.
    UNMASK_DEVICE static int query(int e) { return device::warp() / 2 * 16 + fragment_row(0, e / 2); }
    UNMASK_DEVICE static int column(int j) { return chunk(j) * 8 + fragment_column(0); }

    // Those of a warp's tile j.
    UNMASK_DEVICE device::shared_sums sums(int j) const {
        constexpr int tile = 4 * device::warp_size;
        return {data + device::product(device::warp(), column_tiles * tile) + j * tile};
    }
    UNMASK_DEVICE void add(const part& from) const {
        UNMASK_UNROLL
        for (int j = 0; j < column_tiles; ++j) {
            sums(j).add(from.values[0][j]);
        }
    }

    // result = d_scoresᵀ · keys, of the warp's queries and columns.
    template <class T, int Keys>
    UNMASK_DEVICE static void multiply(const shared_tile<Keys, queries>& d_scores,
                                       const shared_tile<Keys, Plan::head_dim>& keys, part& result) {
        const std::uint32_t lane = fragment_lane();
        const auto warp = static_cast<std::uint32_t>(device::warp());
        const std::uint32_t left = d_scores.place(lane / 16 * 8 + lane % 8, warp / 2 * 2 + lane / 8 % 2);
        const std::uint32_t right = keys.place(lane % 16, warp % 2 * 2 + lane / 16);
        result.clear();
        UNMASK_UNROLL
        for (int step = 0; step < Keys / 16; ++step) {
            std::uint32_t a[4];
            device::load_matrices_transposed(a, d_scores.data + d_scores.moved(left, step * 16, 0));
            UNMASK_UNROLL
            for (int j = 0; j < column_tiles; j += 2) {
                std::uint32_t b[4];
                device::load_matrices_transposed(b, keys.data + keys.moved(right, step * 16, 2 * j));
                device::multiply_add<T>(result.values[0][j], a, b[0], b[1]);
                device::multiply_add<T>(result.values[0][j + 1], a, b[2], b[3]);
            }
        }
    }
    // The same of the keys that a query sees alone: others may be NaN or infinite. Slow.
    template <class T, int Keys, class Sees>
    UNMASK_DEVICE static void multiply_seen(const shared_tile<Keys, queries>& d_scores,
                                            const shared_tile<Keys, Plan::head_dim>& keys, part& result,
                                            const Sees& sees) {
        result.clear();
        UNMASK_NO_UNROLL
        for (int key = 0; key < Keys; ++key) {
            result.for_each([&](float& sum, int, int j, int e) {
                if (sees(query(e), key)) {
                    sum += element<T>(d_scores, key, query(e)) * element<T>(keys, key, column(j) + e % 2);
                }
            });
        }
    }

private:
    UNMASK_DEVICE static int chunk(int j) { return j / 2 * 4 + device::warp() % 2 * 2 + j % 2; }

    template <class T, int Rows, int Columns>
    UNMASK_DEVICE static float element(const shared_tile<Rows, Columns>& of, int row, int column) {
        return static_cast<float>(reinterpret_cast<const T*>(of.chunk(row, column / 8))[column % 8]);
    }
};

// Scores of a warp, a row for each key, rounded to a tile. A barrier must follow.
template <class T, int RowTiles, int ColumnTiles, int Keys>
UNMASK_DEVICE void store_transposed_scores(const fragment<RowTiles, ColumnTiles>& scores, int first_row,
                                           const shared_tile<Keys, ColumnTiles * 8>& to) {
    UNMASK_UNROLL
    for (int i = 0; i < RowTiles; ++i) {
        UNMASK_UNROLL
        for (int h = 0; h < 2; ++h) {
            UNMASK_UNROLL
            for (int j = 0; j < ColumnTiles; ++j) {
                auto* pair = reinterpret_cast<std::uint32_t*>(to.chunk(first_row + fragment_row(i, h), j));
                const float (&pairs)[4] = scores.values[i][j];
                pair[device::lane() % 4] = device::pack<T>(pairs[2 * h], pairs[2 * h + 1]);
            }
        }
    }
}

// Writes the gradients of the queries, from their sums and the sink's part. A block has a tile of one head.
template <class Plan, class T>
UNMASK_KERNEL(Plan::threads, 1)
void query_gradients_kernel(backward_call<T> of) {
    using tile_sums = query_sums<Plan>;
    const kernel_call<T>& call = of.call;
    const int heads = call.kv_heads * call.group;
    const int tiles = tiles_of(call.query_length, tile_sums::queries);
    const int first = device::block() % tiles * tile_sums::queries;
    const int head = device::block() / tiles % heads;
    const int sequence = device::block() / tiles / heads;
    const tile_sums all = tile_sums::of(of, sequence, head, first);
    UNMASK_UNROLL
    for (int h = 0; h < 2; ++h) {
        const int query = first + tile_sums::query(2 * h);
        if (query >= call.query_length) {
            continue;
        }
        const bool counts = query < call.queries(sequence); // rows past the sequence's length get 0
        const float of_sink =
            counts && of.d_sink_scores != nullptr ? of.d_sink_scores[of.row(sequence, head, query)] : 0.0F;
        T* const row = of.d_query.row(sequence, query, head);
        for (int j = 0; j < tile_sums::column_tiles; ++j) {
            const int column = tile_sums::column(j);
            if (column < call.head_dim) {
                const auto gradient = [&](int c) {
                    float sum = all.sums(j).sum(2 * h + c);
                    if (of.d_sink_scores != nullptr) {
                        sum += of_sink * of.sink_keys[head / call.group * call.head_dim + column + c];
                    }
                    return counts ? sum * call.scale : 0.0F;
                };
                *reinterpret_cast<std::uint32_t*>(row + column) = device::pack<T>(gradient(0), gradient(1));
            }
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
