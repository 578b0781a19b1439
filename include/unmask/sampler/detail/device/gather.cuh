// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/selector/first_hitting.hpp>
#include <unmask/sampler/selector/selector.hpp>

// The first half of a step on the GPU, before the model: which positions of which block of each sequence are candidates,
// and their rows, one after the other.

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
    UNMASK_DEVICE sequence_planner(const plan_parameters<Schedule, Selector>& p, device_sequence& one)
        : p_(p), state_(p.state), one_(one) {}

    // Finds the sequence's next step that has any candidates, and lists them.
    UNMASK_DEVICE void operator()() const {
        one_.candidates = 0;
        while (one_.candidates == 0 && next_block()) {
            const masked_shares shares = shares_now();
            one_.share = {quota_by(p_.schedule, one_.now, shares), is_last(one_.now) ? 1 : commit_probability(shares)};
            if constexpr (selector_first) {
                one_.candidates = choose(p_.selector);
            } else if (one_.share.quota > 0) {
                one_.candidates = list([](int /*position*/, double /*number*/) { return true; });
            }
            if (one_.candidates == 0) {
                one_.advance();
            }
        }
        one_.active = one_.candidates > 0;
    }

private:
    static constexpr bool selector_first = selects_before_model<Selector>();

    // Moves on to the next block if this one is full; false if all are.
    UNMASK_DEVICE bool next_block() const {
        one_.now.masked = masked_in(state_, one_, one_.begin, one_.end);
        while (one_.now.masked == 0) {
            if (one_.end >= one_.length) {
                return false;
            }
            one_.begin = one_.end;
            one_.end = one_.block_size < one_.length - one_.begin ? one_.begin + one_.block_size : one_.length;
            const index_t masked = masked_in(state_, one_, one_.begin, one_.end);
            if (masked > 0) {
                ++one_.block;
                one_.now = {0, one_.steps + (one_.block <= one_.longer ? 1 : 0), masked, masked};
            }
        }
        return true;
    }

    UNMASK_DEVICE masked_shares shares_now() const {
        if (is_last(one_.now)) {
            return {1, 0};
        }
        const double* shares = state_.shares + one_.first_share() + one_.now.step;
        return {shares[0], shares[1]};
    }

    // Lists the masked positions of the block that `is_candidate(position, random number)`; how many. Collective.
    template <class IsCandidate>
    UNMASK_DEVICE int list(const IsCandidate& is_candidate) const {
        int mine = 0;
        for (int position = one_.begin + device::thread(); position < one_.end; position += step_threads) {
            bool listed = state_.states[one_.offset + position] == position_state::masked;
            listed = listed && is_candidate(position, order_number(words_of(state_, one_, position)));
            state_.listed[one_.offset + position] = listed ? 1 : 0;
            mine += listed ? 1 : 0;
        }
        return device::combined<step_threads>(mine, sum{});
    }

    UNMASK_DEVICE int choose(const ancestral& /*selector*/) const {
        const double chance = one_.share.probability; // 1 in the last step
        return list([chance](int /*position*/, double number) { return number < chance; });
    }

    UNMASK_DEVICE int choose(const first_hitting& /*selector*/) const {
        struct hit {
            double number;
            int position;
        };
        hit mine{2, one_.end};
        for (int position = one_.begin + device::thread(); position < one_.end; position += step_threads) {
            if (state_.states[one_.offset + position] == position_state::masked) {
                const double number = order_number(words_of(state_, one_, position));
                mine = number < mine.number ? hit{number, position} : mine;
            }
        }
        const hit first = device::combined<step_threads>(mine, [](const hit& a, const hit& b) {
            return b.number < a.number || (b.number == a.number && b.position < a.position) ? b : a;
        });
        return list([first](int position, double /*number*/) { return position == first.position; });
    }

    const plan_parameters<Schedule, Selector>& p_;
    const device_state& state_;
    device_sequence& one_;
};

template <class Schedule, class Selector>
UNMASK_KERNEL(step_threads, 1)
void plan_kernel(plan_parameters<Schedule, Selector> p) {
    device_sequence& stored = p.state.sequences[device::block()];
    if (!stored.active) {
        return;
    }
    device_sequence one = stored;
    sequence_planner<Schedule, Selector>(p, one)();
    device::barrier(); // all have read it
    if (device::thread() == 0) {
        stored = one;
    }
}

// Writes the rows of all sequences, one sequence after the other.
template <bool ShiftsLogits>
UNMASK_KERNEL(step_threads, 1)
void list_kernel(device_state state) {
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
    device_sequence& one = state.sequences[mine];
    if (faulty || !one.active) {
        return;
    }
    if (device::thread() == 0) {
        one.first = before;
    }
    int row_index = before;
    for (int begin = one.begin; begin < one.end; begin += step_threads) {
        const int position = begin + device::thread();
        const bool listed = position < one.end && state.listed[one.offset + position] != 0;
        int found = 0;
        const int at = row_index + device::sum_before<step_threads>(listed ? 1 : 0, found);
        if (listed) {
            const four_words words = words_of(state, one, position);
            const int asked = ShiftsLogits && position > 0 ? position - 1 : position;
            state.rows[at] = {mine, asked};
            state.uniforms[at] = uniform_open(words.word[0], words.word[1]);
            if (state.streamed != nullptr) {
                state.streamed[at].read = 0; // and so it stays if the model forgets the row
            }
            candidate& added = state.candidates[at];
            added.where = {mine, position};
            added.random = order_number(words);
            added.words = bits_as<std::array<std::uint32_t, 4>>(words);
            added.divergence = -static_cast<double>(minus_infinity); // unless a selector looks at it
            added.held = state.tokens[one.offset + position];
            added.state = position_state::masked;
            added.chosen = false;
        }
        row_index += found;
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
