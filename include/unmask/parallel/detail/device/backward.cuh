// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward.cuh>
#include <unmask/cuda/attention/tensor_rows.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/detail/device/returned_sums.cuh>
#include <unmask/parallel/detail/device/shards.cuh>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/parallel/detail/sink_gradients.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Backward over the GPUs of ranks: the log-sum-exp of all keys is known, so each part's gradients are final, and are
// added up in float. Those of a rank's keys that others computed come back to it.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Device memory of some floats that begin as zeros.
inline device_elements<float> device_zeros(const cuda::work_stream& work, index_t count) {
    device_elements<float> result(work, static_cast<std::size_t>(count));
    if (count > 0) {
        clear_device(result.data(), result.bytes().size(), work.stream);
    }
    return result;
}

// The float sums of one gradient, [batch, positions, heads, head_dim]; none if it is not wanted.
template <class T>
class device_gradient_total {
public:
    // A rank without keys may have no memory for gradients that others want.
    device_gradient_total(const cuda::work_stream& work, const tensor_view<T, 4>& gradient,
                          const std::array<index_t, 4>& extents, bool wanted)
        : work_(work), gradient_(gradient), extents_(extents), wanted_(wanted),
          sums_(device_zeros(work, part_size(extents[1]))) {}

    [[nodiscard]] bool wanted() const { return wanted_; }

    // Dense sums of `positions` positions, in memory for them; empty if not wanted.
    template <class Float>
    [[nodiscard]] tensor_view<Float, 4> part(Float* memory, index_t positions) const {
        const auto& [batch, length, heads, head_dim] = extents_;
        return wanted() ? view(memory, batch, positions, heads, head_dim) : tensor_view<Float, 4>{};
    }
    [[nodiscard]] index_t part_size(index_t positions) const {
        const auto& [batch, length, heads, head_dim] = extents_;
        return wanted() ? batch * positions * heads * head_dim : 0;
    }

    // Adds those of the positions from `first` on.
    void add(index_t first, const tensor_view<const float, 4>& more) const {
        if (wanted()) {
            cuda::add_rows(work_, more, rows_of(all(), first, more.extents[1]));
        }
    }
    // Rounds the sums into the gradient.
    void write() const {
        if (!gradient_.empty()) {
            cuda::copy_rows(work_, tensor_view<const float, 4>(all()), gradient_);
        }
    }

private:
    [[nodiscard]] tensor_view<float, 4> all() const { return part(sums_.data(), extents_[1]); }

    const cuda::work_stream& work_;
    tensor_view<T, 4> gradient_;
    std::array<index_t, 4> extents_;
    bool wanted_;
    device_elements<float> sums_;
};

// The sink's gradients, over this rank's queries and then over all ranks.
template <class T>
class device_sink_totals {
public:
    device_sink_totals(const cuda::work_stream& work, const attention_call_gradients<T>& gradients, int rank, int ranks)
        : work_(work), gradients_(gradients), rank_(rank), ranks_(ranks),
          size_(static_cast<index_t>(sink_gradients_size(gradients))), sums_(device_zeros(work, size_ * ranks)),
          part_(work, static_cast<std::size_t>(size_)) {}

    [[nodiscard]] bool wanted() const { return size_ > 0; }

    // Lets a call write its part.
    void take_part(attention_call_gradients<T, float>& call) const {
        place_sink_gradients(gradients_, part_.data(), call);
    }
    void add_part() const { add(part_.data(), of_rank(rank_)); }

    // Adds up those of all ranks, in their order, and writes them.
    template <class Shards>
    void write(const Shards& shards) const {
        std::vector<typename Shards::request> messages;
        for (int distance = 1; distance < ranks_; ++distance) {
            const int from = (rank_ + ranks_ - distance) % ranks_;
            messages.push_back(shards.exchange(distance, bytes(rank_), -distance, bytes(from)));
        }
        for (auto& each : messages) {
            each.wait();
        }
        for (int rank = 1; rank < ranks_; ++rank) {
            add(of_rank(rank), of_rank(0));
        }
        const float* from = of_rank(0);
        for_each_sink_gradient(gradients_, [&](const auto& to) {
            const auto rows = as_one(to);
            cuda::copy_rows(work_, view(from, 1, 1, rows.extents[2], rows.extents[3]), rows);
            from += to.size();
        });
    }

private:
    static tensor_view<float, 4> as_one(const tensor_view<float, 1>& of) {
        return {of.data, {1, 1, 1, of.extents[0]}, {0, 0, 0, 1}};
    }
    static tensor_view<float, 4> as_one(const tensor_view<float, 2>& of) {
        return {of.data, {1, 1, of.extents[0], of.extents[1]}, {0, 0, of.strides[0], 1}};
    }

