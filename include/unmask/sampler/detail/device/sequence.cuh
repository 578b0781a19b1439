// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/step/random_words.hpp>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/selector/selector.hpp>

// What a run on the GPU keeps in device memory, for the kernels of a step.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

inline constexpr int step_threads = 128; // of a block, which works on one sequence

/// A sequence, and its way through its blocks and steps: sequence_plan on the device.
struct device_sequence {
    index_t offset = 0; // of its first position in the canvas
    int length = 0;
    std::uint64_t id = 0;

    bool active = true;
    int begin = 0; // of the current block, which is empty at first
    int end = 0;
    int block_size = 0;
    int steps = 0; // of a block, and one more in each of the first `longer`
    int longer = 0;
    int block = 0;       // how many blocks have begun
    int shares = 0;      // where the masked shares of a block of so many steps begin
    int more_shares = 0; // and of one with one more step
    schedule_step now{};
    step_share share{};
    std::uint32_t visit = 0;

    int first = 0; // of its candidates of this step, among all
    int candidates = 0;
    int fault = -1; // the first candidate whose row has no distribution or whose score is NaN
    bool fault_is_score = false;

    [[nodiscard]] UNMASK_DEVICE int first_share() const { return block <= longer ? more_shares : shares; }
    // Moves on to the next step. The last one repeats for a selector that has left something masked.
    UNMASK_DEVICE void advance() {
        now.step = now.step + 1 < now.steps ? now.step + 1 : now.steps - 1;
        ++visit;
    }
};

/// What became of a position.
struct device_commitment {
    index_t call = -1; // of the model, at which it was committed; −1: it was not
    token_t token = -1;
    double score = 0;
    double log_probability = 0;
};

/// What a stop rule did to a sequence.
struct device_fill {
    index_t call = -1; // of the model, after which it was done; −1: it has not been
    int begin = 0;     // what comes from here on, it has filled
};

/// The story of a run. A position is committed once, and a sequence ended once: each has its place.
struct device_trace {
    device_commitment* commitments; // [positions]
    device_fill* fills;             // [sequences]
    index_t* calls;                 // how many are told in full; null if nobody watches the run as it goes on
    int* stop;                      // the observer's wish; 0: to see more
};

/// Of the whole run.
struct device_counts {
    int rows = 0; // of this step; 0: the run has ended
    index_t calls = 0;
    index_t all_rows = 0;
    index_t evaluations = 0; // of one sequence each
};

/// The canvas and all else that a step reads and writes.
struct device_state {
    token_t* tokens;
    position_state* states;
    unsigned char* listed; // [positions]: 1 for the candidates of a step
    device_trace trace;
    device_sequence* sequences;
    int sequence_count;
    row* rows; // [rows], as the model is asked
    double* uniforms;
    streamed_state* streamed; // [rows]; null: the model stores its logits
    candidate* candidates;
    int* order; // [rankings][rows]: of each sequence's candidates, by falling number
    index_t most_rows;
    const double* shares;
    device_counts* counts;
    std::uint64_t seed;
    token_t end; // of text; −1: there is none
};

// What policies see of a position before its row is read.
UNMASK_DEVICE four_words words_of(const device_state& state, const device_sequence& one, int position) {
    return random_word_set(state.seed, one.id, position, one.visit);
}
UNMASK_DEVICE double order_number(const four_words& words) {
    return uniform_open(words.word[2], words.word[3]);
}

struct sum {
    UNMASK_DEVICE int operator()(int a, int b) const { return a + b; }
};
struct minimum {
    UNMASK_DEVICE int operator()(int a, int b) const { return b < a ? b : a; }
};

// How many positions of [begin, end) of a sequence are masked. Collective.
UNMASK_DEVICE int masked_in(const device_state& state, const device_sequence& one, int begin, int end) {
    int mine = 0;
    for (int position = begin + device::thread(); position < end; position += step_threads) {
        mine += state.states[one.offset + position] == position_state::masked ? 1 : 0;
    }
    return device::combined<step_threads>(mine, sum{});
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
