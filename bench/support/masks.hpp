// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <memory>
#include <random>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/mask/document.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

#include "../../tests/support/mask_list.hpp"
#include "shape.hpp"

// The masks that are measured, by the names they have in the names of cases, for any length: those of mask_list that
// have such a name.

namespace bench {

template <unmask::mask_policy Mask>
struct named_mask {
    const char* name;
    Mask mask;
    std::shared_ptr<const void> memory{}; ///< what the mask points into, if anything
};

/// 16 documents that begin at random odd positions, always the same ones: uneven, and no tile fits them. None where
/// they don't fit.
inline std::vector<unmask::range> sixteen_documents(index_t length) {
    if (length < 64) {
        return {};
    }
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
    return unmask::document_ranges(lengths);
}

/// Calls visit(named_mask) for every mask that is measured. `length` is that of all positions: of canvas and shadow,
/// and of [noised ‖ clean].
template <class Visit>
void for_each_measured(index_t length, const Visit& visit) {
    const auto documents = std::make_shared<const std::vector<unmask::range>>(sixteen_documents(length));
    const auto visit_measured = [&](const auto& listed) {
        if (listed.measured_name != nullptr) {
            using mask = std::remove_cvref_t<decltype(listed.measured)>;
            visit(named_mask<mask>{listed.measured_name, listed.measured, documents});
        }
    };
    std::apply([&](const auto&... listed) { (visit_measured(listed), ...); }, test::mask_list(length, *documents));
}

/// One of them. The length matters for documents, prefix, shadow_block and block_diffusion alone.
template <unmask::mask_policy Mask>
named_mask<Mask> measured(index_t length = 0) {
    auto documents = std::make_shared<const std::vector<unmask::range>>(sixteen_documents(length));
    const auto listed = std::get<test::listed_mask<Mask>>(test::mask_list(length, *documents));
    return {listed.measured_name, listed.measured, std::move(documents)};
}

} // namespace bench
