// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/corruption/corruption.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/step/sequence_plan.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A sequence that is not done.
template <class Corruption>
struct active_sequence {
    index_t sequence;
    sequence_plan plan;
    std::size_t first = 0; // of its candidates among all
    std::size_t last = 0;
    index_t calls = 0;   // of the model for this block
    index_t allowed = 0; // how many there may be
    index_t kept = 0;    // positions that a block_denoiser has stored
    typename Corruption::memory memory;
    std::vector<row> to_remask; // at the end of this step

    template <class Schedule>
    active_sequence(const canvas& page, index_t number, const block_length& blocks, const Schedule& schedule)
        : sequence(number), plan(page, number, blocks, schedule.count, is_per_block<Schedule>()) {}

    [[nodiscard]] position_range block() const { return {sequence, plan.begin, plan.end}; }

    void begin_block(index_t calls_allowed) {
        memory = {};
        calls = 0;
        allowed = calls_allowed;
    }

    template <class Schedule>
    [[nodiscard]] corruption_step step(const Schedule& schedule, const canvas& page) const {
        const schedule_step& now = plan.now;
        return {.now = now,
                .time = schedule.masked_share(now.step, now.steps),
                .next_time = is_last(now) ? 0 : schedule.masked_share(now.step + 1, now.steps),
                .tokens = page.vocabulary()};
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
