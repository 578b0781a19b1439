// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/host/ranking.hpp>
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
concept looks_at_divergence = requires(const Selector& selector) {
    selector.divergence_steps;
};

template <class Selector>
void choose_anew(const Selector& selector, std::span<candidate> candidates, const step_share& share) {
    for (candidate& position : candidates) {
        position.chosen = false;
    }
    selector(candidates, share);
}

// Asks both, and joins what they say of each position.
template <class First, class Second, class Join>
void choose_by_two(const First& first, const Second& second, std::span<candidate> candidates, const step_share& share,
                   Join join) {
    choose_anew(first, candidates, share);
    std::vector<char> before(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        before[i] = candidates[i].chosen ? 1 : 0;
    }
    choose_anew(second, candidates, share);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        candidates[i].chosen = join(before[i] != 0, candidates[i].chosen);
    }
}

} // namespace detail

/// What the inner selector chooses, if that is at least the schedule's number; otherwise the schedule's number of those
/// with the highest scores. `or_quota{threshold{0.95, score_from::shaped, true}}` is LLaDA2's: the schedule bounds the
/// calls.
template <selector_policy Selector>
struct or_quota : detail::combined_divergence<detail::looks_at_divergence<Selector>> {
    static constexpr auto kind = policy_kind::selector;
    Selector inner;

    constexpr explicit or_quota(Selector selector)
        : or_quota::combined_divergence(detail::divergence_steps_of(selector)), inner(std::move(selector)) {}

    void check() const { detail::check_policy(inner); }

    void operator()(std::span<candidate> candidates, const step_share& share) const {
        detail::choose_anew(inner, candidates, share);
        if (std::count_if(candidates.begin(), candidates.end(), [](const candidate& it) { return it.chosen; }) <
            share.quota) {
            detail::choose_best(candidates, share.quota);
        }
    }
};

/// What one or the other selector chooses. Asked before the model if both are; otherwise both after it.
template <selector_policy First, selector_policy Second>
struct either : detail::combined_divergence<detail::looks_at_divergence<First> || detail::looks_at_divergence<Second>> {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model =
        detail::selects_before_model<First>() && detail::selects_before_model<Second>();
    First first;
    Second second;

    constexpr either(First one, Second other)
        : either::combined_divergence(std::max(detail::divergence_steps_of(one), detail::divergence_steps_of(other))),
          first(std::move(one)), second(std::move(other)) {}

    void check() const {
        detail::check_policy(first);
        detail::check_policy(second);
    }
    void operator()(std::span<candidate> candidates, const step_share& share) const {
        detail::choose_by_two(first, second, candidates, share, [](bool a, bool b) { return a || b; });
    }
};

/// What both selectors choose. Asked before the model if both are; otherwise both after it.
template <selector_policy First, selector_policy Second>
struct both : detail::combined_divergence<detail::looks_at_divergence<First> || detail::looks_at_divergence<Second>> {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model =
        detail::selects_before_model<First>() && detail::selects_before_model<Second>();
    First first;
    Second second;

    constexpr both(First one, Second other)
        : both::combined_divergence(std::max(detail::divergence_steps_of(one), detail::divergence_steps_of(other))),
          first(std::move(one)), second(std::move(other)) {}

    void check() const {
        detail::check_policy(first);
        detail::check_policy(second);
    }
    void operator()(std::span<candidate> candidates, const step_share& share) const {
        detail::choose_by_two(first, second, candidates, share, [](bool a, bool b) { return a && b; });
    }
};

UNMASK_NAMESPACE_END
