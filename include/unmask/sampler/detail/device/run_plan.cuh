// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/schedule/schedule.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// What the host knows of a canvas before a run: each sequence's way, and the schedule's shares along it.
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

private:
    template <class Schedule>
    void add(const canvas& page, index_t sequence, const block_length& blocks, const Schedule& schedule, bool active) {
        device_sequence& one = sequences.emplace_back();
        const index_t length = page.length(sequence);
        const index_t start = page.generation_begin(sequence);
        const index_t size = std::min(blocks.size, length);
        one.offset = page.offset(sequence);
        one.length = static_cast<int>(length);
        one.id = page.id(sequence);
        one.block_size = static_cast<int>(size);
        one.begin = static_cast<int>(blocks.origin == block_origin::sequence && size > 0 ? start / size * size : start);
        one.end = one.begin;
        one.active = active;
        if (!one.active) {
            return;
        }
        index_t with_masked = 0;
        index_t most = 0;
        const auto states = page.states(sequence);
        for (index_t begin = one.begin; begin < length; begin += size) {
            const index_t end = std::min(length, begin + size);
            const index_t masked = std::count(states.begin() + begin, states.begin() + end, position_state::masked);
            with_masked += masked > 0 ? 1 : 0;
            most = std::max(most, masked);
        }
        most_rows += most;
        most_in_a_sequence = std::max(most_in_a_sequence, static_cast<int>(most));
        const index_t count = is_per_block<Schedule>() ? schedule.count : schedule.count / with_masked;
        one.steps = static_cast<int>(std::max<index_t>(1, count));
        one.longer = is_per_block<Schedule>() || count == 0 ? 0 : static_cast<int>(schedule.count % with_masked);
        one.shares = shares_of_steps(one.steps, schedule);
        one.more_shares = one.longer > 0 ? shares_of_steps(one.steps + 1, schedule) : 0;
    }

    template <class Schedule>
    int shares_of_steps(int steps, const Schedule& schedule) {
        const auto known = std::find(steps_.begin(), steps_.end(), steps);
        if (known != steps_.end()) {
            return begins_[static_cast<std::size_t>(known - steps_.begin())];
        }
        steps_.push_back(steps);
        begins_.push_back(static_cast<int>(shares.size()));
        for (index_t step = 0; step <= steps; ++step) {
            shares.push_back(schedule.masked_share(step, steps));
        }
        return begins_.back();
    }

    std::vector<int> steps_; // numbers of steps whose shares are known
    std::vector<int> begins_;
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
