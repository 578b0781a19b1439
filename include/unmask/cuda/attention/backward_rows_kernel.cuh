// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/sink_score.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/sink/sink_policy.hpp>

// What backward has to do once a query row: Δ, and the sink's part. A block has 64 rows of a head, and leaves their
// share of the sink's own gradients; a second kernel adds the shares up in the order of the blocks.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

inline constexpr int backward_rows = 64; // of a block, each of which has two threads
inline constexpr int backward_rows_threads = 2 * backward_rows;
inline constexpr int backward_rows_bytes = 2 * backward_rows * static_cast<int>(sizeof(float));

template <class T, sink_policy Sink, class Gradient = T>
struct backward_rows_parameters {
    backward_call<T, Gradient> of;
    Sink sink;
    float* shares; // [sequences][heads][tiles of rows][sink_share_size]
};

// Of one block: dz, dk without the scale [head_dim], du [head_dim].
UNMASK_HOST_DEVICE constexpr index_t sink_share_size(int head_dim) {
    return 1 + 2 * static_cast<index_t>(head_dim);
}

template <class T, sink_policy Sink, class Gradient = T>
class backward_rows_block {
public:
    UNMASK_DEVICE explicit backward_rows_block(const backward_rows_parameters<T, Sink, Gradient>& parameters)
        : p_(parameters), call_(parameters.of.call) {
        const int tiles = tiles_of(call_.query_length, backward_rows);
        const int heads = call_.kv_heads * call_.group;
        first_ = device::block() % tiles * backward_rows;
        head_ = device::block() / tiles % heads;
        sequence_ = device::block() / tiles / heads;
        count_ = smaller(call_.queries(sequence_) - first_, backward_rows);
    }

    UNMASK_DEVICE void run() const {
        const int row = device::thread() / 2;
        const int half = device::thread() % 2;
        const float delta = delta_of(row, half);
        if (row < count_ && half == 0) {
            p_.of.delta[number(row)] = delta;
        }
        if constexpr (Sink::present) {
            if (half == 0) {
                differentiate(row, delta);
            }
            device::barrier();
            float* const share = p_.shares + device::block() * sink_share_size(call_.head_dim);
            for (int i = device::thread(); i < sink_share_size(call_.head_dim); i += backward_rows_threads) {
                share[i] = i == 0                ? sum_of_gradients()
                           : i <= call_.head_dim ? sum_of_queries(i - 1)
                                                 : sum_of_outputs(i - 1 - call_.head_dim);
            }
            copy_key();
        }
    }

private:
    static constexpr float no_sink_here = -1.0F; // as a probability

    UNMASK_DEVICE static float* probabilities() { return reinterpret_cast<float*>(device::shared_memory()); }
    UNMASK_DEVICE static float* gradients() { return probabilities() + backward_rows; } // of sink scores

    UNMASK_DEVICE const T* query(int row) const { return call_.query.row(sequence_, first_ + row, head_); }
    UNMASK_DEVICE const T* d_output(int row) const { return p_.of.d_output.row(sequence_, first_ + row, head_); }
    UNMASK_DEVICE index_t number(int row) const { return p_.of.row(sequence_, head_, first_ + row); }

    // Both threads of a row add up every other product.
    UNMASK_DEVICE float delta_of(int row, int half) const {
        float sum = 0.0F;
        if (row < count_) {
            const T* const output = call_.output.row(sequence_, first_ + row, head_);
            for (int d = half; d < call_.head_dim; d += 2) {
                sum += static_cast<float>(output[d]) * static_cast<float>(d_output(row)[d]);
            }
        }
        return sum + device::shuffle_xor(sum, 1);
    }

    // What the sink weighs in a row, and the gradient of its score.
    UNMASK_DEVICE void differentiate(int row, float delta) const {
        float probability = no_sink_here;
        float gradient = 0.0F;
        if (row < count_) {
            const float score = sink_score(call_, p_.sink, query(row), head_);
            if (score != minus_infinity) {
                probability = weight_of(score, call_.log_sum_exp.at(sequence_, head_, first_ + row));
                gradient = -delta;
                if constexpr (Sink::has_value) {
                    const float* const value = p_.sink.value(head_ / call_.group);
                    for (int d = 0; d < call_.head_dim; ++d) {
                        gradient += value[d] * static_cast<float>(d_output(row)[d]);
                    }
                }
                gradient *= probability;
                if constexpr (Sink::has_key) {
                    gradient *= cap_derivative(call_, score);
                }
            }
            if constexpr (Sink::has_key) {
                p_.of.d_sink_scores[number(row)] = gradient;
            }
        }
        probabilities()[row] = probability;
        gradients()[row] = gradient;
    }

