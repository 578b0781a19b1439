// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>

// Every mask policy behind one type.

namespace test {

using namespace unmask;

// Sees every third key: a mask without row() and without structure.
struct every_third {
    UNMASK_HOST_DEVICE constexpr bool operator()(index_t q, index_t k) const { return (q + 2 * k) % 3 == 0; }
};

// One of some masks. (std::variant is not callable in device code.)
template <class First, class... Rest>
union mask_union {
    First first;
    mask_union<Rest...> rest;

    template <class Mask>
    constexpr explicit mask_union(const Mask& mask) : rest(mask) {}
    constexpr explicit mask_union(const First& mask) : first(mask) {}

    template <class Mask>
    static constexpr int index_of() {
        if constexpr (std::same_as<Mask, First>) {
            return 0;
        } else {
            return 1 + mask_union<Rest...>::template index_of<Mask>();
        }
    }
    template <class Visit>
    UNMASK_HOST_DEVICE auto visit(int index, const Visit& with) const {
        return index == 0 ? with(first) : rest.visit(index - 1, with);
    }
};
template <class Only>
union mask_union<Only> {
    Only first;

    constexpr explicit mask_union(const Only& mask) : first(mask) {}

    template <class Mask>
    static constexpr int index_of() {
        static_assert(std::same_as<Mask, Only>);
        return 0;
    }
    template <class Visit>
    UNMASK_HOST_DEVICE auto visit(int /*index*/, const Visit& with) const {
        return with(first);
    }
};

// One type for all policies, so that the kernels are compiled once for each sink and element type and still run every
// policy's own functions.
struct any_mask {
    using masks = mask_union<bidirectional, causal, block, sliding_window, prefix, document, block_diffusion,
                             shadow_block, extra_sink<bidirectional>, extra_sink<block>, extra_sink<document>,
                             mask_and<causal, sliding_window>, mask_or<prefix, sliding_window>, mask_not<causal>>;
    masks policy;
    int index;

    template <mask_policy Mask>
    any_mask(const Mask& mask) : policy(mask), index(masks::index_of<Mask>()) {}

    UNMASK_HOST_DEVICE bool visible(index_t q, index_t k) const {
        return policy.visit(index, [&](const auto& mask) { return mask.visible(q, k); });
    }
    UNMASK_HOST_DEVICE tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        return policy.visit(index, [&](const auto& mask) { return mask.classify(q_begin, q_end, k_begin, k_end); });
    }
    UNMASK_HOST_DEVICE ranges<8> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return policy.visit(index, [&](const auto& mask) { return widened(mask.key_ranges(q_begin, q_end, keys)); });
    }
    UNMASK_HOST_DEVICE ranges<8> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return policy.visit(index,
                            [&](const auto& mask) { return widened(mask.query_ranges(k_begin, k_end, queries)); });
    }
    UNMASK_HOST_DEVICE ranges<8> row(index_t q, index_t keys) const {
        return policy.visit(index, [&](const auto& mask) { return widened(mask.row(q, keys)); });
    }

private:
    template <int Capacity>
    UNMASK_HOST_DEVICE static ranges<8> widened(const ranges<Capacity>& narrow) {
        ranges<8> result;
        for (const range& each : narrow) {
            result.append(each);
        }
        return result;
    }
};
static_assert(row_mask_policy<any_mask>);

// A mask of every kind for sequences of this length, with its name. The documents are in memory that the executor reads.
inline std::vector<std::pair<std::string, any_mask>> masks(index_t length, std::span<const range> documents) {
    const index_t half = length / 2 + 1;
    return {
        {"bidirectional", bidirectional{}},
        {"causal", causal{}},
        {"block(5)", block{5}},
        {"sliding_window(9, 3)", sliding_window{9, 3}},
        {"prefix(7)", prefix{7}},
        {"document", document{documents}},
        {"block_diffusion", block_diffusion{half, 8}},
        {"shadow_block", shadow_block{half, 3, half / 3}},
        {"extra_sink(bidirectional)", extra_sink{bidirectional{}}},
        {"extra_sink(block(16), 10, 3)", extra_sink{block{16}, 10, 3}},
        {"extra_sink(document, 64, 2)", extra_sink{document{documents}, 64, 2}},
        {"causal && sliding_window", causal{} && sliding_window{20, 20}},
        {"prefix || sliding_window", prefix{3} || sliding_window{1, 70}},
        {"!causal", !causal{}}, // the last row sees nothing
    };
}

// Consecutive documents of the lengths 1, 30, 2, 65, 1, 30, …
inline std::vector<range> some_documents(index_t total) {
    std::vector<index_t> lengths;
    for (index_t sum = 0, i = 0; sum < total; ++i) {
        constexpr index_t cycle[] = {1, 30, 2, 65};
        lengths.push_back(std::min(cycle[i % 4], total - sum));
        sum += lengths.back();
    }
    return document_ranges(lengths);
}

} // namespace test
