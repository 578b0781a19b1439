// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/block_order.cuh>
#include <unmask/cuda/device.cuh>
#include <unmask/cuda/fragment_softmax.cuh>
#include <unmask/cuda/key_tiles.cuh>
#include <unmask/cuda/key_windows.cuh>
#include <unmask/cuda/kernel_call.cuh>
#include <unmask/cuda/score_fragment.cuh>
#include <unmask/cuda/shared_tile.cuh>
#include <unmask/cuda/tile_plan.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

// Forward on the tensor cores, after FlashAttention-2 (arXiv 2307.08691). A block takes a tile of query rows through the
// tiles of keys that the mask lets them see. Values are copied while scores are computed, the next keys while values are
// used.

UNMASK_NAMESPACE_BEGIN
namespace detail::gpu {

// Where the parts of split keys leave what they know of each row, for merge_kernel.
struct split_states {
    float* output;      // [parts][sequences · kv_heads][rows][head_dim], divided by its sum
    float* log_sum_exp; // [parts][sequences · kv_heads][rows], base 2
};

template <class T, mask_policy Mask, sink_policy Sink>
struct forward_parameters {
    kernel_call<T> call;
    block_grid grid;
    split_states states; // if the grid has parts
    Mask mask;
    Sink sink;
};

// What a block works on.
struct block_unit {
    int sequence;
    int kv_head;
    int rows; // of the kv head, those past the sequence's length not counted
    int keys;
    int part;
    int first_row;
};

// A block's shared memory. What all threads know alike is here and not in registers, which are scarce. Outputs leave
// through the tile of queries.
template <class Plan, mask_policy Mask>
struct forward_memory {
    using query_tile = shared_tile<Plan::rows, Plan::head_dim>;
    using key_value_tile = shared_tile<Plan::keys, Plan::head_dim>;
    using windows = key_windows<Plan::rows, Mask>;
    using tile_list = key_tiles<Plan::keys>;
    static constexpr int bytes = query_tile::bytes + 2 * key_value_tile::bytes + windows::bytes +
                                 Plan::rows * static_cast<int>(sizeof(float)) +
                                 static_cast<int>(sizeof(typename tile_list::state) + sizeof(block_unit));

    UNMASK_DEVICE static query_tile queries() { return {device::shared_memory()}; }
    UNMASK_DEVICE static key_value_tile keys() { return {queries().data + query_tile::bytes}; }
    UNMASK_DEVICE static key_value_tile values() { return {keys().data + key_value_tile::bytes}; }
    UNMASK_DEVICE static windows seen() {
        return {reinterpret_cast<int*>(values().data + key_value_tile::bytes)};
    }
    UNMASK_DEVICE static float* sink_scores() { // [rows]
        return reinterpret_cast<float*>(values().data + key_value_tile::bytes + windows::bytes);
    }
    UNMASK_DEVICE static tile_list tiles() {
        return {reinterpret_cast<typename tile_list::state*>(sink_scores() + Plan::rows)};
    }
    UNMASK_DEVICE static block_unit& unit() { return *reinterpret_cast<block_unit*>(tiles().memory + 1); }
    UNMASK_DEVICE static int* order() { return reinterpret_cast<int*>(keys().data); } // before there are keys
};

template <class Plan, class T, mask_policy Mask, sink_policy Sink>
class forward_block {
public:
    UNMASK_DEVICE explicit forward_block(const forward_parameters<T, Mask, Sink>& parameters) : p_(parameters) {}

    UNMASK_DEVICE void run() {
        if (!begin()) {
            return; // the grid is padded
        }
        const auto positions = [&] { return positions_of(memory::unit(), memory::unit().first_row); };
        key_tile tile{};
        bool more = memory::tiles().next(p_.mask, positions, memory::unit().keys, tile);
        if (more) {
            copy_tile(memory::keys(), p_.call.key, tile.begin);
        }
        device::commit_copies();
        device::wait_copies<0>();
        device::barrier();
        start();

        const bool capped = p_.call.cap > 0.0F;
        const bool negated = !capped && p_.call.score_factor <= 0.0F; // softmax wants a positive factor
        const float factor = capped || negated ? 1.0F : p_.call.score_factor;
        while (more) {
            copy_tile(memory::values(), p_.call.value, tile.begin);
            device::commit_copies();
            const key_tile current = tile;
            more = memory::tiles().next(p_.mask, positions, memory::unit().keys, tile);
            fragment<Plan::row_tiles, Plan::score_tiles> scores;
            multiply_scores<T>(memory::queries(), warp_row(), memory::keys(), scores);
            device::wait_copies<0>();
            device::barrier(); // values are here, and nobody needs the keys any more

            if (more) {
                copy_tile(memory::keys(), p_.call.key, tile.begin);
            }
            device::commit_copies();
            if (capped) {
                scores.for_each([&](float& score, int, int, int) { score = p_.call.capped(score); });
            } else if (negated) {
                scores.for_each([&](float& score, int, int, int) { score *= p_.call.score_factor; });
            }
            if (current.partial) {
                const block_unit& unit = memory::unit();
                hide_scores(p_.call, p_.mask, memory::seen(), warp_row(), unit.first_row, unit.rows, current.begin,
                            unit.keys, scores);
            }
            softmax_.absorb(scores, factor, output_);
            multiply_values<T>(scores, memory::values(), output_);
            device::wait_copies<0>();
            device::barrier(); // the next keys are here, and nobody needs the values any more
        }
        softmax_.finish();
        if (p_.grid.parts > 1) {
            write_state();
        } else {
            write_output();
        }
    }

private:
    using memory = forward_memory<Plan, Mask>;

