// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/backward.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/returned_sums.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/parallel/detail/sink_gradients.hpp>
#include <unmask/parallel/detail/unrounded.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Backward over ranks: the log-sum-exp of all keys is known, so each part's gradients are final, and are added up in
// float. Those of a rank's keys that others computed come back to it.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The sums of one gradient, [batch, positions, heads, head_dim]; empty if it is not wanted.
template <class T>
class gradient_total {
public:
    // They begin as zeros.
    template <class Executor>
    gradient_total(const Executor& exec, const tensor_view<T, 4>& gradient) : sums_(gradient) {
        for_each_row(exec, sums_.floats(), [&](index_t sequence, index_t position, index_t head) {
            std::fill_n(sums_.floats().pointer(sequence, position, head), sums_.floats().extents[3], 0.0F);
        });
    }

    [[nodiscard]] bool wanted() const { return !sums_.floats().empty(); }

    // Those of some positions.
    [[nodiscard]] tensor_view<float, 4> of(const placed_range& positions) const {
        return rows_of(sums_.floats(), positions.at, positions.size());
    }
    // Adds dense [batch, positions, heads, head_dim].
    template <class Executor>
    void add(const Executor& exec, const placed_range& positions, const float* part) const {
        const tensor_view<float, 4> sums = of(positions);
        const auto& [batch, length, heads, head_dim] = sums.extents;
        const auto more = view(part, batch, length, heads, head_dim);
        for_each_row(exec, sums, [&](index_t sequence, index_t position, index_t head) {
            float* const to = sums.pointer(sequence, position, head);
            std::transform(to, to + sums.extents[3], more.pointer(sequence, position, head), to, std::plus<>{});
        });
    }
    // Rounds them into the gradient.
    template <class Executor>
    void round(const Executor& exec) const {
        sums_.round(exec);
    }

private:
    unrounded_tensor<T> sums_;
};

// The sink's gradients, over this rank's queries and then over all ranks.
template <class T>
class sink_totals {
public:
    explicit sink_totals(const attention_call_gradients<T>& gradients)
        : gradients_(gradients), sums_(sink_gradients_size(gradients)), part_(sums_.size()) {}

    [[nodiscard]] bool wanted() const { return !sums_.empty(); }

    // Lets a call write its part.
    void take_part(attention_call_gradients<T, float>& call) { place_sink_gradients(gradients_, part_.data(), call); }
    void add_part() { std::transform(part_.begin(), part_.end(), sums_.begin(), sums_.begin(), std::plus<>{}); }

    template <communicator C>
    void write(const C& ranks) {
        all_reduce_sum(ranks, std::span(sums_));
        const float* from = sums_.data();
        for_each_sink_gradient(gradients_, [&](const auto& to) {
            for (index_t head = 0; head < to.extents[0]; ++head) {
                const index_t count = to.size() / to.extents[0];
                std::copy_n(from, count, to.pointer(head));
                from += count;
            }
        });
    }

private:
    const attention_call_gradients<T>& gradients_;
    std::vector<float> sums_;
    std::vector<float> part_;
};

template <class Parallel, class T, mask_policy Mask, sink_policy Sink>
void backward_on_ranks(const Parallel& exec, const attention_call<T>& call,
                       const attention_call_gradients<T>& gradients, const Mask& mask, const Sink& sink) {
    using shards_type = sharded_call<Parallel, T, Mask>;
    const shards_type shards(backward_function, wanted_bits(gradients), exec, call, mask);
    const gradient_total<T> query(exec, gradients.query);
    const gradient_total<T> key(exec, gradients.key);
    const gradient_total<T> value(exec, gradients.value);
    sink_totals<T> of_sink(gradients);
    typename shards_type::part_lengths lengths;
    const auto add = [&](const placed_range& queries, const attention_call<T>& part,
                         attention_call_gradients<T, float> sums, const auto& sink_of_part) {
        sums.output = rows_of(gradients.output, queries.at, queries.size());
        sums.query = query.of(queries);
        backward_on_host(exec, part, sums, mask_from_key(mask, part.key_offset), sink_of_part, true);
    };
    if constexpr (Sink::present) {
        for (const placed_range& queries : shards.queries()) {
            attention_call_gradients<T, float> sums{};
            of_sink.take_part(sums);
            add(queries, shards.sink_call(queries, lengths), sums, sink);
            of_sink.add_part();
        }
    }

    const index_t each = call.batch * call.kv_heads * call.head_dim; // floats of a position
    const index_t tensors = (shards.wants(wants_keys) ? 1 : 0) + (shards.wants(wants_values) ? 1 : 0);
    const auto add_to_own = [&](const placed_range& part, const float* sums) {
        if (key.wanted()) {
            key.add(exec, part, sums);
            sums += part.size() * each;
        }
        if (value.wanted()) {
            value.add(exec, part, sums);
        }
    };
    returned_sums<shards_type, decltype(Parallel::ranks)> returned(shards, exec.ranks, tensors * each, add_to_own);
    shards.for_each_shard([&](int step, const key_shard<T>& shard) {
        key_sums totals(step > 0 ? shard.parts : std::vector<placed_range>{}, tensors * each); // of keys of others
        shards.for_each_part_seen(shard, [&](std::size_t of_rank, std::size_t i) {
            const placed_range& queries = shards.queries()[of_rank];
            const placed_range& part = shard.parts[i];
            attention_call_gradients<T, float> sums{};
            if (step == 0) {
                sums.key = key.of(part);
                sums.value = value.of(part);
            } else {
                float* at = totals.of(i);
                const auto next = [&](wanted_gradients which) -> tensor_view<float, 4> {
                    if (!shards.wants(which)) {
                        return {};
                    }
                    return view(std::exchange(at, at + part.size() * each), call.batch, part.size(), call.kv_heads,
                                call.head_dim);
                };
                sums.key = next(wants_keys);
                sums.value = next(wants_values);
            }
            add(queries, shards.part_call(queries, shard, i, lengths), sums, no_sink{});
        });
        if (step > 0) {
            returned.give(step, std::move(totals));
        }
    });
    returned.finish();
    query.round(exec);
    key.round(exec);
    value.round(exec);
    if (of_sink.wanted()) {
        of_sink.write(exec.ranks);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
