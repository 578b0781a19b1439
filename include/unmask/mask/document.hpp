// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Packed documents: a query sees the keys of its own document. The policy refers to an array with the range of the
/// document at each position, so every function takes O(1) time, whatever the number of documents.
///
/// Non-owning: the array must outlive the call, in memory that the executor can read. Documents follow one another
/// without gaps from position 0 (see document_ranges); positions from `length` on neither see nor are seen.
struct document {
    const range* documents; ///< [length], the document at each position
    index_t length;         ///< number of positions

    /// Refers to `positions` ranges from `first` on.
    UNMASK_HOST_DEVICE constexpr document(const range* first, index_t positions)
        : documents(first), length(positions) {}
    /// Refers to the ranges of a span.
    constexpr explicit document(std::span<const range> positions)
        : documents(positions.data()), length(static_cast<index_t>(positions.size())) {}

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const {
        return q < length && documents[q].contains(k);
    }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const range seen = span_of(q_begin, q_end);
        if (detail::intersect(seen, {k_begin, k_end}).empty()) {
            return tile_class::empty;
        }
        const range first = documents[q_begin];
        const bool one_document = q_end <= first.end && k_begin >= first.begin && k_end <= first.end;
        return one_document ? tile_class::full : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return ranges<1>(detail::clip(span_of(q_begin, q_end), keys));
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return key_ranges(k_begin, k_end, queries); // the mask is symmetric
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }

    constexpr mask_fault fault() const {
        if (length < 0) {
            return {"document.length", length, "at least 0"};
        }
        return documents == nullptr && length > 0 ? mask_fault{"document.length", length, "0, as documents is null"}
                                                  : mask_fault{};
    }

private:
    // From the start of the first position's document to the end of the last position's.
    UNMASK_HOST_DEVICE constexpr range span_of(index_t begin, index_t end) const {
        return begin < length ? range{documents[begin].begin, documents[detail::smaller(end, length) - 1].end}
                              : range{};
    }
};

/// The array that `document` refers to, [total length], from the lengths of consecutive documents. O(total length).
inline std::vector<range> document_ranges(std::span<const index_t> lengths) {
    std::vector<range> result;
    index_t begin = 0;
    for (const index_t length : lengths) {
        for (index_t i = 0; i < length; ++i) {
            result.push_back({begin, begin + length});
        }
        begin += detail::larger(length, 0);
    }
    return result;
}

UNMASK_NAMESPACE_END
