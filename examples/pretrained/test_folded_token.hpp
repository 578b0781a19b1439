// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>

#include "denoiser.hpp"
#include "folded_token.hpp"

namespace pretrained {

/// The largest difference, over the largest number, between the text's rows with a first token that sees only itself
/// and with that token folded into the layers' sinks.
inline double difference_of_folding(const loaded_model& model, const std::vector<token_t>& tokens) {
    const unmask::cpu_executor one{1};
    const std::vector<index_t> positions = positions_from_0(tokens.size());
    encoder<> network = model.make_encoder();
    const unmask::extra_sink<unmask::bidirectional> self_only{.inner = {}, .position = 0, .count = 1};
    const auto rows = network.forward(one, tokens, positions, self_only);
    const std::vector<float> expected(rows.pointer(1), rows.data + rows.size());

    encoder<> other = model.make_encoder();
    const folded_token sinks(other, tokens[0], 0);
    const auto folded = other.forward(one, std::span(tokens).subspan(1), std::span(positions).subspan(1),
                                      unmask::bidirectional{}, sinks);
    double difference = static_cast<double>(folded.size() - std::ssize(expected)); // none
    double scale = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double here = std::abs(static_cast<double>(folded.data[i]) - static_cast<double>(expected[i]));
        difference = here <= difference ? difference : here; // NaN is larger than anything
        scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
    }
    return difference / scale;
}

} // namespace pretrained
