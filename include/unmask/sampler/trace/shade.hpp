// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/trace/trace.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

/// The meaning of a token's shade in a view of a trace.
enum class shade_by : std::uint8_t {
    score,       ///< rank of its score in the trace, since scores of different policies are not comparable
    probability, ///< its probability according to the model, which is comparable between traces
};

namespace detail {

// An integer that orders doubles as `<` does, NaN included, with any compiler flags; −0 and 0 give the same one.
inline std::int64_t order_of(double value) {
    const auto bits = bits_as<std::int64_t>(value);
    return bits >= 0 ? bits : static_cast<std::int64_t>(0x8000000000000000U - static_cast<std::uint64_t>(bits));
}

// A shade in [0, 1] for every entry, from the least to the most certain. Entries that were not drawn have 1.
inline std::vector<double> shades_of(const trace& what, shade_by source) {
    std::vector<double> shades(what.entries.size(), 1.0);
    std::vector<std::size_t> drawn;
    for (std::size_t i = 0; i < shades.size(); ++i) {
        const commitment& one = what.entries[i].what;
        if (one.change == change::commit || one.change == change::edit) {
            drawn.push_back(i);
            shades[i] = std::clamp(std::exp(one.log_probability), 0.0, 1.0);
        }
    }
    if (source == shade_by::probability) {
        return shades;
    }
    const auto order = [&](std::size_t i) { return order_of(what.entries[i].what.score.value); };
    std::sort(drawn.begin(), drawn.end(), [&](std::size_t a, std::size_t b) { return order(a) < order(b); });
    std::size_t below = 0; // entries with a lower score
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        below = i > 0 && order(drawn[i - 1]) < order(drawn[i]) ? i : below;
        shades[drawn[i]] = static_cast<double>(below);
    }
    for (const std::size_t i : drawn) { // `below` is now the largest number of lower entries
        shades[i] = below > 0 ? shades[i] / static_cast<double>(below) : 1.0;
    }
    return shades;
}

} // namespace detail

UNMASK_NAMESPACE_END