    UNMASK_DEVICE static int warp_row() { return device::warp() * Plan::row_tiles * 16; }

    // The positions of a block's rows.
    UNMASK_DEVICE range positions_of(const block_unit& unit, int first) const {
        const int last = smaller_of(first + Plan::rows, unit.rows);
        return first < last ? range{p_.call.position_of(first), p_.call.position_of(last - 1) + 1} : range{};
    }

    // A block's work, if it begins with row `first`.
    UNMASK_DEVICE int visited_keys(const block_unit& unit, int first) const {
        const range positions = positions_of(unit, first);
        index_t visited = 0;
        if (!positions.empty()) {
            const auto seen = p_.mask.key_ranges(positions.begin, positions.end, unit.keys);
            UNMASK_UNROLL
            for (int i = 0; i < decltype(seen)::capacity; ++i) {
                visited += seen.at(i).end - seen.at(i).begin;
            }
        }
        return static_cast<int>(visited);
    }

    // Finds out what there is to do; false if nothing. Prepares all that is needed once: the queries, the keys that each
    // row sees, the list of tiles.
    UNMASK_DEVICE bool begin() const {
        const block_work work = work_of(p_.grid, device::block());
        block_unit unit{};
        unit.sequence = work.unit / p_.call.kv_heads;
        unit.kv_head = work.unit % p_.call.kv_heads;
        unit.rows = p_.call.queries(unit.sequence) * p_.call.group;
        unit.keys = p_.call.keys(unit.sequence);
        unit.part = work.part;
        int tile = work.tile;
        if (p_.grid.uneven) {
            tile = longest_tile(p_.grid, tile, memory::order(),
                                [&](int each) { return visited_keys(unit, each * Plan::rows); });
        }
        unit.first_row = tile * Plan::rows;
        if (tile >= p_.grid.tiles) {
            return false;
        }
        memory::queries().template copy_rows<Plan::threads>(
            unit.rows - unit.first_row, p_.call.head_dim, [&](int row) {
                const int at = smaller_of(unit.first_row + row, larger_of(unit.rows - 1, 0));
                return p_.call.query.row(unit.sequence, p_.call.query_of(at), p_.call.head_of(unit.kv_head, at));
            });
        const int thread = device::thread();
        if (thread < Plan::rows) {
            memory::seen().set(p_.call, p_.mask, thread, unit.first_row + thread, unit.rows, unit.keys);
        }
        if (thread == 0) {
            memory::unit() = unit;
            memory::tiles().set(p_.mask, positions_of(unit, unit.first_row), unit.keys, unit.part, p_.grid.parts);
        }
        device::barrier();
        return true;
    }

    UNMASK_DEVICE void copy_tile(const typename memory::key_value_tile& to, const tensor<const T>& from,
                                 int begin) const {
        const block_unit& unit = memory::unit();
        const T* first = from.row(unit.sequence, begin, unit.kv_head);
        const int stride = device::opaque(static_cast<int>(from.position_stride)); // or all rows' addresses are kept
        to.template copy_rows<Plan::threads>(
            unit.keys - begin, p_.call.head_dim, [&](int row) { return first + static_cast<index_t>(row) * stride; });
    }

    // Before the first key: nothing seen, or the sink alone. Of split keys, the first part has it.
    UNMASK_DEVICE void start() {
        const block_unit& unit = memory::unit();
        const bool with_sink = Sink::present && unit.part == 0;
        output_.clear();
        if constexpr (Sink::present) {
            if (device::thread() < Plan::rows) {
                memory::sink_scores()[device::thread()] = sink_score(unit, device::thread());
            }
            device::barrier();
        }
        UNMASK_UNROLL
        for (int i = 0; i < Plan::row_tiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                softmax_.largest[i][h] =
                    with_sink ? memory::sink_scores()[warp_row() + fragment_row(i, h)] : minus_infinity;
                softmax_.sum[i][h] = with_sink && device::lane() % 4 == 0 ? 1.0F : 0.0F;
            }
        }
        if constexpr (Sink::has_value) {
            if (with_sink) {
                const float* value = p_.sink.value(unit.kv_head);
                output_.for_each([&](float& each, int, int j, int e) {
                    const int column = fragment_column(j) + e % 2;
                    each = column < p_.call.head_dim ? value[column] : 0.0F;
                });
            }
        }
    }

