// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/detail/device/block_loops.cuh>
#include <unmask/sampler/detail/step/random_words.hpp>
#include <unmask/sampler/detail/step/sequence_plan.hpp>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/selector/selector.hpp>

// The memory of a run on the GPU, for the kernels of a step.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// A sequence, and its way through its blocks and steps.
struct device_sequence {
    sequence_plan plan;
    index_t offset = 0; // of its first position in the canvas
    std::uint64_t seed = 0;
    std::uint64_t id = 0;
    bool active = true;

    int shares = 0;      // where the masked shares of a block begin,
    int more_shares = 0; // and those of a block with one more step
    step_share share{};  // of this step

    int room = 0;  // where its candidates are before the model, among all
    int first = 0; // where those of this step are
    int candidates = 0;
    int fault = -1; // the first candidate whose row has no distribution or whose score is NaN
    bool fault_is_score = false;
};

// The commitment of a position.
struct device_commitment {
    index_t call = -1; // of the model, at which it was committed; −1: it was not
    token_t token = -1;
    double score = 0;
    double log_probability = 0;
};

// The end that a stop rule gave a sequence.
struct device_fill {
    index_t call = -1; // of the model, after which the sequence was done; −1: it is not
    index_t begin = 0; // the first position that it has filled
};

// The trace of a run. A position is committed once, and a sequence ended once: each has its place.
struct device_trace {
    device_commitment* commitments; // [positions]
    device_fill* fills;             // [sequences]
    index_t* calls;                 // the number of calls that are complete in it; null unless the run is observed
    int* stop;                      // not 0: the observer ends the run
};

// Counts of the whole run.
struct device_counts {
    int rows = 0;      // of the next step; 0: the run has ended
    index_t calls = 0; // of the model, that one included
    index_t all_rows = 0;
    index_t evaluations = 0; // of one sequence each
};

// The canvas and all else that a step reads and writes.
struct device_state {
    token_t* tokens;
    position_state* states;
    unsigned char* listed; // [positions]: 1 for the candidates of a step
    device_trace trace;
    device_sequence* sequences;
    int sequence_count;
    row* rows; // [rows] that the model is asked for
    double* uniforms;
    streamed_state* streamed; // [rows]; null: the model stores its logits
    candidate* candidates;
    int* order; // [rankings][rows]: of each sequence's candidates, by falling number
    index_t most_rows;
    const double* shares;
    device_counts* counts;
    token_t end; // of text; −1: there is none
};

// The random words of a position at this step.
UNMASK_DEVICE four_words words_of(const device_sequence& sequence, index_t position) {
    return random_word_set(sequence.seed, sequence.id, position, sequence.plan.visit);
}

// A candidate as policies see it before its row is read.
UNMASK_DEVICE void begin_candidate(const device_state& state, const device_sequence& sequence, int number,
                                   index_t position, const four_words& words, candidate& added) {
    added.where = {number, position};
    added.random = uniform_open(words.word[2], words.word[3]);
    added.words = bits_as<std::array<std::uint32_t, 4>>(words);
    added.divergence = -static_cast<double>(minus_infinity); // unless a selector looks at it
    added.held = state.tokens[sequence.offset + position];
    added.state = position_state::masked;
    added.chosen = false;
    added.change = change::none;
}

// How many positions of [begin, end) of a sequence are masked. Collective.
UNMASK_DEVICE int masked_in(const device_state& state, const device_sequence& sequence, index_t begin, index_t end) {
    const position_state* const states = state.states + sequence.offset + begin;
    return block_loops::count_if(static_cast<int>(end - begin),
                                 [&](int i) { return states[i] == position_state::masked; });
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
