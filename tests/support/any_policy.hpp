// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/selector.hpp>

// One of several policies, by number: a sampler of these is compiled once for all of them, for both processors.

namespace test {

using namespace unmask;

template <class... Policies>
struct policy_chain {};
template <class First, class... Rest>
struct policy_chain<First, Rest...> {
    First first;
    policy_chain<Rest...> rest;

    // Calls f(policy) with the policy of a number.
    template <class F>
    UNMASK_HOST_DEVICE auto visit(int at, const F& f) const {
        if constexpr (sizeof...(Rest) == 0) {
            return f(first);
        } else {
            return at == 0 ? f(first) : rest.visit(at - 1, f);
        }
    }
    // The same with a function of the host.
    template <class F>
    auto visit_on_host(int at, const F& f) const {
        if constexpr (sizeof...(Rest) == 0) {
            return f(first);
        } else {
            return at == 0 ? f(first) : rest.visit_on_host(at - 1, f);
        }
    }
};

constexpr policy_chain<> chain() {
    return {};
}
template <class First, class... Rest>
constexpr policy_chain<First, Rest...> chain(const First& first, const Rest&... rest) {
    return {first, chain(rest...)};
}

// Functions of a policy, by type: nvcc has no lambdas with parameters of any type in code for the device.
struct quota_of {
    schedule_step now;
    masked_shares shares;

    template <class Schedule>
    UNMASK_HOST_DEVICE index_t operator()(const Schedule& schedule) const {
        return detail::quota_by(schedule, now, shares);
    }
};
struct score_of {
    const candidate& position;

    template <class Score>
    UNMASK_HOST_DEVICE score operator()(const Score& each) const {
        return each(position);
    }
};
struct rank_number_of {
    int n;
    const candidate& position;

    template <class Selector>
    UNMASK_HOST_DEVICE double operator()(const Selector& selector) const {
        return detail::rank_number(selector, n, position);
    }
};
template <class Candidates>
struct choice_of {
    const Candidates& all;
    const step_share& share;

    template <class Selector>
    UNMASK_HOST_DEVICE bool operator()(const Selector& selector) const {
        selector.choose(all, share);
        return true;
    }
};

template <bool PerBlock, class... Schedules>
struct any_schedule {
    static constexpr auto kind = policy_kind::schedule;
    static constexpr bool per_block = PerBlock;
    policy_chain<Schedules...> schedules;
    int at;
    index_t count;

    any_schedule(int number, const Schedules&... each)
        : schedules(chain(each...)), at(number),
          count(schedules.visit_on_host(at, [](const auto& it) { return it.count; })) {
        static_assert(((detail::is_per_block<Schedules>() == PerBlock) && ...));
    }
    [[nodiscard]] double masked_share(index_t step, index_t of) const {
        return schedules.visit_on_host(at, [=](const auto& it) { return it.masked_share(step, of); });
    }
    [[nodiscard]] UNMASK_HOST_DEVICE index_t quota(const schedule_step& now, const masked_shares& shares) const {
        return schedules.visit(at, quota_of{now, shares});
    }
};

template <class... Scores>
struct any_score {
    static constexpr auto kind = policy_kind::score;
    policy_chain<Scores...> scores;
    int at;

    any_score(int number, const Scores&... each) : scores(chain(each...)), at(number) {}
    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        return scores.visit(at, score_of{position});
    }
};

// All of them run before the model, or all after it. Divergences cover the most steps that one of them asks for.
template <bool BeforeModel, class... Selectors>
struct any_selector {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model = BeforeModel;
    static constexpr int rankings = [] {
        int most = 0;
        ((most = detail::rankings_of<Selectors> > most ? detail::rankings_of<Selectors> : most), ...);
        return most;
    }();
    policy_chain<Selectors...> selectors;
    int at;

    any_selector(int number, const Selectors&... each) : selectors(chain(each...)), at(number) {
        static_assert(((detail::selects_before_model<Selectors>() == BeforeModel) && ...));
    }
    UNMASK_HOST_DEVICE double rank_by(int n, const candidate& position) const {
        return selectors.visit(at, rank_number_of{n, position});
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        selectors.visit(at, choice_of<Candidates>{all, share});
    }
};

} // namespace test
