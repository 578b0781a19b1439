// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/detail/device/candidates.cuh>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/step/choose.hpp>
#include <unmask/sampler/detail/step/sequence_plan.hpp>
#include <unmask/sampler/detail/step/unwritten_row.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/selector/selector.hpp>

// What comes before the model on the GPU: which positions of which block of each sequence are candidates, and their
// rows, one after the other.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Schedule, class Selector>
struct plan_parameters {
    device_state state;
    Schedule schedule;
    Selector selector;
};

template <class Schedule, class Selector>
class sequence_planner {
public:
    UNMASK_DEVICE sequence_planner(const plan_parameters<Schedule, Selector>& p, device_sequence& sequence)
        : p_(p), state_(p.state), sequence_(sequence) {}

    // Finds the sequence's next step that has any candidates, and lists them.
    UNMASK_DEVICE void operator()() const {
        const auto masked_of = [&](index_t begin, index_t end) { return masked_in(state_, sequence_, begin, end); };
        sequence_.candidates = 0;
        while (sequence_.candidates == 0 && sequence_.plan.update(masked_of)) {
            sequence_.share = share_of(p_.schedule, sequence_.plan.now, shares_now());
            if constexpr (selector_first) {
                sequence_.candidates = choose();
            } else if (sequence_.share.quota > 0) {
                sequence_.candidates = list_masked();
            }
            if (sequence_.candidates == 0) {
                sequence_.plan.advance();
            }
        }
        sequence_.active = sequence_.candidates > 0;
    }

private:
    static constexpr bool selector_first = selects_before_model<Selector>();

    UNMASK_DEVICE masked_shares shares_now() const {
        const sequence_plan& plan = sequence_.plan;
        if (is_last(plan.now)) {
            return {1, 0};
        }
        const double* shares =
            state_.shares + (plan.is_longer() ? sequence_.more_shares : sequence_.shares) + plan.now.step;
        return {shares[0], shares[1]};
    }

    // Lists the masked positions of the block; how many.
    UNMASK_DEVICE int list_masked() const {
        for (index_t position = sequence_.plan.begin + device::thread(); position < sequence_.plan.end;
             position += step_threads) {
            const index_t at = sequence_.offset + position;
            state_.listed[at] = state_.states[at] == position_state::masked ? 1 : 0;
        }
        return static_cast<int>(sequence_.plan.now.masked);
    }

    // Lists those that the selector chooses; how many.
    UNMASK_DEVICE int choose() const {
        candidate* const room = state_.candidates + sequence_.room;
        int count = 0;
        for (index_t begin = sequence_.plan.begin; begin < sequence_.plan.end; begin += step_threads) {
            const index_t position = begin + device::thread();
            const bool inside = position < sequence_.plan.end;
            const bool masked = inside && state_.states[sequence_.offset + position] == position_state::masked;
            int found = 0;
            const int at = count + device::sum_before<step_threads>(masked ? 1 : 0, found);
            if (inside) {
                state_.listed[sequence_.offset + position] = 0;
            }
            if (masked) {
                begin_candidate(state_, sequence_, device::block(), position, words_of(sequence_, position), room[at]);
            }
            count += found;
        }
        device::barrier();
        const block_candidates all(room, count, nullptr, 0);
        choose_before_model(p_.selector, all, sequence_.share, is_last(sequence_.plan.now));
        return all.count_if([&](int i) {
            state_.listed[sequence_.offset + all[i].where.position] = all[i].chosen ? 1 : 0;
            return all[i].chosen;
        });
    }

    const plan_parameters<Schedule, Selector>& p_;
    const device_state& state_;
    device_sequence& sequence_;
};

template <class Schedule, class Selector>
UNMASK_KERNEL(step_threads, 1)
void plan_kernel(plan_parameters<Schedule, Selector> p) {
    device_sequence& stored = p.state.sequences[device::block()];
    if (!stored.active) {
        return;
    }
    device_sequence sequence = stored;
    sequence_planner<Schedule, Selector>(p, sequence)();
    device::barrier(); // all have read it
    if (device::thread() == 0) {
        stored = sequence;
    }
}

template <class Logit>
struct list_parameters {
    device_state state;
    Logit* logits; // [rows][stride] that the model will write; unused if it streams
    index_t stride;
    int size;
    token_t mask;
};

// Writes the rows of all sequences, sequence by sequence, and counts them.
template <bool ShiftsLogits, class Logit>
UNMASK_KERNEL(step_threads, 1)
void list_kernel(list_parameters<Logit> p) {
    const device_state& state = p.state;
    const int mine = device::block();
    int before = 0;
    int all = 0;
    int sequences = 0;
    bool faulty = false;
    for (int i = device::thread(); i < state.sequence_count; i += step_threads) {
        const device_sequence& other = state.sequences[i];
        const int candidates = other.active ? other.candidates : 0;
        before += i < mine ? candidates : 0;
        all += candidates;
        sequences += candidates > 0 ? 1 : 0;
        faulty = faulty || other.fault >= 0;
    }
    before = device::combined<step_threads>(before, sum{});
    all = device::combined<step_threads>(all, sum{});
    sequences = device::combined<step_threads>(sequences, sum{});
    faulty = device::combined<step_threads>(faulty ? 1 : 0, sum{}) > 0;
    if (mine == 0 && device::thread() == 0) {
        device_counts& counts = *state.counts;
        bool stopped = false;
        if (state.trace.calls != nullptr) {
            device::publish(state.trace.calls, faulty ? counts.calls - 1 : counts.calls);
            stopped = device::published(state.trace.stop) != 0;
        }
        counts.rows = faulty || stopped ? 0 : all;
        counts.calls += counts.rows > 0 ? 1 : 0;
        counts.all_rows += counts.rows;
        counts.evaluations += counts.rows > 0 ? sequences : 0;
    }
    device_sequence& sequence = state.sequences[mine];
    if (faulty || !sequence.active) {
        return;
    }
    if (device::thread() == 0) {
        sequence.first = before;
    }
    int row_index = before;
    for (index_t begin = sequence.plan.begin; begin < sequence.plan.end; begin += step_threads) {
        const index_t position = begin + device::thread();
        const bool listed = position < sequence.plan.end && state.listed[sequence.offset + position] != 0;
        int found = 0;
        const int at = row_index + device::sum_before<step_threads>(listed ? 1 : 0, found);
        if (listed) {
            const four_words words = words_of(sequence, position);
            const index_t asked = ShiftsLogits && position > 0 ? position - 1 : position;
            state.rows[at] = {mine, asked};
            state.uniforms[at] = uniform_open(words.word[0], words.word[1]);
            if (state.streamed != nullptr) {
                state.streamed[at].read = 0; // and so it stays if the model forgets the row
            } else {
                mark_unwritten(p.logits + at * p.stride, p.size, p.mask);
            }
            begin_candidate(state, sequence, mine, position, words, state.candidates[at]);
        }
        row_index += found;
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
