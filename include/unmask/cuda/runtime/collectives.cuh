// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>

// What all threads of a block find out together, by CUB. Each is called by all of its `Threads` threads, which see what
// the others wrote before.

UNMASK_NAMESPACE_BEGIN
namespace detail::device {

/// All threads' values combined, in any order; every thread gets the result.
template <int Threads, class T, class Combine>
UNMASK_DEVICE T combined(T value, const Combine& combine) {
    using reduce = cub::BlockReduce<T, Threads>;
    __shared__ typename reduce::TempStorage storage;
    __shared__ T result;
    __syncthreads();
    const T all = reduce(storage).Reduce(value, combine);
    if (thread() == 0) {
        result = all;
    }
    __syncthreads();
    return result;
}

/// The sum of the values of all threads before this one; `total` gets the sum of all.
template <int Threads>
UNMASK_DEVICE int sum_before(int value, int& total) {
    using scan = cub::BlockScan<int, Threads>;
    __shared__ typename scan::TempStorage storage;
    __syncthreads();
    int before;
    scan(storage).ExclusiveSum(value, before, total);
    return before;
}

template <int Threads, int Items>
using block_sort = cub::BlockRadixSort<std::uint64_t, Threads, Items, int>;

/// How much shared memory sort() needs.
template <int Threads, int Items>
constexpr std::size_t sort_bytes() {
    return sizeof(typename block_sort<Threads, Items>::TempStorage);
}

/// Sorts pairs by rising key; equal ones stay in order. Thread t has those from t · Items on. `memory` is shared, and
/// free for use again after a barrier.
template <int Threads, int Items>
UNMASK_DEVICE void sort(std::uint64_t (&keys)[Items], int (&values)[Items], std::byte* memory) {
    using storage = typename block_sort<Threads, Items>::TempStorage;
    __syncthreads();
    block_sort<Threads, Items>(*reinterpret_cast<storage*>(memory)).Sort(keys, values);
}

} // namespace detail::device
UNMASK_NAMESPACE_END
