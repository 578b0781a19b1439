// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/parallel/communication_error.hpp>

UNMASK_NAMESPACE_BEGIN

/// One of several processes, or threads, that work together: rank() of size(). mpi_communicator is one of processes,
/// thread_communicator one of threads; another one has three members and is cheap to copy:
///
///   1. `rank()`, in [0, size()), and `size()`, at least 1: the same for as long as it lives.
///   2. `exchange(to, sent, from, received)` starts to send all bytes of `sent` to rank `to`, and to receive
///      received.size() bytes from rank `from`, and returns at once. An empty span stands for no message; its rank
///      does not matter. Messages from one rank to another arrive in the order of the calls. It returns a request,
///      which can be moved; until its `wait()` returns, nothing may write to `sent`, and nothing may touch `received`.
///   3. `wait()` of the request, called at most once, blocks until `received` is there and `sent` may be written again.
///      A request that is destroyed without it gives its messages up, which is for exceptions alone.
///
/// Two more are optional: `all_gather(sent, received)`, of bytes, if it knows a faster way than exchange; and
/// `progress(most)`, if messages move only while they are asked to: it is called now and then while this rank computes,
/// does what they wait for, for at most std::chrono::nanoseconds `most`, and returns at once if none is under way.
///
/// All throw communication_error if a rank that they need has failed or ended, or sends another number of bytes than
/// are received. All ranks make the same calls in the same order, each from one thread at a time.
template <class C>
concept communicator = std::copy_constructible<C> &&
                       requires(const C& c, int rank, std::span<const std::byte> sent, std::span<std::byte> received) {
                           { c.rank() } -> std::convertible_to<int>;
                           { c.size() } -> std::convertible_to<int>;
                           c.exchange(rank, sent, rank, received).wait();
                       };

namespace detail {

// exchange, of elements.
template <communicator C, class T>
auto exchange(const C& c, int to, std::span<const T> sent, int from, std::span<T> received) {
    static_assert(std::is_trivially_copyable_v<T>);
    return c.exchange(to, std::as_bytes(sent), from, std::as_writable_bytes(received));
}

// The rank `distance` after this one, in a ring.
template <communicator C>
int rank_at(const C& c, int distance) {
    return ((c.rank() + distance) % c.size() + c.size()) % c.size();
}

// Gives every other rank what sent(rank) is, and takes received(rank) from it.
template <class T, communicator C, class Sent, class Received>
void exchange_with_all(const C& c, const Sent& sent, const Received& received) {
    std::vector<decltype(exchange<C, T>(c, 0, {}, 0, {}))> requests;
    for (int distance = 1; distance < c.size(); ++distance) {
        const int to = rank_at(c, distance);
        const int from = rank_at(c, -distance);
        requests.push_back(exchange<C, T>(c, to, sent(to), from, received(from)));
    }
    for (auto& request : requests) {
        request.wait();
    }
}

// The values of all ranks, combined one after another in the order of ranks. Each rank does that for a part of them.
template <communicator C, class T, class Combine>
void all_reduce(const C& c, std::span<T> values, const Combine& combine) {
    const auto part_of = [&](int rank) {
        const auto cut = [&](int at) {
            return values.size() * static_cast<std::size_t>(at) / static_cast<std::size_t>(c.size());
        };
        return values.subspan(cut(rank), cut(rank + 1) - cut(rank));
    };
    const std::span<T> mine = part_of(c.rank());
    std::vector<T> of_ranks(mine.size() * static_cast<std::size_t>(c.size()));
    const auto of_rank = [&](int rank) {
        return std::span(of_ranks).subspan(mine.size() * static_cast<std::size_t>(rank), mine.size());
    };
    exchange_with_all<T>(c, part_of, of_rank);
    std::copy(mine.begin(), mine.end(), of_rank(c.rank()).begin());
    std::copy_n(of_ranks.begin(), mine.size(), mine.begin());
    for (int rank = 1; rank < c.size(); ++rank) {
        const std::span<T> next = of_rank(rank);
        std::transform(mine.begin(), mine.end(), next.begin(), mine.begin(), combine);
    }
    exchange_with_all<T>(c, [&](int) { return mine; }, part_of);
}

} // namespace detail

/// Gives every rank the elements of all: all is [size(), mine.size()], in the order of ranks, and mine.size() is the
/// same on all of them. T is trivially copyable. Blocks until they are there. Throws as exchange and wait do, and
/// invalid_argument if `all` has another size. Sends mine.size() elements to every rank.
template <communicator C, class T>
void all_gather(const C& c, std::span<const T> mine, std::span<T> all) {
    const auto of_rank = [&](int rank) {
        return all.subspan(mine.size() * static_cast<std::size_t>(rank), mine.size());
    };
    if (all.size() != mine.size() * static_cast<std::size_t>(c.size())) {
        throw invalid_argument("all_gather", "all.size()", std::to_string(all.size()),
                               "mine.size() · size() (" + std::to_string(mine.size()) + " · " +
                                   std::to_string(c.size()) + ")");
    }
    std::copy(mine.begin(), mine.end(), of_rank(c.rank()).begin());
    if constexpr (requires { c.all_gather(std::as_bytes(mine), std::as_writable_bytes(all)); }) {
        c.all_gather(std::as_bytes(mine), std::as_writable_bytes(all)); // a way of its own
    } else {
        detail::exchange_with_all<T>(c, [&](int) { return mine; }, of_rank);
    }
}

/// Gives every rank the sums over all ranks, element by element: v₀ + v₁ + v₂ + …, in the order of ranks, so the same
/// ranks with the same values get the same bits, whatever connects them. values.size() is the same on all ranks, and T
/// is arithmetic. Blocks until they are there. Throws as exchange and wait do. Each rank sends, and receives,
/// 2 · values.size() elements, and needs memory for values.size() more.
template <communicator C, class T>
void all_reduce_sum(const C& c, std::span<T> values) {
    detail::all_reduce(c, values, [](T a, T b) { return static_cast<T>(a + b); });
}

/// The largest value of all ranks, element by element, like all_reduce_sum; NaN if one of them is NaN.
template <communicator C, class T>
void all_reduce_max(const C& c, std::span<T> values) {
    detail::all_reduce(c, values, [](T a, T b) { return b > a || b != b ? b : a; });
}

/// Gives every rank the values of one, `root`. values.size() is the same on all ranks. Blocks until they are there.
/// Throws as exchange and wait do.
template <communicator C, class T>
void broadcast(const C& c, std::span<T> values, int root) {
    const bool sends = c.rank() == root;
    detail::exchange_with_all<T>(
        c, [&](int) { return sends ? values : std::span<T>{}; },
        [&](int rank) { return rank == root && !sends ? values : std::span<T>{}; });
}

UNMASK_NAMESPACE_END
