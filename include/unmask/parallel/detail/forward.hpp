// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <unmask/attention/attention_state.hpp>
#include <unmask/config.hpp>
#include <unmask/cpu/attention/forward.hpp>
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

// What is known of all rows after some keys: an attention_state for each.
template <class T>
class sharded_rows {
public:
    explicit sharded_rows(const attention_call<T>& call)
        : call_(call), output_(static_cast<std::size_t>(call.query.size())),
          states_(static_cast<std::size_t>(call.batch * call.heads * call.query_length)) {
        const auto dim = static_cast<std::size_t>(call.head_dim);
        for (std::size_t row = 0; row < states_.size(); ++row) {
            states_[row].output = std::span(output_).subspan(row * dim, dim);
        }
    }

    // Merges what some keys gave the rows of some queries: output [batch, queries, heads, head_dim], log_sum_exp
    // [batch, heads, queries].
    template <class Executor>
    void merge_in(const Executor& exec, const placed_range& queries, const tensor_view<float, 4>& output,
                  const tensor_view<float, 3>& log_sum_exp) {
        exec.parallel_for(call_.batch * call_.heads, [&](index_t task, int) {
            const index_t sequence = task / call_.heads;
            const index_t head = task % call_.heads;
            for (index_t query = 0; query < queries.size(); ++query) {
                const std::span<float> row(output.pointer(sequence, query, head),
                                           static_cast<std::size_t>(call_.head_dim));
                attention_state& mine =
                    states_[static_cast<std::size_t>(task * call_.query_length + queries.at + query)];
                const attention_state more = state_of(row, log_sum_exp(sequence, head, query));
                if (more.sum != 0.0F) {
                    mine = merge(mine, more);
                }
            }
        });
    }

    // Rounds output and log-sum-exp into the call's tensors.
    template <class Executor>
    void write(const Executor& exec) const {
        exec.parallel_for(call_.batch * call_.heads, [&](index_t task, int) {
            const index_t sequence = task / call_.heads;
            const index_t head = task % call_.heads;
            for (index_t query = 0; query < call_.query_length; ++query) {
                const attention_state& state = states_[static_cast<std::size_t>(task * call_.query_length + query)];
                state.finish();
                std::transform(state.output.begin(), state.output.end(), call_.output.pointer(sequence, query, head),
                               [](float x) { return static_cast<T>(x); });
                if (!call_.log_sum_exp.empty()) {
                    call_.log_sum_exp(sequence, head, query) = state.log_sum_exp();
                }
            }
        });
    }

private:
    const attention_call<T>& call_;
    std::vector<float> output_;           // [batch, heads, query_length, head_dim]
    std::vector<attention_state> states_; // [batch, heads, query_length]
};

template <class Parallel, class T, mask_policy Mask, sink_policy Sink>
void forward_on_ranks(const Parallel& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
    const sharded_call<Parallel, T, Mask> shards(forward_function, 0, exec, call, mask);
    sharded_rows<T> rows(call);
    std::vector<float> output(static_cast<std::size_t>(call.query.size())); // of some rows
    std::vector<float> log_sum_exp(static_cast<std::size_t>(call.batch * call.heads * call.query_length));
    const auto add = [&](const placed_range& queries, attention_call<T> part, const auto& sink_of_part) {
        const auto part_output = view(output.data(), call.batch, queries.size(), call.heads, call.head_dim);
        part.log_sum_exp = view(log_sum_exp.data(), call.batch, call.heads, queries.size());
        forward_on_host(exec, part, mask_from_key(mask, part.key_offset), sink_of_part, part_output);
        rows.merge_in(exec, queries, part_output, part.log_sum_exp);
    };
    typename sharded_call<Parallel, T, Mask>::part_lengths lengths;
    if constexpr (Sink::present) {
        for (const placed_range& queries : shards.queries()) {
            add(queries, shards.sink_call(queries, lengths), sink);
        }
    }
    shards.for_each_shard([&](int /*step*/, const key_shard<T>& shard) {
        for (const placed_range& queries : shards.queries()) {
            for (std::size_t part = 0; part < shard.parts.size(); ++part) {
                if (shards.sees(queries, shard.parts[part])) {
                    add(queries, shards.part_call(queries, shard, part, lengths), no_sink{});
                }
            }
        }
    });
    rows.write(exec);
}

} // namespace detail
UNMASK_NAMESPACE_END
