// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <tuple>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/stop/stop.hpp>

UNMASK_NAMESPACE_BEGIN

/// Stops when one of several rules does; if several do at the same time, the one that keeps least decides.
template <stop_policy... Rules>
struct stop_at_any {
    static constexpr auto kind = policy_kind::stop;
    std::tuple<Rules...> rules; ///< asked in this order

    /// Joins stop rules.
    constexpr explicit stop_at_any(Rules... each) : rules(std::move(each)...) {}

    void check() const {
        std::apply([](const Rules&... each) { (detail::check_policy(each), ...); }, rules);
    }
    std::optional<index_t> operator()(const canvas& page, index_t sequence) const {
        std::optional<index_t> least;
        const auto ask = [&](const auto& rule) {
            const std::optional<index_t> kept = rule(page, sequence);
            if (kept && (!least || *kept < *least)) {
                least = kept;
            }
        };
        std::apply([&](const Rules&... each) { (ask(each), ...); }, rules);
        return least;
    }
};

UNMASK_NAMESPACE_END
