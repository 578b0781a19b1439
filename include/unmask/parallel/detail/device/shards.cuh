// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/tensor_rows.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// A sharded_call whose tensors are on GPUs: the host plans, and all data moves in the order of streams.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Device memory of some elements, until the stream has done what is enqueued before this ends.
template <class T>
class device_elements {
public:
    device_elements() = default;
    device_elements(const cuda::work_stream& work, std::size_t count)
        : memory_(std::make_unique<cuda::device_scratch>(work, count * sizeof(T))), count_(count) {}

    [[nodiscard]] T* data() const { return memory_ ? static_cast<T*>(memory_->data()) : nullptr; }
    [[nodiscard]] std::size_t size() const { return count_; }
    [[nodiscard]] std::span<std::byte> bytes() const { return std::as_writable_bytes(std::span(data(), count_)); }

private:
    std::unique_ptr<cuda::device_scratch> memory_{};
    std::size_t count_ = 0;
};

template <class Parallel, class T, mask_policy Mask>
class device_shards {
public:
    using plan_type = sharded_call<Parallel, T, Mask>;
    using gpus_type = decltype(Parallel::gpus);
    using request = decltype(std::declval<const gpus_type&>().exchange(cuda_stream{}, 0, {}, 0, {}));

    // Throws on every rank if they don't agree.
    device_shards(attention_function function, index_t wanted, const Parallel& exec, const attention_call<T>& call,
                  const Mask& mask)
        : exec_(exec), call_(call), plan_(function, wanted, exec, call, mask), work_(cuda::work_on(exec.executor)) {}

    [[nodiscard]] const plan_type& plan() const { return plan_; }
    [[nodiscard]] const cuda::work_stream& work() const { return work_; }

    // Sends to the rank `to` after this one, and receives from the rank `from` after this one.
    [[nodiscard]] request exchange(int to, std::span<const std::byte> sent, int from,
                                   std::span<std::byte> received) const {
        return exec_.gpus.exchange(work_.stream, rank_at(exec_.ranks, to), sent, rank_at(exec_.ranks, from), received);
    }

    // Calls compute(step, shard, i, queries) for each part i of the shards, and each range of this rank's queries that
    // sees some of it: for this rank's keys, step 0, and then for those that it needs of the rank `step` before it. One
    // order for one number of ranks. before(step, shard) and after(step, shard) are called around those of a shard. The
    // next keys are under way meanwhile.
    template <class Before, class Compute, class After>
    void for_each_part(const Before& before, const Compute& compute, const After& after) const {
        const auto visit = [&](int step, const key_shard<T>& shard) {
            before(step, shard);
            plan_.for_each_part_seen(
                shard, [&](std::size_t queries, std::size_t i) { compute(step, shard, i, plan_.queries()[queries]); });
            after(step, shard);
        };
        std::optional<transfer> next(start(1));
        visit(0, plan_.own());
        for (int step = 1; step < plan_.size(); ++step) {
            next->messages.wait();
            next->sent = {};
            const device_elements<T> memory = std::move(next->received); // until it has been visited
            const key_shard<T> shard = std::move(next->arriving);
            next.emplace(start(step + 1));
            visit(step, shard);
        }
    }

private:
    struct transfer {
        device_elements<T> sent;
        device_elements<T> received;
        key_shard<T> arriving;
        request messages; // ends before the memory that it reads and writes
    };

    // Sends what the rank `step` after this one needs, and asks for what this one needs of the rank `step` before it.
    [[nodiscard]] transfer start(int step) const {
        device_elements<T> sent;
        device_elements<T> received;
        key_shard<T> arriving;
        if (step < plan_.size()) {
            const std::vector<placed_range> leaving = plan_.needed(rank_at(exec_.ranks, step), plan_.rank());
            sent = device_elements<T>(work_, plan_.elements(leaving));
            key_shard<T> copies{.parts = leaving};
            plan_.place_in(copies, sent.data());
            for (std::size_t i = 0; i < leaving.size(); ++i) {
                copy_part(call_.key, leaving[i], copies.keys[i]);
                copy_part(call_.value, leaving[i], copies.values[i]);
            }
            arriving.owner = rank_at(exec_.ranks, -step);
            arriving.parts = plan_.needed(plan_.rank(), arriving.owner);
            received = device_elements<T>(work_, plan_.elements(arriving.parts));
            plan_.place_in(arriving, received.data());
        }
        request messages = exchange(step, sent.bytes(), -step, received.bytes());
        return {std::move(sent), std::move(received), std::move(arriving), std::move(messages)};
    }

    void copy_part(const tensor_view<const T, 4>& from, const placed_range& part, tensor_view<const T, 4> copy) const {
        if (!copy.empty()) {
            const tensor_view<T, 4> to{const_cast<T*>(copy.data), copy.extents, copy.strides};
            cuda::copy_rows(work_, rows_of(from, part.at, part.size()), to);
        }
    }

    const Parallel& exec_;
    const attention_call<T>& call_;
    plan_type plan_;
    cuda::work_stream work_;
};

} // namespace detail
UNMASK_NAMESPACE_END
