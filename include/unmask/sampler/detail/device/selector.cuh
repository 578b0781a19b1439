// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/entropy_bound.hpp>
#include <unmask/sampler/selector/factor.hpp>
#include <unmask/sampler/selector/hierarchical.hpp>
#include <unmask/sampler/selector/kl_stable.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN

/// The candidates of one sequence, as a selector on the GPU sees them. All threads of a block call a selector together,
/// and its members too.
class device_candidates {
public:
    UNMASK_DEVICE device_candidates(candidate* first, int count, const int* orders, index_t order_stride)
        : first_(first), count_(count), orders_(orders), order_stride_(order_stride) {}

    [[nodiscard]] UNMASK_DEVICE int count() const { return count_; }
    /// A candidate, by rising position.
    [[nodiscard]] UNMASK_DEVICE candidate& operator[](int i) const { return first_[i]; }
    /// The candidate of a rank, from 0, of the selector's n-th ranking.
    [[nodiscard]] UNMASK_DEVICE candidate& ranked(int n, int rank) const {
        return first_[orders_[n * order_stride_ + rank]];
    }
    /// Calls f(i) once for every i of [0, count()), each by one thread; then all threads see what the calls did.
    template <class F>
    UNMASK_DEVICE void for_each(const F& f) const {
        for (int i = detail::device::thread(); i < count_; i += detail::cuda::step_threads) {
            f(i);
        }
        detail::device::barrier();
    }
    /// How many i of [0, count()) f(i) is true for.
    template <class F>
    [[nodiscard]] UNMASK_DEVICE int count_if(const F& f) const {
        int mine = 0;
        for (int i = detail::device::thread(); i < count_; i += detail::cuda::step_threads) {
            mine += f(i) ? 1 : 0;
        }
        return detail::device::combined<detail::cuda::step_threads>(mine, detail::cuda::sum{});
    }
    /// The first i of [0, count()) that f(i) is true for; count() if there is none.
    template <class F>
    [[nodiscard]] UNMASK_DEVICE int find_if(const F& f) const {
        int mine = count_;
        for (int i = detail::device::thread(); i < count_; i += detail::cuda::step_threads) {
            mine = mine == count_ && f(i) ? i : mine;
        }
        return detail::device::combined<detail::cuda::step_threads>(mine, detail::cuda::minimum{});
    }
    /// The rankings from the n-th on, for a selector inside another.
    [[nodiscard]] UNMASK_DEVICE device_candidates from_ranking(int n) const {
        return {first_, count_, orders_ + n * order_stride_, order_stride_};
    }

private:
    candidate* first_;
    int count_;
    const int* orders_;
    index_t order_stride_;
};

/// A selector on the GPU. Specialise it for one of your own, with
///
///   1. `static constexpr int rankings`: how many orders of the candidates it looks at, and
///      `static UNMASK_HOST_DEVICE double number(const Selector&, int n, const candidate&)`: by which number, falling, the
///      n-th of them is. Of equal ones the lower position is first.
///   2. `static UNMASK_DEVICE void choose(const Selector&, const device_candidates&, const step_share&)`: sets `chosen`, as
///      a selector_policy's call does.
///
/// A run must choose the same as the selector does on the CPU.
template <class Selector>
struct device_selector;

namespace detail::cuda {

UNMASK_DEVICE void choose_best(const device_candidates& all, int ranking, index_t count) {
    all.for_each([&](int rank) { all.ranked(ranking, rank).chosen = rank < count; });
}

// One that looks at the candidates in no particular order.
struct without_rankings {
    static constexpr int rankings = 0;
    template <class Selector>
    UNMASK_HOST_DEVICE static double number(const Selector& /*selector*/, int /*n*/, const candidate& /*position*/) {
        return 0;
    }
};

} // namespace detail::cuda

template <>
struct device_selector<top_k> {
    static constexpr int rankings = 1;
    UNMASK_HOST_DEVICE static double number(const top_k& /*selector*/, int /*n*/, const candidate& position) {
        return position.score.value;
    }
    UNMASK_DEVICE static void choose(const top_k& /*selector*/, const device_candidates& all, const step_share& share) {
        detail::cuda::choose_best(all, 0, share.quota);
    }
};

template <>
struct device_selector<threshold> : detail::cuda::without_rankings {
    UNMASK_DEVICE static void choose(const threshold& selector, const device_candidates& all,
                                     const step_share& /*share*/) {
        const double bound = exact::log_of_probability(selector.probability);
        all.for_each([&](int i) {
            const double value = all[i].log_probability(selector.source);
            all[i].chosen = selector.strict ? value > bound : value >= bound;
        });
    }
};

template <>
struct device_selector<factor> {
    static constexpr int rankings = 1;
    UNMASK_HOST_DEVICE static double number(const factor& selector, int /*n*/, const candidate& position) {
        return position.log_probability(selector.source);
    }
    UNMASK_DEVICE static void choose(const factor& selector, const device_candidates& all,
                                     const step_share& /*share*/) {
        const int end = all.find_if([&](int rank) {
            const double doubt = exact::one_minus_exp(all.ranked(0, rank).log_probability(selector.source));
            return rank > 0 && !(static_cast<double>(rank + 2) * doubt < selector.value);
        });
        detail::cuda::choose_best(all, 0, end);
    }
};

