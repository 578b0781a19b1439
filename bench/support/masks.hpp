// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>

#include "shape.hpp"

// The masks that are measured, by the names they have in the names of cases, for any length.

namespace bench {

template <unmask::mask_policy Mask>
struct named_mask {
    const char* name;
    Mask mask;
    std::shared_ptr<const void> memory{}; ///< what the mask points into, if anything
};

inline named_mask<unmask::bidirectional> bidirectional() {
    return {"bidirectional", {}};
}

inline named_mask<unmask::causal> causal() {
    return {"causal", {}};
}

inline named_mask<unmask::block> block_32() {
    return {"block_32", {32}};
}

inline named_mask<unmask::sliding_window> sliding_window_256() {
    return {"sliding_window_256", {256, 256}};
}

/// A prompt of a quarter of the length.
inline named_mask<unmask::prefix> prefix_quarter(index_t length) {
    return {"prefix_quarter", {length / 4}};
}

/// `length` is that of canvas and shadow.
inline named_mask<unmask::shadow_block> shadow_block_32(index_t length) {
    return {"shadow_block_32", {.length = length - 32, .begin = length / 2, .size = 32}};
}

/// `length` is that of [noised ‖ clean].
inline named_mask<unmask::block_diffusion> block_diffusion_32(index_t length) {
    return {"block_diffusion_32", {length / 2, 32}};
}

inline named_mask<unmask::extra_sink<unmask::bidirectional>> extra_sink() {
    return {"extra_sink", {.inner = {}}};
}

/// 16 documents that begin at random odd positions, always the same ones: uneven, and no tile fits them.
inline named_mask<unmask::document> document_16(index_t length) {
    std::mt19937 random(16);
    std::vector<index_t> cuts{0, length};
    while (cuts.size() < 17) {
        const index_t cut = static_cast<index_t>(random()) % length | 1;
        if (cut < length && std::find(cuts.begin(), cuts.end(), cut) == cuts.end()) {
            cuts.push_back(cut);
        }
    }
    std::sort(cuts.begin(), cuts.end());
    std::vector<index_t> lengths;
    for (std::size_t i = 1; i < cuts.size(); ++i) {
        lengths.push_back(cuts[i] - cuts[i - 1]);
    }
    auto ranges = std::make_shared<const std::vector<unmask::range>>(unmask::document_ranges(lengths));
    const unmask::document mask(*ranges);
    return {"document_16", mask, std::move(ranges)};
}

} // namespace bench
