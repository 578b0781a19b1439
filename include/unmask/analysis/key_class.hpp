// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>

// Where attention goes by the kind of key: a class of many keys can take much of it though none of them is a sink.

UNMASK_NAMESPACE_BEGIN

/// A kind of key.
enum class key_class : std::uint8_t {
    masked,    ///< a masked position
    delimiter, ///< a position with a token that separates or frames text
    content,   ///< any other position
    extra      ///< an extra sink: a sink token, or a folded sink
};

/// The number of classes.
inline constexpr std::size_t key_classes = 4;

/// The classes of a record's keys, [record.keys()]. A position is masked if it was so in the call, and a delimiter if
/// it holds one of these tokens. Throws invalid_argument if the record doesn't say what was masked, or, if there are
/// delimiters, which tokens there were: a sampler's records say both.
[[nodiscard]] inline std::vector<key_class> classes_of(const sink_record& record, std::span<const token_t> delimiters) {
    const auto expects = [&](std::size_t size, const char* name) {
        if (static_cast<index_t>(size) != record.length) {
            throw invalid_argument("classes_of", name, std::to_string(size),
                                   std::to_string(record.length) + " (length)");
        }
    };
    expects(record.masked.size(), "record.masked.size()");
    if (!delimiters.empty()) {
        expects(record.tokens.size(), "record.tokens.size()");
    }
    std::vector<key_class> classes(static_cast<std::size_t>(record.keys()), key_class::extra);
    for (std::size_t i = 0; i < record.masked.size(); ++i) {
        const bool delimits =
            !delimiters.empty() && std::count(delimiters.begin(), delimiters.end(), record.tokens[i]) > 0;
        classes[i] = record.masked[i] != 0 ? key_class::masked : delimits ? key_class::delimiter : key_class::content;
    }
    return classes;
}

/// What a class of keys gets of a head.
struct class_share {
    double mass = 0;    ///< share of the head's attention; NaN if the head gives none
    double uniform = 0; ///< what it would be if attention were spread evenly over all visible pairs of query and key
    /// Mean norm of their values over the median norm of all positions' values; NaN without keys of the class.
    double value_norm = std::numeric_limits<double>::quiet_NaN();
};

/// What each class gets of a head, in the order of key_class. `classes` is [record.keys()], from classes_of or your
/// own. Throws invalid_argument if it has another size. O(keys).
[[nodiscard]] inline std::array<class_share, key_classes> class_shares(const sink_record& record, index_t layer,
                                                                       index_t head,
                                                                       std::span<const key_class> classes) {
    if (std::ssize(classes) != record.keys()) {
        throw invalid_argument("class_shares", "classes.size()", std::to_string(classes.size()),
                               std::to_string(record.keys()) + ", one a key");
    }
    const std::span<const float> received = record.received_of(layer, head);
    const std::span<const index_t> seen_by = record.seen_by_of(layer);
    const std::vector<double> norms = value_norms_in(record, layer, head);
    const double given = std::accumulate(received.begin(), received.end(), 0.0);
    const auto pairs = static_cast<double>(std::accumulate(seen_by.begin(), seen_by.end(), index_t{0}));
    std::array<class_share, key_classes> result{};
    std::array<double, key_classes> norm_sums{};
    std::array<double, key_classes> counts{};
    for (std::size_t key = 0; key < classes.size(); ++key) {
        const auto which = static_cast<std::size_t>(classes[key]);
        result[which].mass += static_cast<double>(received[key]) / given;
        result[which].uniform += static_cast<double>(seen_by[key]) / pairs;
        norm_sums[which] += norms[key];
        counts[which] += 1;
    }
    const std::vector<double> of_positions(norms.begin(), norms.begin() + record.length);
    for (std::size_t which = 0; which < key_classes; ++which) {
        if (counts[which] > 0 && !of_positions.empty()) {
            result[which].value_norm = norm_sums[which] / counts[which] / detail::median(of_positions);
        }
    }
    return result;
}

/// What the positions give to themselves in a head, which is part of what their classes get: the share of its
/// attention, that of an even spread, and no norm. Throws invalid_argument if the record doesn't say it. O(length).
[[nodiscard]] inline class_share own_share(const sink_record& record, index_t layer, index_t head) {
    const std::span<const float> received = record.received_of(layer, head);
    const std::span<const index_t> seen_by = record.seen_by_of(layer);
    const std::span<const float> own = record.own_of(layer, head);
    const auto seen = static_cast<double>(std::count_if(own.begin(), own.end(), [](float each) { return each > 0; }));
    return {.mass =
                std::accumulate(own.begin(), own.end(), 0.0) / std::accumulate(received.begin(), received.end(), 0.0),
            .uniform = seen / static_cast<double>(std::accumulate(seen_by.begin(), seen_by.end(), index_t{0}))};
}

UNMASK_NAMESPACE_END
