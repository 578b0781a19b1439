// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>

#include <unmask/config.hpp>
#include <unmask/sampler/corruption/corruption.hpp>
#include <unmask/sampler/detail/policy_set.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/guidance/guidance.hpp>
#include <unmask/sampler/logits/logits_policy.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/sampler/stop/stop.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Whether the policies of a sampler fit their concepts and each other. If not, the compiler says the first thing that
// is wrong, and nothing after it.
template <class... Given>
constexpr bool check_policies() {
    using set = policy_set<Given...>;
    using corruption = typename set::corruption_type;
    constexpr auto several = []([[maybe_unused]] policy_kind kind) {
        return ((is_kind<Given>(kind) ? 1 : 0) + ... + 0) > 1;
    };
    if constexpr (!(sampling_policy<Given> && ...)) {
        static_assert(never<Given...>,
                      "unmask::sampler: every argument must be a sampling policy, a type with a static "
                      "member `kind`");
    } else if constexpr (several(policy_kind::schedule)) {
        static_assert(never<Given...>, "unmask::sampler: more than one schedule");
    } else if constexpr (several(policy_kind::blocks)) {
        static_assert(never<Given...>, "unmask::sampler: more than one block length");
    } else if constexpr (several(policy_kind::score)) {
        static_assert(never<Given...>, "unmask::sampler: more than one score");
    } else if constexpr (several(policy_kind::selector)) {
        static_assert(never<Given...>, "unmask::sampler: more than one selector");
    } else if constexpr (several(policy_kind::draw)) {
        static_assert(never<Given...>, "unmask::sampler: more than one draw");
    } else if constexpr (several(policy_kind::stop)) {
        static_assert(never<Given...>, "unmask::sampler: more than one stop rule; stop_at_any joins them");
    } else if constexpr (several(policy_kind::logits)) {
        static_assert(never<Given...>, "unmask::sampler: more than one logits policy; logits_chain joins them");
    } else if constexpr (several(policy_kind::guidance)) {
        static_assert(never<Given...>, "unmask::sampler: more than one guidance");
    } else if constexpr (several(policy_kind::corruption)) {
        static_assert(never<Given...>, "unmask::sampler: more than one corruption");
    } else if constexpr (several(policy_kind::cache)) {
        static_assert(never<Given...>, "unmask::sampler: more than one cache");
    } else if constexpr (!schedule_policy<typename set::schedule_type>) {
        static_assert(never<Given...>, "unmask::sampler: a schedule needs count and masked_share(step, steps)");
    } else if constexpr (!score_policy<typename set::score_type>) {
        static_assert(never<Given...>, "unmask::sampler: a score needs unmask::score operator()(const "
                                       "unmask::candidate&) const");
    } else if constexpr (!selector_policy<typename set::selector_type>) {
        static_assert(never<Given...>,
                      "unmask::sampler: a selector needs template <class Candidates> void choose(const "
                      "Candidates&, const unmask::step_share&) const");
    } else if constexpr (!draw_policy<typename set::draw_type>) {
        static_assert(never<Given...>, "unmask::sampler: a draw needs unmask::drawn operator()(std::span<const float>, "
                                       "const unmask::row_statistics&, double, unmask::draw_scratch&) const");
    } else if constexpr (!stop_policy<typename set::stop_type>) {
        static_assert(never<Given...>, "unmask::sampler: a stop rule needs std::optional<unmask::index_t> "
                                       "operator()(const unmask::canvas&, unmask::index_t) const");
    } else if constexpr (set::changes_logits && !logits_policy<typename set::logits_type>) {
        static_assert(never<Given...>, "unmask::sampler: a logits policy needs operator()(const unmask::canvas&, "
                                       "unmask::row, std::span<float>) const, with a memory& as a fourth parameter if "
                                       "it has a nested type memory");
    } else if constexpr (set::guided && !guidance_policy<typename set::guidance_type>) {
        static_assert(never<Given...>, "unmask::sampler: a guidance needs operator()(std::span<float>, std::span<const "
                                       "float>) const");
    } else if constexpr (!corruption_policy<corruption>) {
        static_assert(never<Given...>, "unmask::sampler: a corruption needs a nested type memory, index_t "
                                       "extra_calls(const unmask::schedule_step&) const, and operator() or "
                                       "before(std::span<unmask::candidate>, const unmask::corruption_step&, memory&) "
                                       "const");
    } else if constexpr (takes_selectors_place<corruption>() && (is_kind<Given>(policy_kind::selector) || ...)) {
        static_assert(never<Given...>, "unmask::sampler: this corruption decides what is committed; there can be no "
                                       "selector beside it");
    } else if constexpr (selects_before_model<typename set::selector_type>() && !std::same_as<corruption, absorbing>) {
        static_assert(never<Given...>, "unmask::sampler: a selector that runs before the model goes with absorbing "
                                       "corruption alone");
    } else {
        return true;
    }
    return false;
}

} // namespace detail
UNMASK_NAMESPACE_END
