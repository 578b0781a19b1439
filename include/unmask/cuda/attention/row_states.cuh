// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/forward.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/attention/sink_score.cuh>
#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// Forward whose keys come a few at a time: what is known of each row after some of them, as attention_state has it, and
// the kernels that begin with the sink, take more keys, and round at the end.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Of [sequences][heads][query_length] rows.
struct row_states {
    float* output;  // [rows][head_dim], Σ exp(score − largest) · value
    float* largest; // [rows], the largest score
    float* sum;     // [rows], Σ exp(score − largest)
    int heads;
    int query_length;
    int head_dim;

    [[nodiscard]] row_states from_sequence(index_t first) const {
        const index_t rows = first * heads * query_length;
        return {output + rows * head_dim, largest + rows, sum + rows, heads, query_length, head_dim};
    }
    UNMASK_DEVICE index_t row(int sequence, int head, int query) const {
        return (static_cast<index_t>(sequence) * heads + head) * query_length + query;
    }
};

template <class T, sink_policy Sink>
struct begin_parameters {
    kernel_call<T> call;
    row_states states;
    Sink sink;
};
template <class T>
struct absorb_parameters {
    kernel_call<T> call;
    split_states more; // of the call's queries
    int parts;
    row_states states;
    int first_query; // of the call, among those of the states
};
template <class T>
struct finish_parameters {
    kernel_call<T> call;
    row_states states;
};

// What a lane's warp works on: a row of a launch, in the order of split_states.
struct launch_row {
    bool exists;
    index_t number;
    int sequence;
    int head;
    int query;

    template <class T>
    UNMASK_DEVICE explicit launch_row(const kernel_call<T>& call)
        : number(static_cast<index_t>(device::block()) * merge_warps + device::warp()) {
        const int rows_of_head = call.query_length * call.group;
        exists = number < split_states::rows(call);
        const auto unit = static_cast<int>(exists ? number / rows_of_head : 0);
        const auto at = static_cast<int>(exists ? number % rows_of_head : 0);
        sequence = unit / call.kv_heads;
        head = call.head_of(unit % call.kv_heads, at);
        query = call.query_of(at);
    }
};

// Nothing seen, or the sink alone.
template <class T, sink_policy Sink>
UNMASK_KERNEL(merge_threads, 1)
void begin_kernel(begin_parameters<T, Sink> p) {
    const launch_row row(p.call);
    if (!row.exists) {
        return;
    }
    float score = minus_infinity;
    if constexpr (Sink::present) {
        if (row.query < p.call.queries(row.sequence)) {
            score = sink_score(p.call, p.sink, p.call.query.row(row.sequence, row.query, row.head), row.head);
        }
    }
    const index_t at = p.states.row(row.sequence, row.head, row.query);
    for (int column = device::lane(); column < p.call.head_dim; column += device::warp_size) {
        float value = 0.0F;
        if constexpr (Sink::has_value) {
            value = score == minus_infinity ? 0.0F : p.sink.value(row.head / p.call.group)[column];
        }
        p.states.output[at * p.call.head_dim + column] = value;
    }
    if (device::lane() == 0) {
        p.states.largest[at] = score;
        p.states.sum[at] = score == minus_infinity ? 0.0F : 1.0F + (score - score); // NaN for NaN and ∞
    }
}

// Merges parts one after another, as merge of attention_state does.
template <class T>
UNMASK_KERNEL(merge_threads, 1)
void absorb_kernel(absorb_parameters<T> p) {
    const launch_row row(p.call);
    if (!row.exists) {
        return;
    }
    const index_t at = p.states.row(row.sequence, row.head, p.first_query + row.query);
    float* const output = p.states.output + at * p.call.head_dim;
    float largest = p.states.largest[at];
    float sum = p.states.sum[at];
    device::warp_barrier(); // all lanes have read them
    for (int part = 0; part < p.parts; ++part) {
        const index_t state = part * split_states::rows(p.call) + row.number;
        const float log_sum_exp = p.more.log_sum_exp[state];
        if (log_sum_exp == minus_infinity) {
            continue; // the part has seen nothing
        }
        const float top = device::largest(largest, log_sum_exp);
        const float before = sum == 0.0F ? 0.0F : exp(largest - top);
        const float added = exp(log_sum_exp - top);
        for (int column = device::lane(); column < p.call.head_dim; column += device::warp_size) {
            output[column] = output[column] * before + p.more.output[state * p.call.head_dim + column] * added;
        }
        sum = sum * before + added;
        largest = top;
    }
    if (device::lane() == 0) {
        p.states.largest[at] = largest;
        p.states.sum[at] = sum;
    }
}

