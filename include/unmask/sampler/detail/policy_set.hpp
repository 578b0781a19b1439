// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One policy of each kind.
template <class Schedule, class Blocks, class Score, class Selector, class Draw, class Stop, class Logits,
          class Guidance, class Corruption, class Cache>
struct policy_set {
    using selector_type = Selector;
    using draw_type = Draw;
    using logits_type = Logits;
    using corruption_type = Corruption;
    using cache_type = Cache;
    static constexpr bool guided = !std::same_as<Guidance, no_policy<policy_kind::guidance>>;
    static constexpr bool changes_logits = !std::same_as<Logits, no_policy<policy_kind::logits>>;

    Schedule schedule;
    Blocks blocks;
    Score score;
    Selector selector;
    Draw draw;
    Stop stop;
    Logits logits;
    Guidance guidance;
    Corruption corruption;
    Cache cache;
};

template <std::size_t Place, class Policy>
struct given_policy {
    Policy policy;
};

// Policies as they were given. A std::tuple would be most of what a sampler takes to compile.
template <class Places, class... Policies>
struct given_policies_at;
template <std::size_t... Places, class... Policies>
struct given_policies_at<std::index_sequence<Places...>, Policies...> : given_policy<Places, Policies>... {
    template <class Function>
    constexpr auto apply(const Function& function) const {
        return function(given_policy<Places, Policies>::policy...);
    }
};

template <class... Policies>
using given_policies = given_policies_at<std::index_sequence_for<Policies...>, Policies...>;

} // namespace detail
UNMASK_NAMESPACE_END
