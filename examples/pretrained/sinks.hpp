// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <unmask/analysis/key_class.hpp>
#include <unmask/analysis/report/report.hpp>
#include <unmask/executor/cpu_executor.hpp>

#include "denoiser.hpp"
#include "judge.hpp"

// The sinks of real weights, with the model's special tokens treated in four ways.

namespace pretrained {

/// What is done with the frame of a text.
enum class frame {
    kept,      ///< begin and end as the model was trained
    deleted,   ///< neither; the text keeps its positions
    self_only, ///< begin sees only itself, which the model was not trained for
    added      ///< a second begin before the first one, at its position, which sees only itself
};

inline constexpr std::array<const char*, 4> frame_names = {"as they are", "deleted", "begin self-only",
                                                           "another, self-only"};

/// What was measured with one frame. Each number is a mean over texts, layers and heads, and steps.
struct sink_measurement {
    estimate sinks;       ///< share of heads and steps whose strongest key is a sink by above_others{3}
    estimate above_share; ///< share of heads and steps with a key above 0.3
    estimate null;        ///< share with a key that is so and drains: null_sink{}
    estimate changes;     ///< share of steps in which a head's strongest key, if it is a sink, is another than before
    estimate is_begin;    ///< share of these sinks that are a begin token, added ones included
    estimate value_norm;  ///< of these sinks over the median of all positions
    estimate cosine;      ///< between the mean of the finished text's rows and that with the frame as it was
    /// By class, in the order of key_class: mass, even share, value norm. Masked, delimiter, content, extra.
    std::array<std::array<estimate, 3>, unmask::key_classes> classes;
    std::array<estimate, 2> own; ///< what positions give to themselves: mass, even share
};

struct frame_result {
    frame which;
    sink_measurement measured;
    unmask::sink_run first; ///< the records of the first text, for a page
};

/// Shows texts to a model from all hidden to complete, in a random order that is the same for every frame, in `steps`
/// steps, and measures where attention goes.
std::vector<frame_result> measure_frames(const loaded_model& model, const unmask::cpu_executor& exec,
                                         const std::vector<std::string>& texts, index_t steps, std::uint32_t seed);

/// The tables in Markdown.
std::string frames_text(const std::vector<frame_result>& results);

} // namespace pretrained
