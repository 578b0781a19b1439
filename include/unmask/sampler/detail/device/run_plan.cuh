// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/step/sequence_plan.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The host's plan of a run: each sequence's way, and the schedule's shares along it.
struct run_plan {
    std::vector<device_sequence> sequences;
    std::vector<double> shares;
    index_t most_rows = 0;      // that a step can need
    int most_in_a_sequence = 0; // the same, of one sequence

    template <class Schedule>
    run_plan(const canvas& page, const block_length& blocks, const Schedule& schedule, const std::vector<bool>& done) {
        for (index_t i = 0; i < page.sequences(); ++i) {
            const bool active = page.masked(i) > 0 && (done.empty() || !done[static_cast<std::size_t>(i)]);
            add(page, i, blocks, schedule, active);
        }
    }

    // Whether memory and launches that were made for another plan do for this one.
    [[nodiscard]] bool fits_in(const run_plan& other) const {
        return most_rows <= other.most_rows && most_in_a_sequence <= other.most_in_a_sequence &&
               shares.size() <= other.shares.size();
    }

private:
    template <class Schedule>
    void add(const canvas& page, index_t sequence, const block_length& blocks, const Schedule& schedule, bool active) {
        device_sequence& added = sequences.emplace_back();
        added.plan = sequence_plan(page, sequence, blocks, schedule.count, is_per_block<Schedule>());
        added.offset = page.offset(sequence);
        added.id = page.id(sequence);
        added.active = active;
        added.room = static_cast<int>(most_rows);
        if (!active) {
            return;
        }
        index_t most = 0;
        added.plan.for_each_block(
            [&](index_t begin, index_t end) { most = std::max(most, detail::masked_in(page, sequence, begin, end)); });
        most_rows += most;
        most_in_a_sequence = std::max(most_in_a_sequence, static_cast<int>(most));
        added.shares = shares_of_steps(added.plan.steps_of(false), schedule);
        added.more_shares = added.plan.longer > 0 ? shares_of_steps(added.plan.steps_of(true), schedule) : 0;
    }

    template <class Schedule>
    int shares_of_steps(index_t steps, const Schedule& schedule) {
        const auto known = std::find(steps_.begin(), steps_.end(), steps);
        if (known != steps_.end()) {
            return begins_[static_cast<std::size_t>(known - steps_.begin())];
        }
        constexpr index_t most = 1 << 24;
        if (steps > most) {
            throw invalid_argument("sampler", "the number of steps of a block", std::to_string(steps),
                                   "at most 2^24 on cuda_executor");
        }
        steps_.push_back(steps);
        begins_.push_back(static_cast<int>(shares.size()));
        for (index_t step = 0; step <= steps; ++step) {
            shares.push_back(schedule.masked_share(step, steps));
        }
        return begins_.back();
    }

    std::vector<index_t> steps_; // numbers of steps whose shares are known
    std::vector<int> begins_;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