    UNMASK_DEVICE float sum_of_gradients() const {
        float sum = 0.0F;
        for (int row = 0; row < count_; ++row) {
            sum += gradients()[row];
        }
        return sum;
    }
    UNMASK_DEVICE float sum_of_queries(int d) const {
        float sum = 0.0F;
        for (int row = 0; Sink::has_key && row < count_; ++row) {
            if (probabilities()[row] != no_sink_here) {
                sum += gradients()[row] * static_cast<float>(query(row)[d]);
            }
        }
        return sum;
    }
    UNMASK_DEVICE float sum_of_outputs(int d) const {
        float sum = 0.0F;
        for (int row = 0; Sink::has_value && row < count_; ++row) {
            if (probabilities()[row] != no_sink_here) {
                sum += probabilities()[row] * static_cast<float>(d_output(row)[d]);
            }
        }
        return sum;
    }

    // The first block of a kv head copies the sink's key for kernels that don't know the sink.
    UNMASK_DEVICE void copy_key() const {
        if constexpr (Sink::has_key) {
            if (sequence_ == 0 && first_ == 0 && head_ % call_.group == 0) {
                const int kv_head = head_ / call_.group;
                for (int d = device::thread(); d < call_.head_dim; d += backward_rows_threads) {
                    p_.of.sink_keys[static_cast<index_t>(kv_head) * call_.head_dim + d] = p_.sink.key(kv_head)[d];
                }
            }
        }
    }

    const backward_rows_parameters<T, Sink, Gradient>& p_;
    const kernel_call<T>& call_;
    int first_;
    int head_;
    int sequence_;
    int count_;
};

template <class T, sink_policy Sink, class Gradient = T>
UNMASK_KERNEL(backward_rows_threads, 1)
void backward_rows_kernel(backward_rows_parameters<T, Sink, Gradient> p) {
    backward_rows_block<T, Sink, Gradient>(p).run();
}

struct sink_gradient_parameters {
    const float* shares; // [sequences][heads][tiles][sink_share_size]
    int sequences;
    int heads;
    int group;
    int tiles;
    int head_dim;
    float scale;
    float* logits; // [heads]; null if not wanted, the others as well
    float* keys;   // [kv_heads], `keys_stride` apart
    index_t keys_stride;
    float* values;
    index_t values_stride;

    // Sums of one component over all blocks of some heads, in order.
    UNMASK_DEVICE float sum(int first_head, int last_head, int component) const {
        double total = 0.0;
        for (int sequence = 0; sequence < sequences; ++sequence) {
            const index_t of_sequence = static_cast<index_t>(sequence) * heads;
            for (index_t block = (of_sequence + first_head) * tiles; block < (of_sequence + last_head) * tiles;
                 ++block) {
                total += static_cast<double>(shares[block * sink_share_size(head_dim) + component]);
            }
        }
        return static_cast<float>(total);
    }
};

// A block for each head, and a thread for each column of its kv head, which the first of a group's heads has.
template <class Parameters>
UNMASK_KERNEL(128, 1)
void sink_gradient_kernel(Parameters p) {
    const int head = device::block();
    if (p.logits != nullptr && device::thread() == 0) {
        p.logits[head] = p.sum(head, head + 1, 0);
    }
    if (head % p.group != 0) {
        return;
    }
    const int kv_head = head / p.group;
    for (int d = device::thread(); d < p.head_dim; d += 128) {
        if (p.keys != nullptr) {
            p.keys[kv_head * p.keys_stride + d] = p.scale * p.sum(head, head + p.group, 1 + d);
        }
        if (p.values != nullptr) {
            p.values[kv_head * p.values_stride + d] = p.sum(head, head + p.group, 1 + p.head_dim + d);
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
