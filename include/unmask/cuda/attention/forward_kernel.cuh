// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/block_state.cuh>
#include <unmask/cuda/attention/fragment_softmax.cuh>
#include <unmask/cuda/attention/hidden_values.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/score_fragment.cuh>
#include <unmask/cuda/attention/shared_tile.cuh>
#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/attention/tile_plan.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

// Forward on the tensor cores, after FlashAttention-2 (arXiv 2307.08691). A block takes a tile of query rows through
// the tiles of keys that the mask lets them see. Values are copied while scores are computed, the next keys while
// values are used.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class T, mask_policy Mask, sink_policy Sink>
struct forward_parameters {
    kernel_call<T> call;
    block_grid grid;
    split_states states;
    Mask mask;
    Sink sink;
};

// A block's shared memory. Outputs leave through the tile of queries.
template <class Plan>
struct forward_memory {
    using query_tile = shared_tile<Plan::rows, Plan::head_dim>;
    using key_value_tile = shared_tile<Plan::keys, Plan::head_dim>;
    using state_type = block_state<Plan::rows, Plan::keys>;
    static constexpr int bytes = query_tile::bytes + 2 * key_value_tile::bytes + state_type::bytes;

    UNMASK_DEVICE static query_tile queries() { return {device::shared_memory()}; }
    UNMASK_DEVICE static key_value_tile keys() { return {queries().data + query_tile::bytes}; }
    UNMASK_DEVICE static key_value_tile values() { return {keys().data + key_value_tile::bytes}; }
    // After the last keys: the sink's logit for each row.
    UNMASK_DEVICE static float* sink_scores() { return reinterpret_cast<float*>(keys().data); }
    UNMASK_DEVICE static state_type state() { return {values().data + key_value_tile::bytes}; }
};

template <class Plan, class T, mask_policy Mask, sink_policy Sink>
class tensor_core_forward {
public:
    UNMASK_DEVICE explicit tensor_core_forward(const forward_parameters<T, Mask, Sink>& parameters) : p_(parameters) {}

    UNMASK_DEVICE void run() {
        if (!memory::state().template begin<Plan::threads>(p_.call, p_.grid, p_.mask, device::block(),
                                                           reinterpret_cast<int*>(memory::keys().data))) {
            return;
        }
        copy_queries();
        const auto tiles = memory::state().tiles();
        tile next = tiles.before_first();
        bool more = tiles.next(next);
        if (more) {
            copy_keys(next.begin());
        }
        device::commit_copies();
        device::wait_copies<0>();
        device::barrier();
        output_.clear();
        softmax_.clear();

        while (more) {
            copy_values(next.begin());
            device::commit_copies();
            const tile current = next;
            more = tiles.next(next);
            if (current.partial()) { // before there are scores, for which registers just suffice
                device::wait_copies<0>();
                device::barrier();
                memory::state().template set_seen<Plan::threads>(p_.call, p_.mask, current.begin());
                take_out_values<T, Plan::threads>(memory::values(), memory::state().unit());
            }
            fragment<Plan::row_tiles, Plan::score_tiles> scores;
            multiply_scores<T>(memory::queries(), warp_row(), memory::keys(), scores);
            device::wait_copies<0>();
            device::barrier(); // values are here, and nobody needs the keys any more

            if (more) {
                copy_keys(next.begin());
            }
            device::commit_copies();
            transform_scores(p_.call, scores);
            if (current.partial()) {
                hide_scores(memory::state().seen(), warp_row(), scores);
            }
            softmax_.absorb(scores, p_.call.softmax_scale, output_);
            multiply_values<T>(scores, memory::values(), output_);
            device::wait_copies<0>();
            device::barrier(); // the next keys are here, and nobody needs the values any more
        }
        finish();
        if (p_.states.are_kept()) {
            write_state();
        } else {
            write_output();
        }
        if (values_taken_out<Plan::threads>(memory::state().unit())) {
            add_values();
        }
    }

private:
    using memory = forward_memory<Plan>;

    UNMASK_DEVICE static int warp_row() { return fragment_warp_row<Plan::row_tiles>(); }

    UNMASK_DEVICE void copy_queries() const {
        const block_unit& unit = memory::state().unit();
        const int last = larger(unit.rows - 1, 0);
        memory::queries().template copy_rows<Plan::threads>(unit.rows - unit.first_row, p_.call.head_dim, [&](int row) {
            const int at = smaller(unit.first_row + row, last);
            return p_.call.query.row(unit.sequence, p_.call.query_of(at), p_.call.head_of(unit.kv_head, at));
        });
    }

    UNMASK_DEVICE void copy_keys(int begin) const {
        copy_tile(memory::keys(), memory::state().unit().keys_data, p_.call.key.position_stride, begin);
    }
    UNMASK_DEVICE void copy_values(int begin) const {
        copy_tile(memory::values(), memory::state().unit().values_data, p_.call.value.position_stride, begin);
    }
    UNMASK_DEVICE void copy_tile(const typename memory::key_value_tile& to, const void* from, index_t stride,
                                 int begin) const {
        to.template copy_rows<Plan::threads>(static_cast<const T*>(from), static_cast<int>(stride), begin,
                                             memory::state().unit().keys, p_.call.head_dim);
    }

