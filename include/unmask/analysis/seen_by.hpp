// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>
#include <unmask/mask/tiles.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The sink tokens of a mask; an empty range unless it is an extra_sink.
template <mask_policy Mask>
constexpr range sink_tokens(const Mask& /*mask*/) {
    return {};
}
template <mask_policy Inner>
constexpr range sink_tokens(const extra_sink<Inner>& mask) {
    return mask.sinks();
}

// Calls add(keys, count) for ranges of keys that `count` of the queries see.
template <mask_policy Mask, class Add>
void for_each_seen(const Mask& mask, range queries, index_t keys, const Add& add) {
    if constexpr (row_mask_policy<Mask>) {
        for (index_t q = queries.begin; q < queries.end; ++q) {
            for (const range& each : mask.row(q, keys)) {
                add(each, 1);
            }
        }
    } else {
        constexpr index_t tile = 64;
        for (index_t begin = queries.begin; begin < queries.end; begin += tile) {
            const index_t end = smaller(begin + tile, queries.end);
            for_each_key_tile(mask, begin, end, keys, tile, [&](index_t k_begin, index_t k_end, tile_class kind) {
                if (kind == tile_class::full) {
                    add(range{k_begin, k_end}, end - begin);
                    return;
                }
                for (index_t k = k_begin; k < k_end; ++k) {
                    for (index_t q = begin; q < end; ++q) {
                        add(range{k, k + 1}, mask.visible(q, k) ? 1 : 0);
                    }
                }
            });
        }
    }
}

} // namespace detail

/// The number of given queries that see each key of [0, keys), which turns received attention, a sum, into a mean.
/// Queries and keys are positions. Sink tokens of an extra_sink mask do not count as queries, because they see only
/// themselves; inside a larger mask (&&, ||, !) they count like any other token.
///
/// Work: O(queries + keys) for the library's masks. For a mask without row(), every pair in its
/// partial tiles is tested.
template <mask_policy Mask>
std::vector<index_t> seen_by(const Mask& mask, range queries, index_t keys) {
    std::vector<index_t> counts(static_cast<std::size_t>(keys) + 1); // first the differences between neighbouring keys
    const auto add = [&](range seen, index_t count) {
        counts[static_cast<std::size_t>(seen.begin)] += count;
        counts[static_cast<std::size_t>(seen.end)] -= count;
    };
    const range sinks = detail::sink_tokens(mask);
    detail::for_each_seen(mask, {queries.begin, std::min(queries.end, sinks.begin)}, keys, add);
    detail::for_each_seen(mask, {std::max(queries.begin, sinks.end), queries.end}, keys, add);
    counts.pop_back();
    index_t count = 0;
    for (index_t& each : counts) {
        count += each;
        each = count;
    }
    return counts;
}

UNMASK_NAMESPACE_END
