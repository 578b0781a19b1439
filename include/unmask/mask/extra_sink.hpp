// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/detail/check_policy.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Adds `count` sink tokens at `position` to any mask (*One Token Is Enough*, arXiv 2601.19657, Eq 6).
///
/// A sink sees only itself; every other token sees every sink; between other tokens the inner mask decides, on content
/// positions: positions counted without the sinks. The paper's mask is extra_sink{bidirectional{}}.
/// The sinks may be anywhere, even past the end of the sequence. classify is as exact as the inner mask's.
template <mask_policy Inner>
struct extra_sink {
    Inner inner;          ///< decides between content positions
    index_t position = 0; ///< of the first sink, at least 0
    index_t count = 1;    ///< number of sinks, at least 0

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const {
        if (sinks().contains(q)) {
            return k == q;
        }
        return sinks().contains(k) || inner.visible(content(q), content(k));
    }

    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const range sink_queries = detail::intersect({q_begin, q_end}, sinks());
        const range sink_keys = detail::intersect({k_begin, k_end}, sinks());
        const range queries{content(q_begin), content(q_end)};
        const range keys{content(k_begin), content(k_end)};
        detail::tile_pieces pieces;
        if (!queries.empty() && !keys.empty()) {
            pieces.add(inner.classify(queries.begin, queries.end, keys.begin, keys.end));
        }
        if (!queries.empty() && !sink_keys.empty()) {
            pieces.add(tile_class::full);
        }
        if (!sink_queries.empty() && !keys.empty()) {
            pieces.add(tile_class::empty);
        }
        if (!sink_queries.empty() && !sink_keys.empty()) { // a piece of the identity matrix
            const bool diagonal = !detail::intersect(sink_queries, sink_keys).empty();
            const bool one = sink_queries.end - sink_queries.begin == 1 && sink_keys.end - sink_keys.begin == 1;
            pieces.add(!diagonal ? tile_class::empty : one ? tile_class::full : tile_class::partial);
        }
        return pieces.whole();
    }

    UNMASK_HOST_DEVICE constexpr auto key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        const range queries{content(q_begin), content(q_end)};
        using result = decltype(with_sinks(inner.key_ranges(q_begin, q_end, keys), keys));
        if (queries.empty()) { // sinks only
            return result(detail::intersect({q_begin, q_end}, {0, keys}));
        }
        return with_sinks(inner.key_ranges(queries.begin, queries.end, content(keys)), keys);
    }

    UNMASK_HOST_DEVICE constexpr auto query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        constexpr int inner_capacity = decltype(detail::query_ranges_of(inner, k_begin, k_end, queries))::capacity;
        ranges<(inner_capacity > 2 ? inner_capacity : 2) + 1> result;
        const range sink_keys = detail::intersect({k_begin, k_end}, sinks());
        if (sink_keys.empty()) { // no sink sees these keys: the sinks are a gap in the inner mask's ranges
            const auto seen = detail::query_ranges_of(inner, content(k_begin), content(k_end), content(queries));
            detail::unrolled<inner_capacity>([&](int i) {
                const range each = seen.at(i);
                result.append({each.begin, detail::smaller(each.end, position)});
                result.append({detail::larger(each.begin, position) + count, each.end + count});
            });
        } else { // all content, and the sinks that see themselves
            result.append({0, detail::smaller(position, queries)});
            result.append(detail::clip(sink_keys, queries));
            result.append({position + count, queries});
        }
        return result;
    }

    UNMASK_HOST_DEVICE constexpr auto row(index_t q, index_t keys) const
        requires row_mask_policy<Inner>
    {
        using result = decltype(with_sinks(inner.row(q, keys), keys));
        if (sinks().contains(q)) {
            return result(detail::clip({q, q + 1}, keys));
        }
        return with_sinks(inner.row(content(q), content(keys)), keys);
    }

    /// The positions of the sinks.
    UNMASK_HOST_DEVICE constexpr range sinks() const { return {position, position + count}; }

    /// The number of content positions before `at`: the content position of a token that is not a sink.
    UNMASK_HOST_DEVICE constexpr index_t content(index_t at) const {
        return at <= position ? at : detail::larger(position, at - count);
    }

    constexpr mask_fault fault() const {
        return position < 0                        ? mask_fault{"extra_sink.position", position, "at least 0"}
               : count < 0                         ? mask_fault{"extra_sink.count", count, "at least 0"}
               : position > most_positions - count ? mask_fault{"extra_sink.position", position, "at most 2^62 − count"}
                                                   : detail::fault_of(inner);
    }

private:
    // Content ranges in positions of the whole sequence, and the sinks.
    template <int Capacity>
    UNMASK_HOST_DEVICE constexpr ranges<Capacity + 1> with_sinks(const ranges<Capacity>& seen, index_t keys) const {
        ranges<Capacity> moved;
        detail::unrolled<Capacity>([&](int i) {
            const range each = seen.at(i);
            moved.append({each.begin < position ? each.begin : each.begin + count,
                          each.end <= position ? each.end : each.end + count});
        });
        return set_union(moved, ranges<1>(detail::clip(sinks(), keys)));
    }
};

template <class Inner>
extra_sink(Inner, index_t = 0, index_t = 1) -> extra_sink<detail::mask_or_error<Inner>>;

UNMASK_NAMESPACE_END
