// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/end_last.hpp>
#include <unmask/sampler/score/noisy.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/entropy_bound.hpp>
#include <unmask/sampler/selector/factor.hpp>
#include <unmask/sampler/selector/first_hitting.hpp>
#include <unmask/sampler/selector/hierarchical.hpp>
#include <unmask/sampler/selector/kl_stable.hpp>
#include <unmask/sampler/selector/selector.hpp>

#include "any_policy.hpp"

// Every schedule, score and selector of the library: one line each, from which tests and benchmarks take them.
// house.lists holds that none is missing.

namespace test {

template <class Policy>
struct listed_policy {
    const char* name;
    Policy policy;
};
template <class Policy>
listed_policy(const char*, Policy) -> listed_policy<Policy>;

inline auto schedule_list() {
    return std::tuple{
        listed_policy{"steps", steps{16}}, listed_policy{"cosine_steps", cosine_steps{20}},
        listed_policy{"timesteps", timesteps{20}},
        listed_policy{"timesteps, floor_quota", timesteps{.count = 60, .floor_quota = true}}, // steps without a call
    };
}
inline auto schedule_per_block_list() {
    return std::tuple{
        listed_policy{"steps_per_block", steps_per_block{3}},
    };
}

inline auto score_list() {
    return std::tuple{
        listed_policy{"confidence", confidence{score_from::shaped}},
        listed_policy{"margin", margin{}},
        listed_policy{"negative_entropy", negative_entropy{score_from::shaped}},
        listed_policy{"random_order", random_order{}},
        listed_policy{"noisy", noisy{confidence{}, 0.5}},
        listed_policy{"end_last", end_last{margin{}, 0, 3}},
    };
}

inline auto selector_list() {
    return std::tuple{
        listed_policy{"top_k", top_k{}},
        listed_policy{"threshold", threshold{0.3, score_from::shaped, true}},
        listed_policy{"factor", factor{1.2}},
        listed_policy{"entropy_bound", entropy_bound{0.3}},
        listed_policy{"hierarchical", hierarchical{0.3, 0.4}},
        listed_policy{"or_quota", or_quota{factor{1.2}}},
        listed_policy{"either", either{both{top_k{}, threshold{0.4}}, both{hierarchical{}, factor{3}}}},
        listed_policy{"both", both{factor{2}, either{top_k{}, hierarchical{0.3, 0.4}}}},
    };
}
// Those that read how far distributions have moved: the sampler keeps a row of logits for every position.
inline auto selector_with_divergence_list() {
    return std::tuple{
        listed_policy{"kl_stable", kl_stable{.confidence = 0.1, .divergence = 4}},
    };
}
inline auto selector_before_model_list() {
    return std::tuple{
        listed_policy{"ancestral", ancestral{}},
        listed_policy{"first_hitting", first_hitting{}},
    };
}

// Calls visit(name, policy) for every entry of a list, where `policy` is of one type for all of them: make(number,
// policies...) gives the one of a number.
template <class... Policies, class Make, class Visit>
void for_each_listed(const std::tuple<listed_policy<Policies>...>& list, const Make& make, const Visit& visit) {
    std::apply(
        [&](const auto&... each) {
            int number = 0;
            (visit(each.name, make(number++, each.policy...)), ...);
        },
        list);
}

template <class Visit>
void for_each_schedule(const Visit& visit) {
    for_each_listed(
        schedule_list(),
        []<class... Each>(int number, const Each&... each) { return any_schedule<false, Each...>(number, each...); },
        visit);
    for_each_listed(
        schedule_per_block_list(),
        []<class... Each>(int number, const Each&... each) { return any_schedule<true, Each...>(number, each...); },
        visit);
}

template <class Visit>
void for_each_score(const Visit& visit) {
    for_each_listed(
        score_list(),
        []<class... Each>(int number, const Each&... each) { return any_score<Each...>(number, each...); }, visit);
}

template <class Visit>
void for_each_selector(const Visit& visit) {
    for_each_listed(
        selector_list(),
        []<class... Each>(int number, const Each&... each) { return any_selector<false, Each...>(number, each...); },
        visit);
    for_each_listed(selector_with_divergence_list(), [](int /*number*/, const auto& only) { return only; }, visit);
    for_each_listed(
        selector_before_model_list(),
        []<class... Each>(int number, const Each&... each) { return any_selector<true, Each...>(number, each...); },
        visit);
}

} // namespace test
