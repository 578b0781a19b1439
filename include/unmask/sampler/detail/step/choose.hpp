// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/selector/selector.hpp>

// What a step commits, on every processor.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// What the schedule says about a step, of which it leaves these shares masked.
template <class Schedule>
UNMASK_HOST_DEVICE step_share share_of(const Schedule& schedule, const schedule_step& now,
                                       const masked_shares& shares) {
    return {.quota = quota_by(schedule, now, shares), .probability = commit_probability(shares)};
}

template <class Schedule>
step_share share_of(const Schedule& schedule, const schedule_step& now) {
    return share_of(schedule, now, shares_of(schedule, now));
}

// After the model. Every call makes progress: at least the candidate with the highest score is chosen.
template <class Selector, class Candidates>
UNMASK_HOST_DEVICE void choose_after_model(const Selector& selector, const Candidates& all, const step_share& share) {
    selector.choose(all, share);
    if (none_chosen(all)) {
        const int surest = all.highest([&](int i) { return all[i].score.value; });
        all.for_each([&](int i) { all[i].chosen = i == surest; });
    }
}

// Before it, where a step may choose none; but the last one repeats, and must choose something.
template <class Selector, class Candidates>
UNMASK_HOST_DEVICE void choose_before_model(const Selector& selector, const Candidates& all, const step_share& share,
                                            bool is_last) {
    selector.choose(all, share);
    if (is_last && none_chosen(all)) {
        all.for_each([&](int i) { all[i].chosen = i == 0; });
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
