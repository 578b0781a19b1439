// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <functional>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

#include "denoiser.hpp"

// How a model writes, chosen when the program runs.

namespace pretrained {

/// Which position is the next one: the surest, in one of two senses, or any.
enum class next_position { confident, low_entropy, random };

/// What of them is committed in a step: as many as the schedule says, or all that are sure enough.
enum class selection { top_k, threshold, entropy_bound };

struct generation_settings {
    next_position order = next_position::confident;
    selection selector = selection::top_k;
    index_t steps = 64;     ///< for top_k
    double bound = 0.9;     ///< for threshold, a probability; for entropy_bound, nats
    double temperature = 1; ///< 0: the likeliest token
};

/// Is told of each step; false ends the run.
using step_observer = std::function<bool(const unmask::sampler_step&)>;

/// Fills a canvas, telling the observer about each step, if there is one. Tokens that stand for no text are not
/// written.
unmask::statistics generate(const generation_settings& settings, encoder_denoiser& denoiser, const loaded_model& model,
                            const unmask::cpu_executor& exec, unmask::canvas& page, std::uint64_t seed,
                            const step_observer& observer = {});

/// A canvas of antibodies' heavy chains, all hidden, of 115 to 125 letters.
unmask::canvas empty_antibodies(const loaded_model& model, index_t count);

} // namespace pretrained