template <>
struct device_selector<entropy_bound> {
    static constexpr int rankings = 1;
    UNMASK_HOST_DEVICE static double number(const entropy_bound& /*selector*/, int /*n*/, const candidate& position) {
        return position.score.value;
    }
    // The sum has an order: one thread follows it, which is rarely far.
    UNMASK_DEVICE static void choose(const entropy_bound& selector, const device_candidates& all,
                                     const step_share& /*share*/) {
        int end = 0;
        if (detail::device::thread() == 0) {
            double largest = 0;
            double others = 0;
            for (bool goes_on = true; goes_on && end < all.count(); end += goes_on ? 1 : 0) {
                const double entropy = all.ranked(0, end).statistics(selector.source).entropy;
                others += entropy < largest ? entropy : largest;
                largest = largest < entropy ? entropy : largest;
                goes_on = others <= selector.gamma;
            }
        }
        detail::cuda::choose_best(all, 0, detail::device::combined<detail::cuda::step_threads>(end, detail::cuda::sum{}));
    }
};

template <>
struct device_selector<hierarchical> : detail::cuda::without_rankings {
    // The thread of a run's first position looks after the run.
    UNMASK_DEVICE static void choose(const hierarchical& selector, const device_candidates& all,
                                     const step_share& /*share*/) {
        const double low = exact::log_of_probability(selector.low);
        const double high = exact::log_of_probability(selector.high);
        const auto value = [&](int i) { return all[i].log_probability(selector.source); };
        const auto goes_on = [&](int i) {
            return i > 0 && i < all.count() && all[i].where.position == all[i - 1].where.position + 1;
        };
        all.for_each([&](int begin) {
            if (goes_on(begin)) {
                return;
            }
            int best = begin;
            int i = begin;
            do {
                all[i].chosen = value(i) > high;
                best = value(i) > value(best) ? i : best;
            } while (goes_on(++i));
            all[best].chosen = value(best) > low;
        });
    }
};

template <>
struct device_selector<kl_stable> {
    static constexpr int rankings = 1;
    UNMASK_HOST_DEVICE static double number(const kl_stable& /*selector*/, int /*n*/, const candidate& position) {
        return position.score.value;
    }
    UNMASK_DEVICE static void choose(const kl_stable& selector, const device_candidates& all, const step_share& share) {
        const double bound = exact::log_of_probability(selector.confidence);
        all.for_each([&](int i) {
            all[i].chosen = all[i].log_probability(selector.source) > bound && all[i].divergence < selector.divergence;
        });
        if (all.count_if([&](int i) { return all[i].chosen; }) == 0) {
            detail::cuda::choose_best(all, 0, share.quota);
        }
    }
};

template <class Selector>
struct device_selector<or_quota<Selector>> {
    using inner = device_selector<Selector>;
    static constexpr int rankings = inner::rankings + 1; // the last is by score
    UNMASK_HOST_DEVICE static double number(const or_quota<Selector>& selector, int n, const candidate& position) {
        return n < inner::rankings ? inner::number(selector.inner, n, position) : position.score.value;
    }
    UNMASK_DEVICE static void choose(const or_quota<Selector>& selector, const device_candidates& all,
                                     const step_share& share) {
        inner::choose(selector.inner, all, share);
        if (all.count_if([&](int i) { return all[i].chosen; }) < share.quota) {
            detail::cuda::choose_best(all, inner::rankings, share.quota);
        }
    }
};

namespace detail::cuda {

// Asks two selectors, and joins what they say: either or both. The first's word is kept in `change` meanwhile.
template <class Pair, class First, class Second, bool Both>
struct selector_of_two {
    using first = device_selector<First>;
    using second = device_selector<Second>;
    static constexpr int rankings = first::rankings + second::rankings;

    UNMASK_HOST_DEVICE static double number(const Pair& selector, int n, const candidate& position) {
        return n < first::rankings ? first::number(selector.first, n, position)
                                   : second::number(selector.second, n - first::rankings, position);
    }
    UNMASK_DEVICE static void choose(const Pair& selector, const device_candidates& all, const step_share& share) {
        first::choose(selector.first, all, share);
        all.for_each([&](int i) { push(all[i]); });
        second::choose(selector.second, all.from_ranking(first::rankings), share);
        all.for_each([&](int i) { pop(all[i]); });
    }

private:
    // A stack of bits: pairs may be of pairs.
    UNMASK_DEVICE static void push(candidate& position) {
        const auto bits = static_cast<unsigned>(position.change);
        position.change = static_cast<change>((bits << 1) | (position.chosen ? 1U : 0U));
        position.chosen = false;
    }
    UNMASK_DEVICE static void pop(candidate& position) {
        const auto bits = static_cast<unsigned>(position.change);
        const bool before = bits % 2 != 0;
        position.chosen = Both ? before && position.chosen : before || position.chosen;
        position.change = static_cast<change>(bits >> 1);
    }
};

} // namespace detail::cuda

template <class First, class Second>
struct device_selector<either<First, Second>>
    : detail::cuda::selector_of_two<either<First, Second>, First, Second, false> {};
template <class First, class Second>
struct device_selector<both<First, Second>> : detail::cuda::selector_of_two<both<First, Second>, First, Second, true> {};

namespace detail::cuda {

template <class Selector>
concept selects_on_device = requires {
    device_selector<Selector>::rankings;
};

// The rankings that a selector needs; none if it has chosen before the model.
template <class Selector>
constexpr int rankings_of() {
    if constexpr (selects_before_model<Selector>()) {
        return 0;
    } else {
        return device_selector<Selector>::rankings;
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
