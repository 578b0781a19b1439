// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/device/block_loops.cuh>
#include <unmask/sampler/detail/device/candidates.cuh>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/device/stop.cuh>
#include <unmask/sampler/detail/step/choose.hpp>
#include <unmask/sampler/detail/step/end_of_text.hpp>
#include <unmask/sampler/position_state.hpp>
#include <unmask/sampler/selector/selector.hpp>

// The second half of a step on the GPU, after the rows have been read: scores, what is committed, and whether a
// sequence is done.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Score>
struct score_parameters {
    device_state state;
    Score score;
    const row_outcome* outcomes;
};

// A thread for each candidate.
template <class Score>
UNMASK_KERNEL(step_threads, 1)
void score_kernel(score_parameters<Score> p) {
    const index_t i = static_cast<index_t>(device::block()) * step_threads + device::thread();
    if (i >= p.state.counts->rows) {
        return;
    }
    const row_outcome& outcome = p.outcomes[i];
    candidate& position = p.state.candidates[i];
    position.raw = outcome.result.raw;
    position.token = outcome.result.draw.token;
    position.shaped = outcome.result.draw.shaped;
    position.shaped_log_probability = outcome.result.draw.log_probability;
    position.raw_log_probability = outcome.raw_log_probability;
    position.held_log_probability = static_cast<double>(minus_infinity); // it is masked
    position.change = change::none;
    position.score = position.raw.best >= 0 ? p.score(position) : score{};
}

template <class Selector>
struct select_parameters {
    device_state state;
    Selector selector;
    end_tokens ends;
};

template <class Selector>
class sequence_step {
public:
    UNMASK_DEVICE sequence_step(const select_parameters<Selector>& p, device_sequence& sequence)
        : p_(p), state_(p.state), sequence_(sequence),
          candidates_(state_.candidates + sequence.first, sequence.candidates, state_.order + sequence.first,
                      state_.most_rows) {}

    UNMASK_DEVICE void operator()() const {
        if (find_fault()) {
            return;
        }
        select();
        commit();
        stop();
        sequence_.plan.advance();
    }

private:
    static constexpr bool selector_first = selects_before_model<Selector>();

    UNMASK_DEVICE bool find_fault() const {
        const auto& all = candidates_;
        const int fault = all.find_if([&](int i) { return all[i].raw.best < 0 || is_nan(all[i].score.value); });
        if (fault == all.count()) {
            return false;
        }
        sequence_.fault = fault;
        sequence_.fault_is_score = all[fault].raw.best >= 0;
        return true;
    }

    UNMASK_DEVICE void select() const {
        if constexpr (selector_first) {
            candidates_.for_each([&](int i) { candidates_[i].chosen = true; });
        } else {
            choose_after_model(p_.selector, candidates_, sequence_.share);
        }
    }

    UNMASK_DEVICE void commit() const {
        const auto& all = candidates_;
        const index_t call = state_.counts->calls - 1;
        all.for_each([&](int i) {
            const candidate& position = all[i];
            if (position.chosen) {
                const index_t at = sequence_.offset + position.where.position;
                state_.tokens[at] = position.token;
                state_.states[at] = position_state::committed;
                state_.trace.commitments[at] = {call, position.token, position.score.value,
                                                position.raw_log_probability};
            }
        });
    }

    // Fills the sequence if its text has ended.
    UNMASK_DEVICE void stop() const {
        if (p_.ends.count == 0) {
            return;
        }
        token_t* const tokens = state_.tokens + sequence_.offset;
        position_state* const states = state_.states + sequence_.offset;
        const index_t length = sequence_.plan.length;
        const index_t end = end_of_text<block_loops>(tokens, states, length, p_.ends);
        if (end == 0) {
            return;
        }
        sequence_.active = false;
        sequence_.candidates = 0;
        if (state_.end >= 0) {
            fill_with_end<block_loops>(tokens, states, end, length, state_.end);
            if (device::thread() == 0) {
                state_.trace.fills[device::block()] = {state_.counts->calls - 1, end};
            }
        }
    }

    const select_parameters<Selector>& p_;
    const device_state& state_;
    device_sequence& sequence_;
    block_candidates candidates_;
};

// A block for each sequence.
template <class Selector>
UNMASK_KERNEL(step_threads, 1)
void select_kernel(select_parameters<Selector> p) {
    device_sequence& stored = p.state.sequences[device::block()];
    if (p.state.counts->rows == 0 || !stored.active) {
        return;
    }
    device_sequence sequence = stored;
    sequence_step<Selector>(p, sequence)();
    device::barrier(); // all have read it
    if (device::thread() == 0) {
        stored = sequence;
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
