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
#include <unmask/sampler/detail/device/selector.cuh>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/device/stop.cuh>
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
    candidate& one = p.state.candidates[i];
    one.raw = outcome.result.raw;
    one.token = outcome.result.draw.token;
    one.shaped = outcome.result.draw.shaped;
    one.shaped_log_probability = outcome.result.draw.log_probability;
    one.raw_log_probability = outcome.raw_log_probability;
    one.held_log_probability = static_cast<double>(minus_infinity); // it is masked
    one.change = change::none;
    one.score = one.raw.best >= 0 ? p.score(one) : score{};
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
    UNMASK_DEVICE sequence_step(const select_parameters<Selector>& p, device_sequence& one)
        : p_(p), state_(p.state), one_(one),
          candidates_(state_.candidates + one.first, one.candidates, state_.order + one.first, state_.most_rows) {}

    UNMASK_DEVICE void operator()() const {
        if (find_fault()) {
            return;
        }
        select();
        commit();
        stop();
        one_.advance();
    }

private:
    static constexpr bool selector_first = selects_before_model<Selector>();

    UNMASK_DEVICE bool find_fault() const {
        const auto& all = candidates_;
        const int fault = all.find_if([&](int i) { return all[i].raw.best < 0 || is_nan(all[i].score.value); });
        if (fault == all.count()) {
            return false;
        }
        one_.fault = fault;
        one_.fault_is_score = all[fault].raw.best >= 0;
        return true;
    }

    UNMASK_DEVICE void select() const {
        const auto& all = candidates_;
        if constexpr (selector_first) {
            all.for_each([&](int i) { all[i].chosen = true; });
        } else {
            device_selector<Selector>::choose(p_.selector, all, one_.share);
            if (all.count_if([&](int i) { return all[i].chosen; }) == 0) {
                choose_surest();
            }
        }
    }

    // Every call makes progress.
    UNMASK_DEVICE void choose_surest() const {
        struct place {
            double score;
            int at;
        };
        const auto& all = candidates_;
        place mine{0, -1};
        for (int i = device::thread(); i < all.count(); i += step_threads) {
            mine = mine.at < 0 || all[i].score.value > mine.score ? place{all[i].score.value, i} : mine;
        }
        const place best = device::combined<step_threads>(mine, [](const place& a, const place& b) {
            const bool second = a.at < 0 || (b.at >= 0 && (b.score > a.score || (b.score == a.score && b.at < a.at)));
            return second ? b : a;
        });
        all.for_each([&](int i) { all[i].chosen = i == best.at; });
    }

    UNMASK_DEVICE void commit() const {
        const auto& all = candidates_;
        const index_t call = state_.counts->calls - 1;
        all.for_each([&](int i) {
            const candidate& position = all[i];
            if (position.chosen) {
                const index_t at = one_.offset + position.where.position;
                state_.tokens[at] = position.token;
                state_.states[at] = position_state::committed;
                state_.trace.commitments[at] = {call, position.token, position.score.value,
                                                position.raw_log_probability};
            }
        });
    }

    UNMASK_DEVICE void stop() const {
        if (p_.ends.count == 0) {
            return;
        }
        int end = one_.length;
        int masked = one_.length;
        for (int i = device::thread(); i < one_.length; i += step_threads) {
            const position_state at = state_.states[one_.offset + i];
            const bool is_end = at == position_state::committed && p_.ends.has(state_.tokens[one_.offset + i]);
            end = is_end && i < end ? i : end;
            masked = at == position_state::masked && i < masked ? i : masked;
        }
        end = device::combined<step_threads>(end, minimum{});
        masked = device::combined<step_threads>(masked, minimum{});
        if (end < masked && end < one_.length) {
            one_.active = false;
            one_.candidates = 0;
            end_text(end + 1);
        }
    }

    // The text ends before `begin`: what is not prompt from there on gets the end token, if there is one.
    UNMASK_DEVICE void end_text(int begin) const {
        if (state_.end < 0) {
            return;
        }
        for (int i = begin + device::thread(); i < one_.length; i += step_threads) {
            const index_t at = one_.offset + i;
            if (state_.states[at] != position_state::prompt) {
                state_.tokens[at] = state_.end;
                state_.states[at] = position_state::committed;
            }
        }
        if (device::thread() == 0) {
            state_.trace.fills[device::block()] = {state_.counts->calls - 1, begin};
        }
    }

    const select_parameters<Selector>& p_;
    const device_state& state_;
    device_sequence& one_;
    device_candidates candidates_;
};

// A block for each sequence.
template <class Selector>
UNMASK_KERNEL(step_threads, 1)
void select_kernel(select_parameters<Selector> p) {
    device_sequence& stored = p.state.sequences[device::block()];
    if (p.state.counts->rows == 0 || !stored.active) {
        return;
    }
    device_sequence one = stored;
    sequence_step<Selector>(p, one)();
    device::barrier(); // all have read it
    if (device::thread() == 0) {
        stored = one;
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
