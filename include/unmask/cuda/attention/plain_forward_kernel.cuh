// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_state.cuh>
#include <unmask/cuda/attention/hidden_values.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/plain_tile.cuh>
#include <unmask/cuda/attention/sink_score.cuh>
#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/cuda/attention/tile_list.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

// Forward without tensor cores: for float, for any GPU, any head dimension and any alignment. The loop is that of
// forward_kernel.cuh; products are made of multiplications and additions of floats.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class T, mask_policy Mask, sink_policy Sink>
struct plain_forward_parameters {
    kernel_call<T> call;
    block_grid grid;
    split_states states;
    Mask mask;
    Sink sink;
    int column_groups; // blocks that share the columns of a row tile's output
};

struct plain_forward_memory {
    using state_type = block_state<plain_rows, plain_keys>;
    static constexpr int bytes = plain_tile::bytes + plain_probabilities::bytes + state_type::bytes;

    UNMASK_DEVICE static plain_tile tile() { return {reinterpret_cast<float*>(device::shared_memory())}; }
    // Before the first keys: the sink's logit for each row.
    UNMASK_DEVICE static float* sink_scores() { return tile().data; }
    UNMASK_DEVICE static plain_probabilities probabilities() { return {tile().data + plain_tile::floats}; }
    UNMASK_DEVICE static state_type state() {
        return {reinterpret_cast<std::byte*>(probabilities().data + plain_probabilities::floats)};
    }
};

template <class T, mask_policy Mask, sink_policy Sink>
class plain_forward {
public:
    UNMASK_DEVICE explicit plain_forward(const plain_forward_parameters<T, Mask, Sink>& parameters)
        : p_(parameters), first_column_(device::block() % p_.column_groups * plain_columns) {}

    UNMASK_DEVICE void run() {
        if (!memory::state().template begin<plain_threads>(p_.call, p_.grid, p_.mask,
                                                           device::block() / p_.column_groups,
                                                           reinterpret_cast<int*>(memory::tile().data))) {
            return;
        }
        start();
        block_unit& unit = memory::state().unit();
        const auto query_of = [&](int row) {
            const int at = unit.first_row + row;
            return p_.call.query.row(unit.sequence, p_.call.query_of(at), p_.call.head_of(unit.kv_head, at));
        };
        const auto tiles = memory::state().tiles();
        tile next = tiles.before_first();
        while (tiles.next(next)) {
            const int first_key = next.begin();
            if (next.partial()) {
                memory::state().template set_seen<plain_threads>(p_.call, p_.mask, first_key);
                device::barrier();
            }
            float scores[4][4];
            multiply_plain_scores(
                unit.rows - unit.first_row, query_of, unit.keys - first_key,
                [&](int row) { return p_.call.key.row(unit.sequence, first_key + row, unit.kv_head); },
                p_.call.head_dim, memory::tile(), scores);
            UNMASK_UNROLL
            for (int i = 0; i < 4; ++i) {
                const auto seen = next.partial() ? plain_seen(memory::state().seen(), plain_row(i)) : 0xfU;
                UNMASK_UNROLL
                for (int j = 0; j < 4; ++j) {
                    scores[i][j] = (seen >> j & 1U) != 0 ? p_.call.score(scores[i][j]) : minus_infinity;
                }
            }
            absorb(scores);
            memory::probabilities().store(scores);
            multiply_values(unit, first_key, next.partial());
        }
        write();
        if (values_taken_out<plain_threads>(memory::state().unit())) {
            add_values();
        }
    }

private:
    using memory = plain_forward_memory;
    static constexpr int output_steps = plain_columns / 64; // a thread has 4 of every 64 columns

