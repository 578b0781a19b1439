// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

// Whether elements share memory. Decided exactly: parts of one buffer may interleave in any way.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The sums of one multiple x · step, 0 ≤ x < count, of each of several steps: the distances inside strided views.
class step_sums {
public:
    void add(std::uint64_t step, std::uint64_t count) {
        if (step > 0 && count > 1) {
            terms_[size_++] = {step, count};
        }
    }

    // Whether one of the sums is `target`. Steps that contain each other, as those of a tensor do, take a few
    // comparisons. For others it is a search, which is given up after 2^16 steps: then the answer is yes.
    [[nodiscard]] bool reach(std::uint64_t target) {
        std::sort(terms_.begin(), terms_.begin() + size_, [](const term& a, const term& b) { return a.step > b.step; });
        join_neighbours();
        std::uint64_t farthest = 0;
        for (std::size_t i = size_; i-- > 0;) {
            farthest += terms_[i].step * (terms_[i].count - 1);
            terms_[i].farthest = farthest;
        }
        tries_ = 1 << 16;
        return search(0, target);
    }

private:
    struct term {
        std::uint64_t step = 0;
        std::uint64_t count = 0;
        std::uint64_t farthest = 0; // sum of this term and the smaller ones
    };

    // Makes one term of two whose multiples follow each other without a gap.
    void join_neighbours() {
        for (std::size_t i = size_; i-- > 1;) {
            term& larger = terms_[i - 1];
            const term& smaller = terms_[i];
            const std::uint64_t ratio = larger.step / smaller.step;
            if (larger.step % smaller.step == 0 && ratio <= smaller.count) {
                larger = {smaller.step, ratio * (larger.count - 1) + smaller.count};
                std::copy(terms_.begin() + i + 1, terms_.begin() + size_, terms_.begin() + i);
                --size_;
            }
        }
    }

    [[nodiscard]] bool search(std::size_t i, std::uint64_t target) {
        if (i == size_) {
            return target == 0;
        }
        const term& here = terms_[i];
        if (target > here.farthest) {
            return false;
        }
        const std::uint64_t others = i + 1 < size_ ? terms_[i + 1].farthest : 0;
        const std::uint64_t least = target > others ? (target - others + here.step - 1) / here.step : 0;
        const std::uint64_t most = std::min(here.count - 1, target / here.step);
        for (std::uint64_t x = least; x <= most; ++x) {
            if (tries_-- <= 0 || search(i + 1, target - x * here.step)) {
                return true;
            }
        }
        return false;
    }

    std::array<term, 10> terms_{}; // of two views of four dimensions, and of their elements' bytes
    std::size_t size_ = 0;
    int tries_ = 0;
};

// Number of bytes from a view's first element to the end of its last; −1 if that is 2^62 or more. No stride is
// negative.
template <class T, std::size_t Rank>
index_t bytes_spanned(const tensor_view<T, Rank>& view) {
    constexpr index_t most = index_t{1} << 62;
    index_t bytes = sizeof(T);
    for (std::size_t i = 0; i < Rank; ++i) {
        index_t more = 0;
        if (__builtin_mul_overflow(view.extents[i] - 1, view.strides[i], &more) ||
            __builtin_mul_overflow(more, index_t{sizeof(T)}, &more) || more >= most - bytes) {
            return -1;
        }
        bytes += more;
    }
    return bytes;
}

// Whether a view has two elements at one place.
template <class T, std::size_t Rank>
bool overlaps_itself(const tensor_view<T, Rank>& view) {
    // Two elements are a difference d of indices apart, |dᵢ| < extentᵢ, with Σ dᵢ · strideᵢ = 0. The first dᵢ that is
    // not 0 is negative; with extent − 1 added to the later ones, nothing is.
    for (std::size_t first = 0; first < Rank && view.size() > 0; ++first) {
        if (view.extents[first] == 1) {
            continue;
        }
        step_sums sums;
        std::uint64_t target = 0;
        for (std::size_t i = first; i < Rank; ++i) {
            const auto stride = static_cast<std::uint64_t>(view.strides[i]);
            const auto extent = static_cast<std::uint64_t>(view.extents[i]);
            sums.add(stride, i == first ? extent - 1 : 2 * extent - 1);
            target += stride * (extent - 1);
        }
        if (sums.reach(target)) {
            return true;
        }
    }
    return false;
}

// Whether two views have a byte in common. An empty view has none.
template <class A, std::size_t RankA, class B, std::size_t RankB>
bool overlap(const tensor_view<A, RankA>& a, const tensor_view<B, RankB>& b) {
    if (a.data == nullptr || a.size() == 0 || b.data == nullptr || b.size() == 0) {
        return false;
    }
    const auto begin = [](const auto& view) { return reinterpret_cast<std::uintptr_t>(view.data); };
    const auto end = [&](const auto& view) { return begin(view) + static_cast<std::uintptr_t>(bytes_spanned(view)); };
    if (begin(a) >= end(b) || begin(b) >= end(a)) {
        return false;
    }
    // A byte of `a` is a sum of steps from its beginning, and a byte of `b` is one back from its end.
    step_sums sums;
    const auto add = [&]<class T, std::size_t Rank>(const tensor_view<T, Rank>& view) {
        for (std::size_t i = 0; i < Rank; ++i) {
            sums.add(static_cast<std::uint64_t>(view.strides[i]) * sizeof(T),
                     static_cast<std::uint64_t>(view.extents[i]));
        }
        sums.add(1, sizeof(T));
    };
    add(a);
    add(b);
    return sums.reach(end(b) - 1 - begin(a));
}

} // namespace detail
UNMASK_NAMESPACE_END