    [[nodiscard]] float* of_rank(int rank) const { return sums_.data() + rank * size_; }
    [[nodiscard]] std::span<std::byte> bytes(int rank) const {
        return std::as_writable_bytes(std::span(of_rank(rank), static_cast<std::size_t>(size_)));
    }
    void add(const float* more, float* to) const {
        constexpr index_t columns = 32; // those of a warp; the rest is a row of its own
        const index_t rows = size_ / columns;
        cuda::add_rows(work_, view(more, 1, 1, rows, columns), view(to, 1, 1, rows, columns));
        const index_t done = rows * columns;
        cuda::add_rows(work_, view(more + done, 1, 1, 1, size_ - done), view(to + done, 1, 1, 1, size_ - done));
    }

    const cuda::work_stream& work_;
    const attention_call_gradients<T>& gradients_;
    int rank_;
    int ranks_;
    index_t size_;                // of all gradients of the sink
    device_elements<float> sums_; // [ranks][size]
    device_elements<float> part_; // [size]
};

template <class Parallel, class T, mask_policy Mask, sink_policy Sink>
void backward_on_devices(const Parallel& exec, const attention_call<T>& call,
                         const attention_call_gradients<T>& gradients, const Mask& mask, const Sink& sink) {
    using shards_type = device_shards<Parallel, T, Mask>;
    const shards_type shards(backward_function, wanted_bits(gradients), exec, call, mask);
    const cuda::work_stream& work = shards.work();
    const device_gradient_total<T> query(
        work, gradients.query, {call.batch, call.query_length, call.heads, call.head_dim}, !gradients.query.empty());
    const std::array<index_t, 4> of_keys{call.batch, call.key_length, call.kv_heads, call.head_dim};
    const device_gradient_total<T> key(work, gradients.key, of_keys, shards.plan().wants(wants_keys));
    const device_gradient_total<T> value(work, gradients.value, of_keys, shards.plan().wants(wants_values));
    const device_sink_totals<T> of_sink(work, gradients, shards.plan().rank(), shards.plan().size());
    typename shards_type::plan_type::part_lengths lengths;

    const device_elements<float> query_part(work, query.wanted() ? static_cast<std::size_t>(call.query.size()) : 0);
    const auto run = [&](const placed_range& queries, const attention_call<T>& part,
                         attention_call_gradients<T, float> sums, const auto& sink_of_part, bool with_queries) {
        sums.output = rows_of(gradients.output, queries.at, queries.size());
        if (with_queries) {
            sums.query = query.part(query_part.data(), queries.size());
        }
        constexpr bool deterministic = true;
        cuda::run_backward<deterministic>(work, part, sums, mask_from_key(mask, part.key_offset), sink_of_part,
                                          typename Parallel::kernels{});
        if (with_queries) {
            query.add(queries.at, sums.query);
        }
    };
    if constexpr (Sink::present) {
        for (const placed_range& queries : shards.plan().queries()) {
            attention_call_gradients<T, float> sums{};
            of_sink.take_part(sums);
            run(queries, shards.plan().sink_call(queries, lengths), sums, sink, Sink::has_key);
            if (of_sink.wanted()) {
                of_sink.add_part();
            }
        }
    }

    const index_t each = key.part_size(1) + value.part_size(1); // floats of a position
    const auto keys_in = [&](auto* sums, const placed_range& part) { return key.part(sums, part.size()); };
    const auto values_in = [&](auto* sums, const placed_range& part) {
        return value.part(sums + key.part_size(part.size()), part.size());
    };
    const auto add_to_own = [&](const placed_range& part, const float* sums) {
        key.add(part.at, keys_in(sums, part));
        value.add(part.at, values_in(sums, part));
    };
    device_returned_sums<shards_type> returned(shards, each, add_to_own);
    device_part_sums of_shard;
    shards.for_each_part(
        [&](int /*step*/, const key_shard<T>& shard) { of_shard = device_part_sums(work, shard.parts, each); },
        [&](int /*step*/, const key_shard<T>& shard, std::size_t i, const placed_range& queries) {
            const placed_range& part = shard.parts[i];
            const device_elements<float> memory(work, static_cast<std::size_t>(part.size() * each));
            attention_call_gradients<T, float> sums{};
            sums.key = keys_in(memory.data(), part);
            sums.value = values_in(memory.data(), part);
            run(queries, shards.plan().part_call(queries, shard, i, lengths), sums, no_sink{}, true);
            if (key.wanted()) {
                cuda::add_rows(work, sums.key, keys_in(of_shard.of(i), part));
            }
            if (value.wanted()) {
                cuda::add_rows(work, sums.value, values_in(of_shard.of(i), part));
            }
        },
        [&](int step, const key_shard<T>& shard) { returned.give(step, shard.parts, std::move(of_shard)); });
    returned.finish();
    query.write();
    key.write();
    value.write();
    if (of_sink.wanted()) {
        of_sink.write(shards);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
