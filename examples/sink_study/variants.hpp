// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/random/philox.hpp>

#include "transformer.hpp"

namespace sink_study {

using namespace language_model;

/// The models of the study, all of one template: which sink, where, how many.
///
///   none                         looks both ways, no sink
///   front, middle, end, random   one sink token at that position; random is drawn once from the seed
///   front_2, front_4             so many sink tokens, each of which sees itself alone
///   key_sink, logit_sink, off_by_one_sink, key_value_sink    folded into the softmax (unmask/sink)
///   gate                         no sink, an output gate instead (arXiv 2505.06708)
///   causal                       the same task, but a position sees only those before it and itself: the control whose
///                                sink, if any, must stay at the first position
///   block, block_front           block diffusion (BD3-LM, arXiv 2503.09573) without a sink and with one in front
inline const std::vector<std::string>& variant_names() {
    static const std::vector<std::string> names = {
        "none",       "front",           "middle",         "end",  "random", "front_2", "front_4",    "key_sink",
        "logit_sink", "off_by_one_sink", "key_value_sink", "gate", "causal", "block",   "block_front"};
    return names;
}

/// What a variant needs to know of the task.
struct variant_settings {
    model_shape shape;
    index_t length = 128; ///< of the text
    index_t block = 16;   ///< of the block-causal models
    std::uint32_t seed = 1;
};

/// Whether a variant trains on [noised ‖ clean] texts.
inline bool in_blocks(const std::string& variant) {
    return variant == "block" || variant == "block_front";
}

/// Before which index of the text a variant's sink tokens stand.
inline index_t sink_place(const std::string& variant, const variant_settings& settings) {
    if (variant == "random") { // anywhere but the ends
        const auto words = unmask::philox{{settings.seed, 0x706c6163U}}({0, 0, 0, 0});
        return 1 + static_cast<index_t>(unmask::uniform_open(words[0], words[1]) *
                                        static_cast<double>(settings.length - 1));
    }
    return variant == "middle" ? settings.length / 2 : variant == "end" ? settings.length : 0;
}

/// Calls use(training, running) with the two transformers of a variant, types from here on. They share their weights
/// and, except in blocks, are the same: there the one sees [noised ‖ clean], the other a text of which blocks are
/// filled in order. Throws std::invalid_argument if there is no such variant.
template <class Use>
decltype(auto) with_variant(const std::string& variant, const variant_settings& settings, Use&& use) {
    using unmask::bidirectional;
    using unmask::extra_sink;
    const auto both = [&](const auto& model) { return use(model, model); };
    const auto tokens = [&](index_t count) {
        return both(transformer<extra_sink<bidirectional>>(settings.shape, {.inner = {}, .position = 0, .count = count},
                                                           {.sinks_before = sink_place(variant, settings)}));
    };
    if (variant == "none") {
        return both(transformer<bidirectional>(settings.shape));
    }
    if (variant == "gate") {
        model_shape gated = settings.shape;
        gated.output_gate = true;
        return both(transformer<bidirectional>(gated));
    }
    if (variant == "front" || variant == "middle" || variant == "end" || variant == "random") {
        return tokens(1);
    }
    if (variant == "front_2" || variant == "front_4") {
        return tokens(variant == "front_2" ? 2 : 4);
    }
    if (variant == "key_sink") {
        return both(transformer<bidirectional, unmask::key_sink>(settings.shape));
    }
    if (variant == "logit_sink") {
        return both(transformer<bidirectional, unmask::logit_sink>(settings.shape));
    }
    if (variant == "off_by_one_sink") {
        return both(transformer<bidirectional, unmask::off_by_one_sink>(settings.shape));
    }
    if (variant == "key_value_sink") {
        return both(transformer<bidirectional, unmask::key_value_sink>(settings.shape));
    }
    if (variant == "causal") {
        return both(transformer<unmask::causal>(settings.shape));
    }
    const unmask::block_diffusion training{settings.length, settings.block};
    const unmask::block running{settings.block};
    if (variant == "block") {
        return use(transformer<unmask::block_diffusion>(settings.shape, training, {.copies = 2}),
                   transformer<unmask::block>(settings.shape, running));
    }
    if (variant == "block_front") {
        return use(transformer<extra_sink<unmask::block_diffusion>>(settings.shape, {training, 0, 1}, {.copies = 2}),
                   transformer<extra_sink<unmask::block>>(settings.shape, {running, 0, 1}));
    }
    throw std::invalid_argument("there is no variant '" + variant + "'");
}

} // namespace sink_study
