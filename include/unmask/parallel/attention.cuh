// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <string>
#include <utility>

#include <unmask/attention/attention.hpp>
#include <unmask/attention/attention_backend.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/device/backward.cuh>
#include <unmask/parallel/detail/device/forward.cuh>
#include <unmask/parallel/detail/device/received.cuh>
#include <unmask/parallel/device_communicator.cuh>
#include <unmask/parallel/sharding.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// An executor on which attention runs over the GPUs of several ranks, each with some positions of every sequence: what
/// context_parallel is to host executors.
///
///     const nccl_communicator gpus(ranks); // an mpi_communicator, one GPU for each
///     attention_forward(cuda_context_parallel(ranks, gpus, cuda_executor{stream}, positions), tensors, mask, sink);
///
/// Shapes, options, positions, which keys go where and the order of all sums are those of context_parallel. Tensors are
/// in device memory. The hosts compare their calls by `ranks` before anything is enqueued, and throw as there; so a
/// call waits for the hosts of other ranks, but for no GPU. `gpus` moves the keys that a rank needs next while it
/// computes with the last ones. Masks are asked by the host as well: what a mask points to is memory that both can
/// read, such as that of cudaMallocManaged or cudaHostAlloc.
///
/// Each part of the keys leaves float states of rows, or float gradients, which are added up in one order and rounded
/// once; products are those of the executor's kernels, with their rounding. Always in that order: a `nondeterministic`
/// executor makes no difference here.
///
/// Memory, from the executor's, is O(positions of a rank): copies of the keys and values that come from two ranks and
/// go to two; in forward, 4 · (head_dim + 2) bytes for each row, and once more for those at work (for each part that
/// their keys are split into); in backward, 8 bytes for each element of gradients, and 12 more for those of keys and
/// values.
/// Source: see context_parallel.
template <communicator Communicator, device_communicator Devices, std::derived_from<cuda_executor> Executor>
struct cuda_context_parallel {
    Communicator ranks;      ///< the hosts
    Devices gpus;            ///< their GPUs, the same ranks
    Executor executor;       ///< where this rank computes
    const sharding* queries; ///< the positions of queries; must outlive the calls
    const sharding* keys;    ///< the positions of keys and values; must outlive the calls

    /// Queries and keys of the same positions, as in self-attention. Throws invalid_argument if `gpus` has other ranks.
    cuda_context_parallel(Communicator hosts, Devices devices, Executor on, const sharding& positions)
        : cuda_context_parallel(std::move(hosts), std::move(devices), std::move(on), positions, positions) {}
    /// Queries and keys of different positions, such as the last ones of a cache.
    cuda_context_parallel(Communicator hosts, Devices devices, Executor on, const sharding& query_positions,
                          const sharding& key_positions)
        : ranks(std::move(hosts)), gpus(std::move(devices)), executor(std::move(on)), queries(&query_positions),
          keys(&key_positions) {
        if (gpus.rank() != ranks.rank() || gpus.size() != ranks.size()) {
            throw invalid_argument("cuda_context_parallel", "gpus",
                                   "rank " + std::to_string(gpus.rank()) + " of " + std::to_string(gpus.size()),
                                   "that of ranks (" + std::to_string(ranks.rank()) + " of " +
                                       std::to_string(ranks.size()) + ")");
        }
    }
    cuda_context_parallel(Communicator, Devices, Executor, sharding&&) = delete; // would not outlive the calls

    /// The kernels that attention compiles: those of the executor.
    using kernels = typename Executor::kernels;
};

/// Attention over GPUs.
template <communicator Communicator, device_communicator Devices, class Executor>
struct attention_backend<cuda_context_parallel<Communicator, Devices, Executor>> {
    /// What runs the calls.
    using parallel = cuda_context_parallel<Communicator, Devices, Executor>;

    /// Enqueues what writes this rank's rows of call.output, and of call.log_sum_exp unless it is empty.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void forward(const parallel& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
        detail::forward_on_devices(exec, call, mask, sink);
    }
    /// Enqueues what writes the gradients of this rank's queries, keys and values, and those of the sink over all
    /// ranks.
    template <class T, mask_policy Mask, sink_policy Sink>
    static void backward(const parallel& exec, const attention_call<T>& call,
                         const attention_call_gradients<T>& gradients, const Mask& mask, const Sink& sink) {
        detail::backward_on_devices(exec, call, gradients, mask, sink);
    }
    /// Enqueues what writes what this rank's keys receive from the queries of all.
    template <class T, mask_policy Mask>
    static void received(const parallel& exec, const attention_call<T>& call, const tensor_view<float, 3>& received,
                         const Mask& mask) {
        detail::received_on_devices(exec, call, received, mask);
    }
};

UNMASK_NAMESPACE_END
