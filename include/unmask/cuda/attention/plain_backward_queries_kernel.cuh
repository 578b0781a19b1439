// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/block_state.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/plain_backward_tile.cuh>
#include <unmask/cuda/attention/plain_tile.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>

// The gradients of queries, without tensor cores: a block has 64 rows of a kv head, and goes through the keys that they
// see.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

struct plain_backward_queries_memory {
    using state_type = block_state<plain_rows, plain_keys>;
    static constexpr int bytes = plain_tile::bytes + plain_probabilities::bytes + state_type::bytes;

    UNMASK_DEVICE static plain_tile tile() { return {reinterpret_cast<float*>(device::shared_memory())}; }
    UNMASK_DEVICE static plain_probabilities factors() { return {tile().data + plain_tile::floats}; }
    UNMASK_DEVICE static state_type state() {
        return {reinterpret_cast<std::byte*>(factors().data + plain_probabilities::floats)};
    }
};

template <class T, mask_policy Mask, class Gradient = T>
class plain_backward_queries {
public:
    UNMASK_DEVICE explicit plain_backward_queries(const plain_backward_parameters<T, Mask, Gradient>& parameters)
        : p_(parameters), call_(parameters.of.call),
          first_column_(device::block() % parameters.column_groups * plain_columns) {}

    UNMASK_DEVICE void run() {
        if (!memory::state().template begin<plain_threads>(call_, p_.grid, p_.mask, device::block() / p_.column_groups,
                                                           reinterpret_cast<int*>(memory::tile().data))) {
            return;
        }
        const block_unit& unit = memory::state().unit();
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int row = unit.first_row + plain_row(i);
            const bool exists = row < unit.rows;
            log_sum_exp_[i] = exists ? call_.log_sum_exp.at(unit.sequence, head_of(row), call_.query_of(row)) : 0.0F;
            delta_[i] = exists ? p_.of.delta[number(row)] : 0.0F;
        }
        const auto tiles = memory::state().tiles();
        for (tile next = tiles.before_first(); tiles.next(next);) {
            add(next);
        }
        write();
    }

private:
    using memory = plain_backward_queries_memory;
    static constexpr int steps = plain_columns / 64; // a thread has 4 of every 64 columns

    UNMASK_DEVICE int head_of(int row) const { return call_.head_of(memory::state().unit().kv_head, row); }
    UNMASK_DEVICE index_t number(int row) const {
        return p_.of.row(memory::state().unit().sequence, head_of(row), call_.query_of(row));
    }

    // What some keys add.
    UNMASK_DEVICE void add(tile at) {
        const block_unit& unit = memory::state().unit();
        const int first_key = at.begin();
        const int rows = unit.rows - unit.first_row;
        const int keys = unit.keys - first_key;
        if (at.partial()) {
            memory::state().template set_seen<plain_threads>(call_, p_.mask, first_key);
        }
        const auto key_of = [&](int key) { return call_.key.row(unit.sequence, first_key + key, unit.kv_head); };
        float scores[4][4];
        multiply_plain_scores(
            rows,
            [&](int row) {
                const int number = unit.first_row + row;
                return call_.query.row(unit.sequence, call_.query_of(number), head_of(number));
            },
            keys, key_of, call_.head_dim, memory::tile(), scores);
        float d_probabilities[4][4];
        multiply_plain_scores(
            rows,
            [&](int row) {
                const int number = unit.first_row + row;
                return p_.of.d_output.row(unit.sequence, call_.query_of(number), head_of(number));
            },
            keys, [&](int key) { return call_.value.row(unit.sequence, first_key + key, unit.kv_head); },
            call_.head_dim, memory::tile(), d_probabilities);
        plain_gradients gradients;
        gradients.set(
            call_, scores, d_probabilities,
            [&](int i) { return at.partial() ? plain_seen(memory::state().seen(), plain_row(i)) : 0xfU; },
            [&](int i) { return log_sum_exp_[i]; }, [&](int i) { return delta_[i]; });
        memory::factors().store(gradients.d_score);
        UNMASK_UNROLL
        for (int step = 0; step < steps; ++step) {
            const int first = first_column_ + step * 64;
            if (first >= call_.head_dim) {
                break; // the same for all threads
            }
            device::barrier(); // factors are there, and nobody needs the tile any more
            memory::tile().copy(first, keys, call_.head_dim, key_of);
            device::barrier();
            add_plain_product(memory::factors(), memory::tile(), at.partial(), d_query_[step]);
        }
        device::barrier(); // nobody needs factors and tile any more
    }

    // Rows past a sequence's length get 0.
    UNMASK_DEVICE void write() const {
        const block_unit& unit = memory::state().unit();
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int row = unit.first_row + plain_row(i);
            if (row >= call_.query_length * call_.group) {
                continue;
            }
            const bool exists = row < unit.rows;
            const float of_sink = exists && p_.of.sink_keys != nullptr ? p_.of.d_sink_scores[number(row)] : 0.0F;
            Gradient* const to = p_.of.d_query.row(unit.sequence, call_.query_of(row), head_of(row));
            UNMASK_UNROLL
            for (int step = 0; step < steps; ++step) {
                UNMASK_UNROLL
                for (int j = 0; j < 4; ++j) {
                    const int column = first_column_ + step * 64 + plain_column(j);
                    if (column < call_.head_dim) {
                        float sum = exists ? d_query_[step][i][j] : 0.0F;
                        if (of_sink != 0.0F) {
                            sum +=
                                of_sink * p_.of.sink_keys[static_cast<index_t>(unit.kv_head) * call_.head_dim + column];
                        }
                        to[column] = static_cast<Gradient>(exists ? sum * call_.scale : 0.0F);
                    }
                }
            }
        }
    }

    const plain_backward_parameters<T, Mask, Gradient>& p_;
    const kernel_call<T>& call_;
    int first_column_;
    float log_sum_exp_[4];
    float delta_[4];
    float d_query_[steps][4][4]{};
};

template <class T, mask_policy Mask, class Gradient = T>
UNMASK_KERNEL(plain_threads, 2)
void plain_backward_queries_kernel(plain_backward_parameters<T, Mask, Gradient> p) {
    plain_backward_queries<T, Mask, Gradient>(p).run();
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
