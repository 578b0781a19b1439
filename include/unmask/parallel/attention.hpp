// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <chrono>
#include <thread>
#include <utility>

#include <unmask/attention/attention.hpp>
#include <unmask/attention/attention_backend.hpp>
#include <unmask/config.hpp>
#include <unmask/executor/executor.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/backward.hpp>
#include <unmask/parallel/detail/forward.hpp>
#include <unmask/parallel/detail/received.hpp>
#include <unmask/parallel/sharding.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// An executor on which attention runs over several ranks, each with some positions of every sequence (context
/// parallelism): a canvas that is too long for one machine.
///
///     const sharding positions = balanced_sharding(mask, length, ranks.size());
///     attention_forward(context_parallel(ranks, cpu_executor{}, positions), tensors, mask, sink);
///
/// attention_forward, attention_backward and attention_received are called on all ranks at once, each with the tensors
/// of the positions that its rank holds, in ascending order: query_length is queries.positions(rank), key_length is
/// keys.positions(rank). Mask, sink and options are the same on all ranks, but for query_lengths and key_lengths, which
/// count a rank's own positions; offsets are 0. The mask sees absolute positions. Gradients of a sink are summed over
/// all ranks, and all get them. Anything else that runs on this executor runs on its rank alone.
///
/// Keys and values, or the part of them that the mask shows to a rank's queries, go from each rank straight to those
/// that need them, those of the next while the last are computed with; gradients and what keys receive come back. A
/// shard that the mask hides from a rank is neither sent to it nor computed. Rows are merged in float and rounded once.
/// A result differs from that of one process by rounding alone. For one sharding, the order of all sums is fixed: the
/// same bits, whatever the number of threads and the communicator.
///
/// A call blocks until all ranks that exchange anything with this one have come to the same point. Before any work it
/// throws communication_error on all ranks, which names the one that is different from rank 0, and in what: shapes,
/// types, options, shardings or mask (by what it shows of the shards). What attention throws for tensors that are wrong
/// in themselves is thrown on their rank alone: run_ranks and run_mpi then end the others.
///
/// Memory: copies of the keys and values that come from two ranks and go to two; floats for the rank's output, or for
/// the gradients of keys of two ranks; and floats for all that is written to 16-bit tensors: O(positions of a rank).
/// Sent, in forward: 2 · kv_heads · head_dim elements a key and rank that needs it; in backward these, and as many
/// floats back. Work besides: two all_gather of some numbers.
/// Source: Ring Attention (arXiv 2310.01889), with direct sends in place of the ring, of which masks leave little.
template <communicator Communicator, host_executor Executor>
struct context_parallel {
    Communicator ranks;      ///< this rank and the others
    Executor executor;       ///< where this rank computes
    const sharding* queries; ///< the positions of queries; must outlive the calls
    const sharding* keys;    ///< the positions of keys and values; must outlive the calls

    /// Queries and keys of the same positions, as in self-attention.
    context_parallel(Communicator communicator, Executor on, const sharding& positions)
        : context_parallel(std::move(communicator), std::move(on), positions, positions) {}
    /// Queries and keys of different positions, such as the last ones of a cache.
    context_parallel(Communicator communicator, Executor on, const sharding& query_positions,
                     const sharding& key_positions)
        : ranks(std::move(communicator)), executor(std::move(on)), queries(&query_positions), keys(&key_positions) {}
    context_parallel(Communicator, Executor, sharding&&) = delete; // would not outlive the calls

    /// Those of the rank's executor.
    [[nodiscard]] int workers() const { return executor.workers(); }
    /// On the rank's executor. If the communicator wants that, the calling thread moves messages behind each of its
    /// tasks, for a fiftieth of the time that the task took.
    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
        if constexpr (requires { ranks.progress(std::chrono::nanoseconds{}); }) {
            using clock = std::chrono::steady_clock;
            const auto caller = std::this_thread::get_id();
            executor.parallel_for(tasks, [&](index_t task, int worker) {
                const auto start = clock::now();
                body(task, worker);
                if (std::this_thread::get_id() == caller) {
                    ranks.progress((clock::now() - start) / 50);
                }
            });
        } else {
            executor.parallel_for(tasks, std::forward<Body>(body));
        }
    }
};

namespace detail {
template <class Communicator, class Executor>
inline constexpr bool has_whole_sequences<context_parallel<Communicator, Executor>> = false;
} // namespace detail

/// Attention over ranks.
template <communicator Communicator, host_executor Executor>
struct attention_backend<context_parallel<Communicator, Executor>> {
    /// Writes this rank's rows of call.output, and of call.log_sum_exp unless it is empty.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void forward(const context_parallel<Communicator, Executor>& exec, const attention_call<T>& call,
                        const Mask& mask, const Sink& sink) {
        detail::forward_on_ranks(exec, call, mask, sink);
    }
    /// Writes the gradients of this rank's queries, keys and values, and those of the sink over all ranks.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void backward(const context_parallel<Communicator, Executor>& exec, const attention_call<T>& call,
                         const attention_call_gradients<T>& gradients, const Mask& mask, const Sink& sink) {
        detail::backward_on_ranks(exec, call, gradients, mask, sink);
    }
    /// Writes what this rank's keys receive from the queries of all.
    template <class T, mask_policy Mask>
    static void received(const context_parallel<Communicator, Executor>& exec, const attention_call<T>& call,
                         const tensor_view<float, 3>& received, const Mask& mask) {
        detail::received_on_ranks(exec, call, received, mask);
    }
};

UNMASK_NAMESPACE_END
