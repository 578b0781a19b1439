// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/device/block_loops.cuh>
#include <unmask/sampler/detail/step/candidates.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The candidate_view of a block of threads, whose rankings other kernels have made.
class block_candidates : public looped_candidates<block_loops> {
public:
    UNMASK_DEVICE block_candidates(candidate* first, int count, const int* orders, index_t order_stride)
        : looped_candidates(first, count), orders_(orders), order_stride_(order_stride) {}

    [[nodiscard]] UNMASK_DEVICE candidate& ranked(int n, int rank) const {
        return (*this)[orders_[n * order_stride_ + rank]];
    }
    UNMASK_DEVICE void choose_first(int n, index_t number) const {
        for_each([&](int rank) { ranked(n, rank).chosen = rank < number; });
    }
    // The rankings from the n-th on, for a selector inside another.
    [[nodiscard]] UNMASK_DEVICE block_candidates from_ranking(int n) const {
        block_candidates later = *this;
        later.orders_ += n * order_stride_;
        return later;
    }

private:
    const int* orders_;
    index_t order_stride_;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