    // After the last key: the sink, which of split keys the first part has.
    UNMASK_DEVICE void finish() {
        softmax_.finish(p_.call.softmax_scale);
        if constexpr (Sink::present) {
            const block_unit& unit = memory::state().unit();
            if (unit.part > 0) {
                return;
            }
            if (device::thread() < Plan::rows) {
                memory::sink_scores()[device::thread()] = sink_score(device::thread());
            }
            device::barrier();
            joined_weights weights[Plan::row_tiles][2];
            UNMASK_UNROLL
            for (int i = 0; i < Plan::row_tiles; ++i) {
                UNMASK_UNROLL
                for (int h = 0; h < 2; ++h) {
                    weights[i][h] = softmax_.join(i, h, memory::sink_scores()[warp_row() + fragment_row(i, h)]);
                }
            }
            output_.for_each([&](float& value, int i, int /*j*/, int e) { value *= weights[i][e / 2].before; });
            if constexpr (Sink::has_value) {
                const float* value = p_.sink.value(unit.kv_head) + fragment_column(0);
                const int columns = p_.call.head_dim - fragment_column(0);
                output_.for_each([&](float& output, int i, int j, int e) {
                    if (j * 8 + e % 2 < columns && weights[i][e / 2].added != 0.0F) {
                        output += weights[i][e / 2].added * value[j * 8 + e % 2];
                    }
                });
            }
        }
    }

    // The sink's logit for a row of the block.
    UNMASK_DEVICE float sink_score(int row) const {
        const block_unit& unit = memory::state().unit();
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
            return p_.sink.logit(p_.call.head_of(unit.kv_head, unit.first_row + row));
        }
    }

    // Rows past a sequence's length have seen nothing: they get output 0, log-sum-exp −∞ like any other such row.
    UNMASK_DEVICE void write_output() const {
        const block_unit& unit = memory::state().unit();
        const int all_rows = p_.call.query_length * p_.call.group;
        UNMASK_UNROLL
        for (int i = 0; i < Plan::row_tiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                const int row = warp_row() + fragment_row(i, h);
                const int at = unit.first_row + row;
                const bool seen = at < unit.rows && softmax_.sum[i][h] != 0.0F;
                const float inverse = seen ? 1.0F / softmax_.sum[i][h] : 0.0F;
                UNMASK_UNROLL
                for (int j = 0; j < Plan::output_tiles; ++j) {
                    auto* pair = reinterpret_cast<std::uint32_t*>(memory::queries().chunk(row, j));
                    pair[device::lane() % 4] = device::pack<T>(output_.values[i][j][2 * h] * inverse,
                                                               output_.values[i][j][2 * h + 1] * inverse);
                }
                if (p_.call.log_sum_exp.data != nullptr && device::lane() % 4 == 0 && at < all_rows) {
                    p_.call.log_sum_exp.at(unit.sequence, p_.call.head_of(unit.kv_head, at), p_.call.query_of(at)) =
                        seen ? log_sum_of(softmax_.largest[i][h], softmax_.sum[i][h]) : minus_infinity;
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
        const block_unit& unit = memory::state().unit();
        const int all_rows = p_.call.query_length * p_.call.group;
        const index_t first = split_states::row(p_.call, unit.part, unit.sequence, unit.kv_head, unit.first_row);
        UNMASK_UNROLL
        for (int i = 0; i < Plan::row_tiles; ++i) {
            UNMASK_UNROLL
            for (int h = 0; h < 2; ++h) {
                const int row = warp_row() + fragment_row(i, h);
                if (unit.first_row + row >= all_rows) {
                    continue;
                }
                const bool seen = unit.first_row + row < unit.rows && softmax_.sum[i][h] != 0.0F;
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
                        seen ? log_sum_of(softmax_.largest[i][h], softmax_.sum[i][h]) : minus_infinity;
                }
            }
        }
    }

    // Gives the rows what values that aren't finite, and were taken out of their tiles, make of their output.
    UNMASK_DEVICE void add_values() const {
        const block_unit& unit = memory::state().unit();
        device::barrier();
        if (p_.states.are_kept()) {
            add_values_taken_out<Plan::threads>(p_.call, p_.mask, memory::state(), 0, p_.call.head_dim, [&](int row) {
                return p_.states.row_output(p_.call, unit.part, unit.sequence, unit.kv_head, row);
            });
        } else {
            add_values_taken_out<Plan::threads>(p_.call, p_.mask, memory::state(), 0, p_.call.head_dim, [&](int row) {
                return p_.call.output.row(unit.sequence, p_.call.query_of(row), p_.call.head_of(unit.kv_head, row));
            });
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
        tensor_core_forward<Plan, T, Mask, Sink>(parameters).run();
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
