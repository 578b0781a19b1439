// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

#include <unmask/mask/causal.hpp>

#include "../variants.hpp"
#include "cell.hpp"
#include "hiding_transformer.hpp"

namespace sink_study::backcopy {

/// The shape of a cell's model. Neighbours are mixed in, so that they need no attention; not in the causal control,
/// which would see the symbol to copy beside it.
inline model_shape shape_of(const cell& which, index_t width, index_t ffn) {
    const bool small = which.model == "1x1";
    if (!small && which.model != "2x2") {
        throw std::invalid_argument("there is no model '" + which.model + "'; there are 1x1 and 2x2");
    }
    return {.vocabulary = backcopy_vocabulary,
            .width = width,
            .layers = small ? 1 : 2,
            .heads = small ? 1 : 2,
            .ffn = ffn,
            .output_gate = which.variant == "gate",
            .mixes_neighbours = which.keys != "causal"};
}

/// Calls use(model) with the transformer of a job, for sequences of a length: from here on its policies are types.
/// Throws std::invalid_argument if there is none.
template <class Use>
decltype(auto) with_model(const job& which, const model_shape& shape, index_t length, Use&& use) {
    using unmask::bidirectional;
    using token = unmask::extra_sink<bidirectional>;
    const std::string& variant = which.of.variant;
    const auto visible_or_hidden = [&]<class Mask, class Sink>(const transformer<Mask, Sink>& model,
                                                               token_places places = {}) {
        if (which.of.keys == "visible") {
            return use(model);
        }
        if (which.of.keys == "hidden") {
            return use(hiding_transformer<Mask, Sink>(shape, model.mask(), places));
        }
        throw std::invalid_argument("keys are '" + which.of.keys + "', expected visible or hidden");
    };
    if (which.of.keys == "causal") {
        return use(transformer<unmask::causal>(shape));
    }
    if (variant == "none" || variant == "gate") {
        return visible_or_hidden(transformer<bidirectional>(shape));
    }
    if (variant == "front" || variant == "middle" || variant == "end" || variant == "random") {
        const token_places places{.sinks_before =
                                      sink_place(variant, {.shape = {}, .length = length, .seed = which.seed})};
        return visible_or_hidden(transformer<token>(shape, token{}, places), places);
    }
    if (variant == "key_sink") {
        return visible_or_hidden(transformer<bidirectional, unmask::key_sink>(shape));
    }
    if (variant == "off_by_one") {
        return visible_or_hidden(transformer<bidirectional, unmask::off_by_one_sink>(shape));
    }
    if (variant == "logit") {
        return visible_or_hidden(transformer<bidirectional, unmask::logit_sink>(shape));
    }
    throw std::invalid_argument("there is no variant '" + variant + "'");
}

} // namespace sink_study::backcopy
