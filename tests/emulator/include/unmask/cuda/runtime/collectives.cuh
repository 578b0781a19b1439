// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>

// unmask/cuda/runtime/collectives.cuh on the host: the last thread to come does it for all.

UNMASK_NAMESPACE_BEGIN
namespace detail::device {

template <int Threads, class T, class Combine>
UNMASK_DEVICE T combined(T value, const Combine& combine, call_site where = call_site::here()) {
    ::emulator::meet_in_block("combined", Threads, &value, where, [&combine](void* const* threads) {
        const auto at = [&](int i) -> T& { return *static_cast<T*>(threads[i]); };
        T all = at(0);
        for (int i = 1; i < Threads; ++i) {
            all = combine(all, at(i));
        }
        for (int i = 0; i < Threads; ++i) {
            at(i) = all;
        }
    });
    return value;
}

template <int Threads>
UNMASK_DEVICE int sum_before(int value, int& total, call_site where = call_site::here()) {
    std::pair<int, int> mine(value, 0); // and then: before, total
    ::emulator::meet_in_block("sum_before", Threads, &mine, where, [](void* const* threads) {
        const auto at = [&](int i) -> std::pair<int, int>& { return *static_cast<std::pair<int, int>*>(threads[i]); };
        int sum = 0;
        for (int i = 0; i < Threads; ++i) {
            sum += std::exchange(at(i).first, sum);
        }
        for (int i = 0; i < Threads; ++i) {
            at(i).second = sum;
        }
    });
    total = mine.second;
    return mine.first;
}

// As many as CUB wants to exchange keys: one of 32 words is left free.
template <int Threads, int Items>
constexpr std::size_t sort_bytes() {
    return sizeof(std::uint64_t) * Threads * Items / 32 * 33;
}

template <int Threads, int Items>
UNMASK_DEVICE void sort(std::uint64_t (&keys)[Items], int (&values)[Items], std::byte* /*memory*/,
                        call_site where = call_site::here()) {
    std::pair<std::uint64_t*, int*> mine(keys, values);
    ::emulator::meet_in_block("sort", Threads, &mine, where, [](void* const* threads) {
        const auto at = [&](int i) { return *static_cast<std::pair<std::uint64_t*, int*>*>(threads[i]); };
        std::vector<std::pair<std::uint64_t, int>> all;
        for (int i = 0; i < Threads * Items; ++i) {
            all.emplace_back(at(i / Items).first[i % Items], at(i / Items).second[i % Items]);
        }
        std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        for (int i = 0; i < Threads * Items; ++i) {
            at(i / Items).first[i % Items] = all[static_cast<std::size_t>(i)].first;
            at(i / Items).second[i % Items] = all[static_cast<std::size_t>(i)].second;
        }
    });
}

} // namespace detail::device
UNMASK_NAMESPACE_END
