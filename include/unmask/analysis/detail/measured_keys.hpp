// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <unmask/analysis/seen_by.hpp>
#include <unmask/attention/attention_backend.hpp>
#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/sink_score.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// What an attention call says of its keys, in the order of a sink_record: positions of the sequence, sink tokens, the
// folded sink.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// How many keys of each kind a layer has.
struct key_counts {
    index_t heads = 0, kv_heads = 0;
    index_t length = 0; // positions of the sequence
    index_t sinks = 0;  // behind them

    [[nodiscard]] index_t keys() const { return length + sinks; }
};

// What is known of them.
struct measured_keys {
    std::vector<float> received;    // [heads, keys]
    std::vector<index_t> seen_by;   // [keys]
    std::vector<float> value_norms; // [kv_heads, keys]
    std::vector<float> own;         // [heads, length]: what a position gives to itself
};

// The keys of one sequence that are sink tokens.
template <class T, mask_policy Mask>
range sink_keys(const attention_call<T>& call, const Mask& mask, index_t sequence) {
    const range inside = clip(sink_tokens(mask), call.keys(sequence));
    return inside.empty() ? range{} : inside;
}

template <sink_policy Sink, class T, mask_policy Mask>
key_counts count_keys(const attention_call<T>& call, const Mask& mask, index_t sequence) {
    const range tokens = sink_keys(call, mask, sequence);
    const index_t sinks = tokens.end - tokens.begin;
    return {call.heads, call.kv_heads, call.keys(sequence) - sinks, sinks + (Sink::present ? 1 : 0)};
}

// The log-sum-exp of a row that gives nothing to any key: exp(score − LSE) is 0 for every score.
inline constexpr float gives_nothing = largest_float;

// The call with the rows of sink tokens silenced. `memory` then holds its log-sum-exp.
template <class T, mask_policy Mask>
attention_call<T> without_sink_rows(attention_call<T> call, const Mask& mask, std::vector<float>& memory) {
    const range rows = intersect(sink_tokens(mask), {call.query_offset, call.query_offset + call.query_length});
    if (rows.empty()) {
        return call;
    }
    memory.resize(static_cast<std::size_t>(call.batch * call.heads * call.query_length));
    const auto silenced = view(memory.data(), call.batch, call.heads, call.query_length);
    for (index_t sequence = 0; sequence < call.batch; ++sequence) {
        for (index_t head = 0; head < call.heads; ++head) {
            float* to = silenced.pointer(sequence, head);
            std::copy_n(call.log_sum_exp.pointer(sequence, head), call.query_length, to);
            std::fill(to + (rows.begin - call.query_offset), to + (rows.end - call.query_offset), gives_nothing);
        }
    }
    call.log_sum_exp = silenced;
    return call;
}

// What the folded sink receives from the rows of a head: Σᵢ exp(zᵢ − LSEᵢ). Not what the keys leave over: that cancels
// where it is small.
template <class T, sink_policy Sink>
float received_by_sink(const attention_problem<T>& problem, const Sink& sink, index_t sequence, index_t head) {
    std::vector<float> query(static_cast<std::size_t>(problem.width()));
    double sum = 0;
    for (index_t row = 0; row < problem.queries(sequence); ++row) {
        if constexpr (Sink::has_key) {
            pack_row(problem.query.pointer(sequence, row, head), problem.head_dim, problem.scale, query.data(),
                     problem.width());
        }
        const float score = sink_score(problem, sink, head, query.data());
        if (!is_minus_infinity(score)) {
            sum += std::exp(static_cast<double>(score - problem.log_sum_exp(sequence, head, row)));
        }
    }
    return static_cast<float>(sum);
}