    // The sink's logit for a row of the block, in base 2.
    UNMASK_DEVICE float sink_score(const block_unit& unit, int row) const {
        if constexpr (Sink::has_key) {
            const float* key = p_.sink.key(unit.kv_head);
            float product = 0.0F;
            for (int column = 0; column < p_.call.head_dim; column += 8) {
                const T* query = reinterpret_cast<const T*>(memory::queries().chunk(row, column / 8));
                UNMASK_UNROLL
                for (int c = 0; c < 8; ++c) {
                    product += static_cast<float>(query[c]) * key[column + c];
                }
            }
            return p_.call.score(product);
        } else {
            return p_.sink.logit(p_.call.head_of(unit.kv_head, unit.first_row + row)) * log2_e;
        }
    }

    // Rows past a sequence's length have seen nothing: they get output 0, log-sum-exp −∞ like any other such row.
    UNMASK_DEVICE void write_output() const {
        const block_unit& unit = memory::unit();
        const int all_rows = p_.call.query_length * p_.call.group;
        UNMASK_UNROLL
        for (int i = 0; i < Plan::row_tiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                const int row = warp_row() + fragment_row(i, h);
                const int at = unit.first_row + row;
                const bool seen = at < unit.rows && softmax_.sum[i][h] > 0.0F;
                const float inverse = seen ? 1.0F / softmax_.sum[i][h] : 0.0F;
                UNMASK_UNROLL
                for (int j = 0; j < Plan::output_tiles; ++j) {
                    auto* pair = reinterpret_cast<std::uint32_t*>(memory::queries().chunk(row, j));
                    pair[device::lane() % 4] = device::pack<T>(output_.values[i][j][2 * h] * inverse,
                                                               output_.values[i][j][2 * h + 1] * inverse);
                }
                if (p_.call.log_sum_exp.data != nullptr && device::lane() % 4 == 0 && at < all_rows) {
                    p_.call.log_sum_exp.at(unit.sequence, p_.call.head_of(unit.kv_head, at), p_.call.query_of(at)) =
                        seen ? base_2_sum(softmax_.largest[i][h], softmax_.sum[i][h]) * ln_2 : minus_infinity;
                }
            }
        }
        device::warp_barrier(); // a warp writes what its lanes have collected
        constexpr int chunks = Plan::head_dim / 8;
        for (int n = device::lane(); n < Plan::row_tiles * 16 * chunks; n += device::warp_size) {
            const int row = warp_row() + n / chunks;
            const int at = unit.first_row + row;
            if (at < all_rows && n % chunks * 8 < p_.call.head_dim) {
                T* to = p_.call.output.row(unit.sequence, p_.call.query_of(at), p_.call.head_of(unit.kv_head, at));
                device::copy_16_bytes(to + n % chunks * 8, memory::queries().chunk(row, n % chunks));
            }
        }
    }

    UNMASK_DEVICE void write_state() const {
        const block_unit& unit = memory::unit();
        const int all_rows = p_.call.query_length * p_.call.group;
        const index_t first = (static_cast<index_t>(unit.part) * p_.grid.units + (unit.sequence * p_.call.kv_heads + unit.kv_head)) * all_rows + unit.first_row;
        UNMASK_UNROLL
        for (int i = 0; i < Plan::row_tiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                const int row = warp_row() + fragment_row(i, h);
                if (unit.first_row + row >= all_rows) {
                    continue;
                }
                const bool seen = unit.first_row + row < unit.rows && softmax_.sum[i][h] > 0.0F;
                const float inverse = seen ? 1.0F / softmax_.sum[i][h] : 0.0F;
                UNMASK_UNROLL
                for (int j = 0; j < Plan::output_tiles; ++j) {
                    UNMASK_UNROLL
                    for (int c = 0; c < 2; ++c) {
                        const int column = fragment_column(j) + c;
                        if (column < p_.call.head_dim) {
                            p_.states.output[(first + row) * p_.call.head_dim + column] =
                                output_.values[i][j][2 * h + c] * inverse;
                        }
                    }
                }
                if (device::lane() % 4 == 0) {
                    p_.states.log_sum_exp[first + row] =
                        seen ? base_2_sum(softmax_.largest[i][h], softmax_.sum[i][h]) : minus_infinity;
                }
            }
        }
    }

    const forward_parameters<T, Mask, Sink>& p_;
    fragment_softmax<Plan::row_tiles> softmax_;
    fragment<Plan::row_tiles, Plan::output_tiles> output_;
};

template <class Plan, class T, mask_policy Mask, sink_policy Sink>
UNMASK_KERNEL(Plan::threads, Plan::blocks)
void forward_kernel(forward_parameters<T, Mask, Sink> parameters) {
    if constexpr (device::has_tensor_cores) {
        forward_block<Plan, T, Mask, Sink>(parameters).run();
    }
}

} // namespace detail::gpu
UNMASK_NAMESPACE_END
