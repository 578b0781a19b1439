// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <vector>

#include <unmask/attention/attention_state.hpp>
#include <unmask/config.hpp>
#include <unmask/cpu/attention/forward.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/parallel/detail/unrounded.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Forward over ranks: what each part of the keys gives the rows is merged in float, and rounded once.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Output and log-sum-exp of a call's rows over the keys that they have seen so far.
template <class T>
class growing_rows {
public:
    explicit growing_rows(const attention_call<T>& call)
        : output_(call.output), memory_(call.log_sum_exp.empty() ? call.batch * call.heads * call.query_length : 0),
          log_sum_exp_(call.log_sum_exp.empty() ? view(memory_.data(), call.batch, call.heads, call.query_length)
                                                : call.log_sum_exp) {}

    // Where those of some queries are; the first keys write to them.
    [[nodiscard]] tensor_view<float, 4> output(const placed_range& queries) const {
        return rows_of(output_.floats(), queries.at, queries.size());
    }
    [[nodiscard]] tensor_view<float, 3> log_sum_exp(const placed_range& queries) const {
        return columns_of(log_sum_exp_, queries.at, queries.size());
    }

    // Merges what further keys gave the rows of some queries.
    template <class Executor>
    void merge_in(const Executor& exec, const placed_range& queries, const tensor_view<float, 4>& more_output,
                  const tensor_view<float, 3>& more_log_sum_exp) const {
        const tensor_view<float, 4> mine = output(queries);
        const tensor_view<float, 3> log_sums = log_sum_exp(queries);
        const auto dim = static_cast<std::size_t>(mine.extents[3]);
        for_each_row(exec, mine, [&](index_t sequence, index_t query, index_t head) {
            const attention_state more =
                state_of({more_output.pointer(sequence, query, head), dim}, more_log_sum_exp(sequence, head, query));
            if (more.sum != 0.0F) {
                float& log_sum = log_sums(sequence, head, query);
                const attention_state both = merge(state_of({mine.pointer(sequence, query, head), dim}, log_sum), more);
                both.finish();
                log_sum = both.log_sum_exp();
            }
        });
    }

    // The last step: the call's output has the rows.
    template <class Executor>
    void round(const Executor& exec) const {
        output_.round(exec);
    }

private:
    unrounded_tensor<T> output_;
    float_buffer memory_;
    tensor_view<float, 3> log_sum_exp_; // of the call, if it is wanted
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
        shards.for_each_part_seen(shard, [&](std::size_t i, std::size_t part) {
            const attention_call<T> of_part = shards.part_call(queries[i], shard, part, lengths);
            if (begun[i]) {
                go_on(i, of_part);
            } else {
                begin(i, of_part);
            }
        });
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
