// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <vector>

#include <unmask/attention/attention_state.hpp>
#include <unmask/config.hpp>
#include <unmask/cpu/attention/forward.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Forward over ranks: what each part of the keys gives the rows is merged in float, and rounded once.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Output and log-sum-exp of a call's rows over the keys that they have seen so far: in its own tensors, unless these
// have too few bits, or are not wanted. What is not written is not initialised.
template <class T>
class growing_rows {
public:
    explicit growing_rows(const attention_call<T>& call)
        : call_(call), output_memory_(rounds_at_end ? call.query.size() : 0),
          log_sum_memory_(call.log_sum_exp.empty() ? call.batch * call.heads * call.query_length : 0) {
        if constexpr (rounds_at_end) {
            output_ = view(output_memory_.data(), call.batch, call.query_length, call.heads, call.head_dim);
        } else {
            output_ = call.output;
        }
        log_sum_exp_ = call.log_sum_exp.empty()
                           ? view(log_sum_memory_.data(), call.batch, call.heads, call.query_length)
                           : call.log_sum_exp;
    }

    [[nodiscard]] tensor_view<float, 4> output(const placed_range& queries) const {
        return rows_of(output_, queries.at, queries.size());
    }
    [[nodiscard]] tensor_view<float, 3> log_sum_exp(const placed_range& queries) const {
        return columns_of(log_sum_exp_, queries.at, queries.size());
    }

    // Merges what further keys gave the rows of some queries: output [batch, queries, heads, head_dim], log_sum_exp
    // [batch, heads, queries].
    template <class Executor>
    void merge_in(const Executor& exec, const placed_range& queries, const tensor_view<float, 4>& output,
                  const tensor_view<float, 3>& log_sum_exp) const {
        const auto state = [&](const tensor_view<float, 4>& rows, index_t sequence, index_t query, index_t head,
                               float log_sum) {
            return state_of({rows.pointer(sequence, query, head), static_cast<std::size_t>(call_.head_dim)}, log_sum);
        };
        for_each_row(exec, queries, [&](index_t sequence, index_t query, index_t head) {
            const attention_state more =
                state(output, sequence, query - queries.at, head, log_sum_exp(sequence, head, query - queries.at));
            if (more.sum != 0.0F) {
                float& log_sum = log_sum_exp_(sequence, head, query);
                const attention_state both = merge(state(output_, sequence, query, head, log_sum), more);
                both.finish();
                log_sum = both.log_sum_exp();
            }
        });
    }

    // The last step: the call's tensors have the rows.
    template <class Executor>
    void round(const Executor& exec) const {
        if constexpr (rounds_at_end) {
            for_each_row(exec, {{0, call_.query_length}, 0}, [&](index_t sequence, index_t query, index_t head) {
                std::transform(output_.pointer(sequence, query, head),
                               output_.pointer(sequence, query, head) + call_.head_dim,
                               call_.output.pointer(sequence, query, head), [](float x) { return static_cast<T>(x); });
            });
        }
    }

private:
    static constexpr bool rounds_at_end = !std::same_as<T, float>;

    template <class Executor, class Visit>
    void for_each_row(const Executor& exec, const placed_range& queries, const Visit& visit) const {
        exec.parallel_for(call_.batch * call_.heads, [&](index_t task, int) {
            for (index_t query = queries.at; query < queries.at + queries.size(); ++query) {
                visit(task / call_.heads, query, task % call_.heads);
            }
        });
    }

    const attention_call<T>& call_;
    float_buffer output_memory_;
    float_buffer log_sum_memory_;
    tensor_view<float, 4> output_;      // [batch, query_length, heads, head_dim]
    tensor_view<float, 3> log_sum_exp_; // [batch, heads, query_length]
};

template <class Parallel, class T, mask_policy Mask, sink_policy Sink>
void forward_on_ranks(const Parallel& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
    const sharded_call<Parallel, T, Mask> shards(forward_function, 0, exec, call, mask);
    const std::vector<placed_range>& queries = shards.queries();
    typename sharded_call<Parallel, T, Mask>::part_lengths lengths;
    const auto compute = [&](attention_call<T> part, const auto& sink_of_part, const tensor_view<float, 4>& output,
                             const tensor_view<float, 3>& log_sum_exp) {
        part.log_sum_exp = log_sum_exp;
        forward_on_host(exec, part, mask_from_key(mask, part.key_offset), sink_of_part, output);
    };

    const growing_rows<T> rows(call);
    std::vector<bool> begun(queries.size(), false);
    const auto begin = [&](std::size_t i, const attention_call<T>& part) { // with the first keys comes the sink
        compute(part, sink, rows.output(queries[i]), rows.log_sum_exp(queries[i]));
        begun[i] = true;
    };
    const float_buffer more_output(call.query.size());
    const float_buffer more_log_sums(call.batch * call.heads * call.query_length);
    const auto go_on = [&](std::size_t i, const attention_call<T>& part) {
        const auto output = view(more_output.data(), call.batch, queries[i].size(), call.heads, call.head_dim);
        const auto log_sum_exp = view(more_log_sums.data(), call.batch, call.heads, queries[i].size());
        compute(part, no_sink{}, output, log_sum_exp);
        rows.merge_in(exec, queries[i], output, log_sum_exp);
    };
    shards.for_each_shard([&](int /*step*/, const key_shard<T>& shard) {
        for (std::size_t i = 0; i < queries.size(); ++i) {
            for (std::size_t k = 0; k < shard.parts.size(); ++k) {
                if (shards.sees(queries[i], shard.parts[k])) {
                    const attention_call<T> part = shards.part_call(queries[i], shard, k, lengths);
                    if (begun[i]) {
                        go_on(i, part);
                    } else {
                        begin(i, part);
                    }
                }
            }
        }
    });
    for (std::size_t i = 0; i < queries.size(); ++i) {
        if (!begun[i]) {
            begin(i, shards.sink_call(queries[i], lengths));
        }
    }
    rows.round(exec);
}

} // namespace detail
UNMASK_NAMESPACE_END
