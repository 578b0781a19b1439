// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/error.cuh>
#include <unmask/executor/executor.hpp>
#include <unmask/tensor/device_memory.cuh>

UNMASK_NAMESPACE_BEGIN

/// The head dimensions that kernels for tensor cores are compiled for, in rising order. Others are rounded up to the
/// next.
template <int... HeadDims>
struct head_dims {};

/// Runs on the current CUDA device. Calls enqueue their work on `stream` and return without waiting for it; nothing is
/// read from or written to the tensors before the stream gets there.
///
/// Every call can be captured in a CUDA graph. (CUDA loads a kernel at its first call: make that one before you
/// capture.) Calls that need scratch memory, such as attention with split keys, take it as a node of the graph if
/// `memory` is null. A caching_memory_resource keeps such nodes out, which child graphs and bodies of conditional nodes
/// do not take; another resource must keep what it gave, or the call throws invalid_argument.
///
/// Tensors, and what masks and sinks point to, lie in memory that the device can read. Throws cuda_error, with the
/// call's name, if CUDA reports one.
struct cuda_executor {
    /// The kernels that attention compiles: one set for each head dimension.
    using kernels = head_dims<32, 64, 96, 128, 192, 256>;
    /// Whether calls of the same shape give the same bits.
    static constexpr bool deterministic = true;

    cuda_stream stream = nullptr; ///< the stream that work is enqueued on
    /// Source of scratch memory, in the order of the stream; null stands for cudaMallocAsync and cudaFreeAsync. Their
    /// default pool gives all memory back to the system whenever a stream is synchronised, unless its
    /// cudaMemPoolAttrReleaseThreshold is raised; a caching_memory_resource keeps it.
    device_memory_resource* memory = nullptr;
};

/// A cuda_executor for programs that know their head dimensions: it compiles kernels for these alone, and so in a
/// fraction of the time. Larger head dimensions run without tensor cores.
template <int... HeadDims>
struct cuda_executor_for : cuda_executor {
    /// The kernels that attention compiles.
    using kernels = head_dims<HeadDims...>;

    /// An executor on a stream, with scratch memory from a resource.
    explicit cuda_executor_for(cuda_stream on = nullptr, device_memory_resource* from = nullptr)
        : cuda_executor{on, from} {}
};

/// An executor like another, whose attention_backward may add up the gradients of queries in whatever order blocks
/// come.
/// On tensor cores one kernel computes all gradients then, with five matrix products for each tile instead of seven (of
/// more than 128 columns, six instead of eight): bench/README.md says what that saves. The last bits of the gradients
/// of queries differ from run to run; all others have the bits that they have without.
///
/// It is taken if gradients of queries and keys are wanted, and if a multiprocessor holds as many blocks as without:
/// with 100 KB of shared memory (8.6, 8.9, 12.0) it does not for head dimensions of 33 to 128. Memory: 4 bytes more per
/// element of the gradients of queries, rounded up to 32 queries and to the kernel's head dimension.
template <std::derived_from<cuda_executor> Executor = cuda_executor>
struct nondeterministic : Executor {
    /// Whether calls of the same shape give the same bits.
    static constexpr bool deterministic = false;

    nondeterministic() = default;
    /// With the stream and the scratch memory of another.
    explicit nondeterministic(const Executor& like) : Executor(like) {}
};

namespace detail::cuda {

inline work_stream work_on(const cuda_executor& exec) {
    return {exec.stream, exec.memory};
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
