// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/device.cuh>

// What some keys leave of every row, where there are others: keys that are split into parts, or keys of other ranks.
// And the kernel that merges parts, in their order.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

struct split_states {
    float* output;      // [parts][rows][head_dim], divided by its sum; null: rows are finished, and leave no state
    float* log_sum_exp; // [parts][rows]; −∞ where the part has seen nothing

    UNMASK_DEVICE bool are_kept() const { return output != nullptr; }

    // Rows of a launch: [sequences][kv_heads][query_length · group].
    template <class T>
    UNMASK_HOST_DEVICE static constexpr index_t rows(const kernel_call<T>& call) {
        return static_cast<index_t>(call.sequences) * call.kv_heads * call.query_length * call.group;
    }
    template <class T>
    UNMASK_DEVICE static index_t row(const kernel_call<T>& call, int part, int sequence, int kv_head, int row) {
        const index_t head = static_cast<index_t>(sequence) * call.kv_heads + kv_head;
        return part * rows(call) + head * call.query_length * call.group + row;
    }
    template <class T>
    UNMASK_DEVICE float* row_output(const kernel_call<T>& call, int part, int sequence, int kv_head, int at) const {
        return output + row(call, part, sequence, kv_head, at) * call.head_dim;
    }
};

template <class T>
struct merge_parameters {
    kernel_call<T> call;
    split_states states;
    int parts;
};

inline constexpr int merge_warps = 4; // of a block, each of which merges one row
inline constexpr int merge_threads = merge_warps * device::warp_size;

template <class T>
int merge_blocks(const kernel_call<T>& call) {
    return static_cast<int>((split_states::rows(call) + merge_warps - 1) / merge_warps);
}

template <class T>
UNMASK_KERNEL(merge_threads, 1)
void merge_kernel(merge_parameters<T> p) {
    const kernel_call<T>& call = p.call;
    const index_t rows = split_states::rows(call);
    const index_t row = static_cast<index_t>(device::block()) * merge_warps + device::warp();
    if (row >= rows) {
        return;
    }
    const int rows_of_head = call.query_length * call.group;
    const auto head = static_cast<int>(row / rows_of_head);
    const auto at = static_cast<int>(row % rows_of_head);
    float largest = minus_infinity;
    for (int part = 0; part < p.parts; ++part) {
        largest = device::largest(largest, p.states.log_sum_exp[part * rows + row]);
    }
    const float shift = shift_of(largest);
    float sum = 0.0F;
    for (int part = 0; part < p.parts; ++part) {
        sum += exp(p.states.log_sum_exp[part * rows + row] - shift);
    }
    const float inverse = sum == 0.0F ? 0.0F : 1.0F / sum;

    const int sequence = head / call.kv_heads;
    const int query = call.query_of(at);
    const int query_head = call.head_of(head % call.kv_heads, at);
    T* output = call.output.row(sequence, query, query_head);
    for (int column = device::lane(); column < call.head_dim; column += device::warp_size) {
        float total = 0.0F;
        for (int part = 0; part < p.parts; ++part) {
            const index_t state = part * rows + row;
            total += exp(p.states.log_sum_exp[state] - shift) * p.states.output[state * call.head_dim + column];
        }
        output[column] = static_cast<T>(total * inverse);
    }
    if (call.log_sum_exp.data != nullptr && device::lane() == 0) {
        call.log_sum_exp.at(sequence, query_head, query) = log_sum_of(largest, sum);
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
