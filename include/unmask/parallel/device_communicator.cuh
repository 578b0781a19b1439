// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

#include <unmask/config.hpp>
#include <unmask/tensor/device_memory.cuh>

UNMASK_NAMESPACE_BEGIN

/// What moves messages between the memories of GPUs, in the order of streams: nccl_communicator is one. Another one has
/// three members and is cheap to copy:
///
///   1. `rank()`, in [0, size()), and `size()`, at least 1: the same for as long as it lives.
///   2. `exchange(stream, to, sent, from, received)` enqueues that all bytes of `sent` go to rank `to`, and that
///      received.size() bytes come from rank `from`, once the stream has done what was enqueued so far; what is
///      enqueued on it later does not wait for the messages. An empty span stands for no message; its rank does not
///      matter. Messages from one rank to another arrive in the order of the calls. It returns a request, which can be
///      moved; until its `wait()`, nothing that is enqueued may write to `sent`, or touch `received`.
///   3. `wait()` of the request, called at most once, makes the stream wait until `received` is there and `sent` may be
///      written again. The host does not wait. A request that is destroyed without it does the same.
///
/// All throw communication_error if a rank is known to have failed. All ranks make the same calls in the same order,
/// each from one thread at a time.
template <class C>
concept device_communicator =
    std::copy_constructible<C> &&
    requires(const C& c, cuda_stream stream, int rank, std::span<const std::byte> sent, std::span<std::byte> received) {
        { c.rank() } -> std::convertible_to<int>;
        { c.size() } -> std::convertible_to<int>;
        c.exchange(stream, rank, sent, rank, received).wait();
    };

UNMASK_NAMESPACE_END
