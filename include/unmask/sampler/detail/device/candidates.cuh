// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The candidate_view of a block of threads, which call its members together. They are marked for the host as well, or nvcc
// warns of rules that are written for both.
class block_candidates {
public:
    UNMASK_DEVICE block_candidates(candidate* first, int count, const int* orders, index_t order_stride)
        : first_(first), count_(count), orders_(orders), order_stride_(order_stride) {}

    [[nodiscard]] UNMASK_DEVICE int count() const { return count_; }
    [[nodiscard]] UNMASK_DEVICE candidate& operator[](int i) const { return first_[i]; }
    [[nodiscard]] UNMASK_DEVICE candidate& ranked(int n, int rank) const {
        return first_[orders_[n * order_stride_ + rank]];
    }
    UNMASK_DEVICE void choose_first(int n, index_t number) const {
        for_each([&](int rank) { ranked(n, rank).chosen = rank < number; });
    }

    template <class F>
    UNMASK_DEVICE void for_each(const F& f) const {
        for (int i = device::thread(); i < count_; i += step_threads) {
            f(i);
        }
        device::barrier();
    }

    template <class F>
    [[nodiscard]] UNMASK_DEVICE int count_if(const F& f) const {
        int mine = 0;
        for (int i = device::thread(); i < count_; i += step_threads) {
            mine += f(i) ? 1 : 0;
        }
        return device::combined<step_threads>(mine, sum{});
    }

    template <class F>
    [[nodiscard]] UNMASK_DEVICE int find_if(const F& f) const {
        int mine = count_;
        for (int i = device::thread(); i < count_; i += step_threads) {
            mine = mine == count_ && f(i) ? i : mine;
        }
        return device::combined<step_threads>(mine, minimum{});
    }

    template <class F>
    [[nodiscard]] UNMASK_DEVICE int highest(const F& f) const {
        place mine{0, -1};
        for (int i = device::thread(); i < count_; i += step_threads) {
            const double number = f(i);
            mine = mine.at < 0 || number > mine.number ? place{number, i} : mine;
        }
        return device::combined<step_threads>(mine, higher_place{}).at;
    }

    template <class F>
    UNMASK_DEVICE int walk(const F& f) const {
        int end = 0;
        if (device::thread() == 0) {
            while (end < count_ && f(end)) {
                ++end;
            }
        }
        return device::combined<step_threads>(end, sum{});
    }

    // The rankings from the n-th on, for a selector inside another.
    [[nodiscard]] UNMASK_DEVICE block_candidates from_ranking(int n) const {
        block_candidates later = *this;
        later.orders_ += n * order_stride_;
        return later;
    }

private:
    struct place {
        double number;
        int at;
    };
    struct higher_place {
        UNMASK_DEVICE place operator()(const place& a, const place& b) const {
            const bool second =
                a.at < 0 || (b.at >= 0 && (b.number > a.number || (b.number == a.number && b.at < a.at)));
            return second ? b : a;
        }
    };

    candidate* first_;
    int count_;
    const int* orders_;
    index_t order_stride_;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
