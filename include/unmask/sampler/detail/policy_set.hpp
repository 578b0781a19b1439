// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/corruption/corruption.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/sampler/stop/stop.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

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

template <std::size_t Place, class Policy>
constexpr Policy policy_at(const given_policy<Place, Policy>& given) {
    return given.policy;
}

// How many policies are before the first of a kind.
template <class... Policies>
constexpr std::size_t place_of([[maybe_unused]] policy_kind kind) {
    std::size_t place = 0;
    static_cast<void>(((is_kind<Policies>(kind) || (++place, false)) || ...));
    return place;
}

// The first policy of a kind, or the default.
template <policy_kind Kind, class Default = no_policy<Kind>, class Places, class... Policies>
constexpr auto pick(const given_policies_at<Places, Policies...>& given) {
    constexpr std::size_t place = place_of<Policies...>(Kind);
    if constexpr (place < sizeof...(Policies)) {
        return policy_at<place>(given);
    } else {
        return Default{};
    }
}

// One policy of each kind: of those given the first, or the default.
template <class... Given>
struct policy_set {
    template <policy_kind Kind, class Default = no_policy<Kind>>
    using one = decltype(pick<Kind, Default>(std::declval<const given_policies<Given...>&>()));

    using schedule_type = one<policy_kind::schedule, steps>;
    using score_type = one<policy_kind::score, confidence>;
    using selector_type = one<policy_kind::selector, top_k>;
    using draw_type = one<policy_kind::draw, greedy>;
    using stop_type = one<policy_kind::stop, stop_at_end>;
    using logits_type = one<policy_kind::logits>;
    using guidance_type = one<policy_kind::guidance>;
    using corruption_type = one<policy_kind::corruption, absorbing>;
    using cache_type = one<policy_kind::cache, no_cache>;
    static constexpr bool guided = !std::same_as<guidance_type, no_policy<policy_kind::guidance>>;
    static constexpr bool changes_logits = !std::same_as<logits_type, no_policy<policy_kind::logits>>;

    schedule_type schedule;
    one<policy_kind::blocks, block_length> blocks;
    score_type score;
    selector_type selector;
    draw_type draw;
    stop_type stop;
    logits_type logits;
    guidance_type guidance;
    corruption_type corruption;
    cache_type cache;

    constexpr explicit policy_set(const given_policies<Given...>& given)
        : schedule(pick<policy_kind::schedule, steps>(given)), blocks(pick<policy_kind::blocks, block_length>(given)),
          score(pick<policy_kind::score, confidence>(given)), selector(pick<policy_kind::selector, top_k>(given)),
          draw(pick<policy_kind::draw, greedy>(given)), stop(pick<policy_kind::stop, stop_at_end>(given)),
          logits(pick<policy_kind::logits>(given)), guidance(pick<policy_kind::guidance>(given)),
          corruption(pick<policy_kind::corruption, absorbing>(given)),
          cache(pick<policy_kind::cache, no_cache>(given)) {}
};

} // namespace detail
UNMASK_NAMESPACE_END