template <class T>
UNMASK_KERNEL(merge_threads, 1)
void finish_kernel(finish_parameters<T> p) {
    const launch_row row(p.call);
    if (!row.exists) {
        return;
    }
    const index_t at = p.states.row(row.sequence, row.head, row.query);
    const float sum = p.states.sum[at];
    T* const output = p.call.output.row(row.sequence, row.query, row.head);
    for (int column = device::lane(); column < p.call.head_dim; column += device::warp_size) {
        output[column] = static_cast<T>(sum == 0.0F ? 0.0F : p.states.output[at * p.call.head_dim + column] / sum);
    }
    if (p.call.log_sum_exp.data != nullptr && device::lane() == 0) {
        p.call.log_sum_exp.at(row.sequence, row.head, row.query) = log_sum_of(p.states.largest[at], sum);
    }
}

// Rows of a launch that go to states, not to the output.
struct rows_to_states {
    static constexpr bool want_states = true;
    row_states states;
    int first_query;

    template <class T>
    void take(const work_stream& work, const kernel_call<T>& call, const split_states& more, int parts) const {
        launch(&absorb_kernel<T>, merge_blocks(call), merge_threads, 0, work.stream,
               absorb_parameters<T>{call, more, parts, states, first_query});
    }
};

// A forward pass over keys that come a few at a time, in any number of calls; all of its work is on one stream.
template <class T>
class growing_forward {
public:
    // Begins with the sink. `call` outlives this; its keys are not used.
    template <sink_policy Sink>
    growing_forward(const work_stream& work, const attention_call<T>& call, const Sink& sink)
        : work_(work), call_(call), memory_(work, bytes(call)) {
        const index_t rows = rows_of(call);
        states_ = {static_cast<float*>(memory_.data()),
                   static_cast<float*>(memory_.data()) + rows * call.head_dim,
                   static_cast<float*>(memory_.data()) + rows * (call.head_dim + 1),
                   static_cast<int>(call.heads),
                   static_cast<int>(call.query_length),
                   static_cast<int>(call.head_dim)};
        for_each_launch("attention_forward", call, [&](const kernel_call<T>& part, index_t first) {
            launch(&begin_kernel<T, Sink>, merge_blocks(part), merge_threads, 0, work.stream,
                   begin_parameters<T, Sink>{part, states_.from_sequence(first), sink});
        });
    }

    // Some keys, for the queries from `first_query` on: `more` is a call of these alone.
    template <mask_policy Mask, class HeadDims>
    void add(const attention_call<T>& more, index_t first_query, const Mask& mask, HeadDims kernels) const {
        for_each_launch("attention_forward", more, [&](const kernel_call<T>& part, index_t first) {
            run_launch(work_, part, mask, no_sink{}, kernels,
                       rows_to_states{states_.from_sequence(first), static_cast<int>(first_query)});
        });
    }

    // Rounds rows into output and log_sum_exp.
    void finish() const {
        for_each_launch("attention_forward", call_, [&](const kernel_call<T>& part, index_t first) {
            launch(&finish_kernel<T>, merge_blocks(part), merge_threads, 0, work_.stream,
                   finish_parameters<T>{part, states_.from_sequence(first)});
        });
    }

private:
    static index_t rows_of(const attention_call<T>& call) { return call.batch * call.heads * call.query_length; }
    static std::size_t bytes(const attention_call<T>& call) {
        return static_cast<std::size_t>(rows_of(call) * (call.head_dim + 2)) * sizeof(float);
    }

    work_stream work_;
    const attention_call<T>& call_;
    device_scratch memory_;
    row_states states_{};
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