// The probability that the query at a position gives to the key there; the position is one of the problem's queries.
template <class T>
float given_to_itself(const attention_problem<T>& problem, index_t sequence, index_t head, index_t position) {
    std::vector<float> query(static_cast<std::size_t>(problem.width()));
    std::vector<float> key(query.size());
    const index_t row = position - problem.query_offset;
    pack_row(problem.query.pointer(sequence, row, head), problem.head_dim, problem.scale, query.data(),
             problem.width());
    pack_row(problem.key.pointer(sequence, position, head / problem.group()), problem.head_dim, 1.0F, key.data(),
             problem.width());
    const key_sink own{{key.data(), {problem.kv_heads, problem.head_dim}, {0, 1}}}; // has the same score
    const float score = sink_score(problem, own, head, query.data());
    const double distance = static_cast<double>(score) - problem.log_sum_exp(sequence, head, row);
    return is_minus_infinity(score) ? 0.0F : static_cast<float>(std::exp(distance));
}

template <class T>
float norm_of(const T* row, index_t size) {
    return std::sqrt(row_dot(row, row, size));
}

// Of one sequence. `received` is [batch, heads, key_length]; `problem` is without the rows of sink tokens.
template <class T, mask_policy Mask, sink_policy Sink>
measured_keys measure_keys(const attention_problem<T>& problem, const tensor_view<float, 3>& received, const Mask& mask,
                           const Sink& sink, index_t sequence) {
    const index_t length = problem.keys(sequence);
    const range queries{problem.query_offset, problem.query_offset + problem.queries(sequence)};
    const range tokens = sink_keys(problem, mask, sequence);
    const auto sinks_last = [&](auto begin) { std::rotate(begin + tokens.begin, begin + tokens.end, begin + length); };
    measured_keys result;
    result.seen_by = seen_by(mask, queries, length);
    sinks_last(result.seen_by.begin());
    if constexpr (Sink::present) {
        const range silent = intersect(sink_tokens(mask), queries);
        result.seen_by.push_back(queries.end - queries.begin - (silent.empty() ? 0 : silent.end - silent.begin));
    }
    for (index_t head = 0; head < problem.heads; ++head) {
        const float* from = received.pointer(sequence, head);
        sinks_last(result.received.insert(result.received.end(), from, from + length));
        if constexpr (Sink::present) {
            result.received.push_back(received_by_sink(problem, sink, sequence, head));
        }
    }
    for (index_t head = 0; head < problem.heads; ++head) {
        for (index_t key = 0; key < length; ++key) {
            const bool is_sink = key >= tokens.begin && key < tokens.end;
            const bool sees = key >= queries.begin && key < queries.end && mask.visible(key, key);
            if (!is_sink) {
                result.own.push_back(sees ? given_to_itself(problem, sequence, head, key) : 0.0F);
            }
        }
    }
    for (index_t head = 0; head < problem.kv_heads; ++head) {
        for (index_t key = 0; key < length; ++key) {
            result.value_norms.push_back(norm_of(problem.value.pointer(sequence, key, head), problem.head_dim));
        }
        sinks_last(result.value_norms.end() - length);
        if constexpr (Sink::has_value) {
            result.value_norms.push_back(norm_of(sink.value(head), problem.head_dim));
        } else if constexpr (Sink::present) {
            result.value_norms.push_back(0);
        }
    }
    return result;
}

// Of every sequence of a call that was checked.
template <class Executor, class T, mask_policy Mask, sink_policy Sink>
std::vector<measured_keys> measure_keys(const Executor& exec, const attention_call<T>& call, const Mask& mask,
                                        const Sink& sink) {
    std::vector<float> log_sum_exp;
    const attention_problem<T> problem(without_sink_rows(call, mask, log_sum_exp));
    std::vector<float> sums(static_cast<std::size_t>(call.batch * call.heads * call.key_length));
    const auto received = view(sums.data(), call.batch, call.heads, call.key_length);
    attention_backend<Executor>::received(exec, problem, received, mask);
    std::vector<measured_keys> result(static_cast<std::size_t>(call.batch));
    exec.parallel_for(call.batch, [&](index_t sequence, int) {
        result[static_cast<std::size_t>(sequence)] = measure_keys(problem, received, mask, sink, sequence);
    });
    return result;
}

} // namespace detail
UNMASK_NAMESPACE_END
