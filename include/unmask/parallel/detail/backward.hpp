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
#include <unmask/cpu/scratch.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/returned_sums.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/parallel/detail/sink_gradients.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Backward over ranks: the log-sum-exp of all keys is known, so each part's gradients are final, and are added up in
// float. Those of a rank's keys that others computed come back to it.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The float sums of one gradient, [batch, positions, heads, head_dim]; empty if it is not wanted.
template <class T>
class gradient_total {
public:
    explicit gradient_total(const tensor_view<T, 4>& gradient)
        : gradient_(gradient), sums_(gradient.empty() ? 0 : static_cast<std::size_t>(gradient.size())) {}

    [[nodiscard]] bool wanted() const { return !gradient_.empty(); }

    // Adds dense [batch, positions, heads, head_dim] to the positions from `first` on.
    void add(index_t first, index_t positions, const float* part) {
        const auto& [batch, length, heads, head_dim] = gradient_.extents;
        const index_t row = heads * head_dim;
        for (index_t sequence = 0; sequence < batch && wanted(); ++sequence, part += positions * row) {
            float* const to = sums_.data() + (sequence * length + first) * row;
            std::transform(part, part + positions * row, to, to, std::plus<>{});
        }
    }

    // Rounds the sums into the gradient.
    void write() const {
        const float* from = sums_.data();
        const auto& [batch, length, heads, head_dim] = gradient_.extents;
        for (index_t row = 0; row < batch * length * heads && wanted(); ++row, from += head_dim) {
            std::transform(from, from + head_dim,
                           gradient_.pointer(row / (length * heads), row / heads % length, row % heads),
                           [](float x) { return static_cast<T>(x); });
        }
    }

private:
    tensor_view<T, 4> gradient_;
    std::vector<float> sums_;
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
    gradient_total<T> query(gradients.query);
    gradient_total<T> key(gradients.key);
    gradient_total<T> value(gradients.value);
    sink_totals<T> of_sink(gradients);
    typename shards_type::part_lengths lengths;

    const float_buffer query_part(query.wanted() ? call.query.size() : 0);
    const auto run = [&](const placed_range& queries, const attention_call<T>& part,
                         attention_call_gradients<T, float> sums, const auto& sink_of_part) {
        sums.output = rows_of(gradients.output, queries.at, queries.size());
        if (query.wanted()) {
            sums.query = view(query_part.data(), call.batch, queries.size(), call.heads, call.head_dim);
        }
        backward_on_host(exec, part, sums, mask_from_key(mask, part.key_offset), sink_of_part);
        query.add(queries.at, queries.size(), query_part.data());
    };
    if constexpr (Sink::present) {
        for (const placed_range& queries : shards.queries()) {
            attention_call_gradients<T, float> sums{};
            of_sink.take_part(sums);
            run(queries, shards.sink_call(queries, lengths), sums, sink);
            of_sink.add_part();
        }
    }

    const index_t each = call.batch * call.kv_heads * call.head_dim; // floats of a position
    const index_t tensors = (shards.wants(wants_keys) ? 1 : 0) + (shards.wants(wants_values) ? 1 : 0);
    const auto add_to_own = [&](const placed_range& part, const float* sums) {
        key.add(part.at, part.size(), sums);
        value.add(part.at, part.size(), sums + (shards.wants(wants_keys) ? part.size() * each : 0));
    };
    returned_sums<shards_type, decltype(Parallel::ranks)> returned(shards, exec.ranks, tensors * each, add_to_own);
    std::vector<float> memory; // of one part for some of the queries
    shards.for_each_shard([&](int step, const key_shard<T>& shard) {
        key_sums totals(shard.parts, tensors * each);
        for (const placed_range& queries : shards.queries()) {
            for (std::size_t i = 0; i < shard.parts.size(); ++i) {
                const placed_range& part = shard.parts[i];
                if (!shards.sees(queries, part)) {
                    continue;
                }
                memory.resize(static_cast<std::size_t>(part.size() * each * tensors));
                float* at = memory.data();
                const auto next = [&](wanted_gradients which) -> tensor_view<float, 4> {
                    if (!shards.wants(which)) {
                        return {};
                    }
                    return view(std::exchange(at, at + part.size() * each), call.batch, part.size(), call.kv_heads,
                                call.head_dim);
                };
                attention_call_gradients<T, float> sums{};
                sums.key = next(wants_keys);
                sums.value = next(wants_values);
                run(queries, shards.part_call(queries, shard, i, lengths), sums, no_sink{});
                std::transform(memory.begin(), memory.end(), totals.of(i), totals.of(i), std::plus<>{});
            }
        }
        returned.give(step, shard.parts, std::move(totals));
    });
    returned.finish();
    query.write();
    key.write();
    value.write();
    if (of_sink.wanted()) {
        of_sink.write(exec.ranks);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
