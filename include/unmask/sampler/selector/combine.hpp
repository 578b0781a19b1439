// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <utility>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/selector/selector.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Has the member `divergence_steps` if one of the selectors has: the most that any of them looks at.
template <bool Looks>
struct combined_divergence {
    constexpr explicit combined_divergence(index_t /*steps*/) {}
};
template <>
struct combined_divergence<true> {
    index_t divergence_steps;

    constexpr explicit combined_divergence(index_t steps) : divergence_steps(steps) {}
};

template <class Selector>
concept looks_at_divergence = requires(const Selector& selector) { selector.divergence_steps; };

// Two selectors, and how to join what they say of a position.
template <class First, class Second, class Join>
struct selector_pair : combined_divergence<looks_at_divergence<First> || looks_at_divergence<Second>> {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = rankings_of<First> + rankings_of<Second>;
    static constexpr bool before_model = selects_before_model<First>() && selects_before_model<Second>();
    First first;
    Second second;

    constexpr selector_pair(First one, Second other)
        : selector_pair::combined_divergence(larger(divergence_steps_of(one), divergence_steps_of(other))),
          first(std::move(one)), second(std::move(other)) {}

    void check() const {
        check_policy(first);
        check_policy(second);
    }
    UNMASK_HOST_DEVICE double rank_by(int n, const candidate& position) const {
        return n < rankings_of<First> ? rank_number(first, n, position)
                                      : rank_number(second, n - rankings_of<First>, position);
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        first.choose(all, share);
        all.for_each([&](int i) { push(all[i]); });
        second.choose(all.from_ranking(rankings_of<First>), share);
        all.for_each([&](int i) { pop(all[i]); });
    }

private:
    // What the first has said is kept in `change` meanwhile, a stack of bits: pairs may be of pairs.
    UNMASK_HOST_DEVICE static void push(candidate& position) {
        const auto bits = static_cast<unsigned>(position.change);
        position.change = static_cast<change>((bits << 1) | (position.chosen ? 1U : 0U));
        position.chosen = false;
    }
    UNMASK_HOST_DEVICE static void pop(candidate& position) {
        const auto bits = static_cast<unsigned>(position.change);
        position.chosen = Join{}(bits % 2 != 0, position.chosen);
        position.change = static_cast<change>(bits >> 1);
    }
};

struct logical_or {
    UNMASK_HOST_DEVICE bool operator()(bool a, bool b) const { return a || b; }
};
struct logical_and {
    UNMASK_HOST_DEVICE bool operator()(bool a, bool b) const { return a && b; }
};

} // namespace detail

/// The choice of the inner selector, if it chooses at least as many as the schedule; otherwise the scheduled number of
/// those with the highest scores. `or_quota{threshold{0.95, score_from::shaped, true}}` is LLaDA2's: the schedule
/// bounds the number of calls.
template <selector_policy Selector>
struct or_quota : detail::combined_divergence<detail::looks_at_divergence<Selector>> {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = detail::rankings_of<Selector> + 1; // the last is by score
    Selector inner;                                                    ///< the selector that is asked first

    /// Wraps a selector.
    constexpr explicit or_quota(Selector selector)
        : or_quota::combined_divergence(detail::divergence_steps_of(selector)), inner(std::move(selector)) {}

    void check() const { detail::check_policy(inner); }

    UNMASK_HOST_DEVICE double rank_by(int n, const candidate& position) const {
        return n + 1 < rankings ? detail::rank_number(inner, n, position) : position.score.value;
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        inner.choose(all, share);
        if (all.count_if([&](int i) { return all[i].chosen; }) < share.quota) {
            all.choose_first(rankings - 1, share.quota);
        }
    }
};

/// Chooses what at least one of two selectors chooses. Runs before the model if both do; otherwise both run after it.
template <selector_policy First, selector_policy Second>
struct either : detail::selector_pair<First, Second, detail::logical_or> {
    /// Joins two selectors.
    constexpr either(First one, Second other) : either::selector_pair(std::move(one), std::move(other)) {}
};

/// Chooses what both selectors choose. Runs before the model if both do; otherwise both run after it.
template <selector_policy First, selector_policy Second>
struct both : detail::selector_pair<First, Second, detail::logical_and> {
    /// Joins two selectors.
    constexpr both(First one, Second other) : both::selector_pair(std::move(one), std::move(other)) {}
};

UNMASK_NAMESPACE_END