    // Before the first key: nothing seen, or the sink alone. Of split keys, the first part has it.
    UNMASK_DEVICE void start() {
        const block_unit& unit = memory::state().unit();
        const bool with_sink = Sink::present && unit.part == 0;
        if constexpr (Sink::present) {
            if (device::thread() < plain_rows) {
                memory::sink_scores()[device::thread()] = sink_score(unit, device::thread());
            }
            device::barrier();
        }
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const float score = with_sink ? memory::sink_scores()[plain_row(i)] : minus_infinity;
            largest_[i] = score;
            sum_[i] = score == minus_infinity ? 0.0F : 1.0F + (score - score); // NaN for NaN and ∞
            UNMASK_UNROLL
            for (int step = 0; step < output_steps; ++step) {
                UNMASK_UNROLL
                for (int j = 0; j < 4; ++j) {
                    output_[step][i][j] = 0.0F;
                    if constexpr (Sink::has_value) {
                        if (score != minus_infinity && column(step, j) < p_.call.head_dim) {
                            output_[step][i][j] = p_.sink.value(unit.kv_head)[column(step, j)];
                        }
                    }
                }
            }
        }
    }

    // The sink's logit for a row of the block; of one that does not exist, nothing is read.
    UNMASK_DEVICE float sink_score(const block_unit& unit, int row) const {
        const int at = unit.first_row + row;
        if (at >= unit.rows) {
            return minus_infinity;
        }
        const int head = p_.call.head_of(unit.kv_head, at);
        return cuda::sink_score(p_.call, p_.sink, p_.call.query.row(unit.sequence, p_.call.query_of(at), head), head);
    }

    // Turns scores into probabilities relative to the new largest score, and rescales the output so far to match.
    UNMASK_DEVICE void absorb(float (&scores)[4][4]) {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            float top = device::largest(device::largest(scores[i][0], scores[i][1]),
                                        device::largest(scores[i][2], scores[i][3]));
            top = device::largest(largest_[i],
                                  over_plain_row(top, [](float a, float b) { return device::largest(a, b); }));
            const float shift = shift_of(top);
            const float rescale = exp(largest_[i] - shift);
            largest_[i] = top;
            float total = 0.0F;
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                scores[i][j] = exp(scores[i][j] - shift);
                total += scores[i][j];
            }
            sum_[i] = sum_[i] * rescale + over_plain_row(total, [](float a, float b) { return a + b; });
            UNMASK_UNROLL
            for (int step = 0; step < output_steps; ++step) {
                UNMASK_UNROLL
                for (int j = 0; j < 4; ++j) {
                    output_[step][i][j] *= rescale;
                }
            }
        }
    }

    // output += probabilities · values, 64 columns at a time.
    UNMASK_DEVICE void multiply_values(block_unit& unit, int first_key, bool partial) {
        UNMASK_UNROLL
        for (int step = 0; step < output_steps; ++step) {
            const int first = first_column_ + step * 64;
            if (first >= p_.call.head_dim) {
                break; // the same for all threads
            }
            device::barrier(); // probabilities are there, and nobody needs the tile any more
            memory::tile().copy(first, unit.keys - first_key, p_.call.head_dim, [&](int row) {
                return p_.call.value.row(unit.sequence, first_key + row, unit.kv_head);
            });
            device::barrier();
            if (partial) {
                take_out_values<plain_threads>(memory::tile(), unit);
            }
            for (int key = 0; key < plain_keys; ++key) {
                float probability[4];
                float value[4];
                memory::probabilities().load(key, probability);
                memory::tile().load(key, plain_column(0), value);
                UNMASK_UNROLL
                for (int i = 0; i < 4; ++i) {
                    UNMASK_UNROLL
                    for (int j = 0; j < 4; ++j) {
                        output_[step][i][j] += probability[i] * value[j];
                    }
                }
            }
        }
        device::barrier(); // nobody needs tile and probabilities any more
    }

    // Rows past a sequence's length have seen nothing: they get output 0, log-sum-exp −∞ like any other such row.
    UNMASK_DEVICE void write() const {
        const block_unit& unit = memory::state().unit();
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int row = unit.first_row + plain_row(i);
            if (row >= p_.call.query_length * p_.call.group) {
                continue;
            }
            const bool seen = row < unit.rows && sum_[i] != 0.0F;
            const float inverse = seen ? 1.0F / sum_[i] : 0.0F;
            const float log_sum = seen ? log_sum_of(largest_[i], sum_[i]) : minus_infinity;
            const bool first = first_column_ == 0 && plain_column(0) == 0;
            if (p_.states.are_kept()) {
                const index_t at = split_states::row(p_.call, unit.part, unit.sequence, unit.kv_head, row);
                write_row(i, inverse, p_.states.output + at * p_.call.head_dim);
                if (first) {
                    p_.states.log_sum_exp[at] = log_sum;
                }
            } else {
                const int query = p_.call.query_of(row);
                const int head = p_.call.head_of(unit.kv_head, row);
                write_row(i, inverse, p_.call.output.row(unit.sequence, query, head));
                if (first && p_.call.log_sum_exp.data != nullptr) {
                    p_.call.log_sum_exp.at(unit.sequence, head, query) = log_sum;
                }
            }
        }
    }

    template <class Element>
    UNMASK_DEVICE void write_row(int i, float inverse, Element* to) const {
        UNMASK_UNROLL
        for (int step = 0; step < output_steps; ++step) {
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                if (column(step, j) < p_.call.head_dim) {
                    to[column(step, j)] = static_cast<Element>(output_[step][i][j] * inverse);
                }
            }
        }
    }

    // Gives the rows what values that aren't finite, and were taken out of their tiles, make of their output.
    UNMASK_DEVICE void add_values() const {
        const block_unit& unit = memory::state().unit();
        const int end = smaller(first_column_ + plain_columns, p_.call.head_dim);
        device::barrier();
        if (p_.states.are_kept()) {
            add_values_taken_out<plain_threads>(p_.call, p_.mask, memory::state(), first_column_, end, [&](int row) {
                return p_.states.row_output(p_.call, unit.part, unit.sequence, unit.kv_head, row);
            });
        } else {
            add_values_taken_out<plain_threads>(p_.call, p_.mask, memory::state(), first_column_, end, [&](int row) {
                return p_.call.output.row(unit.sequence, p_.call.query_of(row), p_.call.head_of(unit.kv_head, row));
            });
        }
    }

    UNMASK_DEVICE int column(int step, int j) const { return first_column_ + step * 64 + plain_column(j); }

    const plain_forward_parameters<T, Mask, Sink>& p_;
    int first_column_;
    float largest_[4];
    float sum_[4];
    float output_[output_steps][4][4];
};

template <class T, mask_policy Mask, sink_policy Sink>
UNMASK_KERNEL(plain_threads, 2)
void plain_forward_kernel(plain_forward_parameters<T, Mask, Sink> parameters) {
    plain_forward<T, Mask, Sink>(parameters).run();
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
