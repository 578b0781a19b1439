// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/numeric/detail/falling.hpp>

// The strength of sinks, and the norms of their values.

UNMASK_NAMESPACE_BEGIN

/// A mean over steps and its standard deviation (of the population: divided by the number of steps).
struct over_steps {
    double mean = std::numeric_limits<double>::quiet_NaN();      ///< NaN without steps
    double deviation = std::numeric_limits<double>::quiet_NaN(); ///< NaN without steps
};

/// The share of all (record, layer, head) in which `key`, an index among a record's keys, is a sink, or in which any
/// key is if none is given. With above_share it is Sink_k^ε of Gu et al. (arXiv 2410.10781). NaN without records.
template <sink_definition Definition>
[[nodiscard]] double sink_rate(std::span<const sink_record> records, const Definition& definition,
                               std::optional<index_t> key = {}) {
    double sinks = 0;
    double heads = 0;
    for (const sink_record& record : records) {
        for (index_t layer = 0; layer < record.layers; ++layer) {
            for (index_t head = 0; head < record.heads; ++head) {
                const std::vector<std::uint8_t> is_sink = sinks_of(record, layer, head, definition);
                const bool found =
                    key ? *key >= 0 && *key < record.keys() && is_sink[static_cast<std::size_t>(*key)] != 0
                        : std::count(is_sink.begin(), is_sink.end(), 0) < std::ssize(is_sink);
                sinks += found ? 1 : 0;
                heads += 1;
            }
        }
    }
    return heads > 0 ? sinks / heads : std::numeric_limits<double>::quiet_NaN();
}

/// The share of a head's attention that goes to the `count` keys that receive most; NaN if the head gives none.
[[nodiscard]] inline double top_mass(const sink_record& record, index_t layer, index_t head, index_t count) {
    std::vector<double> received = received_in(record, layer, head, attention_unit::sum);
    const double all = std::accumulate(received.begin(), received.end(), 0.0);
    const auto some = received.begin() + std::clamp<index_t>(count, 0, std::ssize(received));
    std::partial_sort(received.begin(), some, received.end(), detail::falling{});
    return std::accumulate(received.begin(), some, 0.0) / all;
}

/// The share of a head's attention that goes to the extra sinks; 0 without extra sinks, NaN if the head gives none.
[[nodiscard]] inline double extra_mass(const sink_record& record, index_t layer, index_t head) {
    const std::vector<double> received = received_in(record, layer, head, attention_unit::sum);
    return std::accumulate(received.begin() + record.length, received.end(), 0.0) /
           std::accumulate(received.begin(), received.end(), 0.0);
}

/// extra_mass over steps. A deviation that is small compared with the mean shows a sink that does not move.
[[nodiscard]] inline over_steps extra_mass_of(std::span<const sink_record> steps, index_t layer, index_t head) {
    std::vector<double> masses;
    for (const sink_record& record : steps) {
        masses.push_back(extra_mass(record, layer, head));
    }
    if (masses.empty()) {
        return {};
    }
    const detail::mean_and_deviation all(masses);
    return {all.mean, all.deviation};
}

namespace detail {

// The mean norm of the sinks over the median norm of the other positions of the sequence, if there are both.
inline std::optional<double> norm_ratio(const std::vector<double>& norms, const std::vector<std::uint8_t>& is_sink,
                                        index_t length) {
    double sum = 0;
    double sinks = 0;
    std::vector<double> others;
    for (std::size_t key = 0; key < norms.size(); ++key) {
        if (is_sink[key] != 0) {
            sum += norms[key];
            sinks += 1;
        } else if (key < static_cast<std::size_t>(length)) {
            others.push_back(norms[key]);
        }
    }
    if (sinks == 0 || others.empty()) {
        return {};
    }
    return sum / sinks / median(std::move(others));
}

// The mean of ratio(record) over the records for which it is defined.
template <class Ratio>
double mean_ratio(std::span<const sink_record> steps, const Ratio& ratio) {
    double sum = 0;
    double count = 0;
    for (const sink_record& record : steps) {
        if (const std::optional<double> one = ratio(record)) {
            sum += *one;
            count += 1;
        }
    }
    return count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
}

} // namespace detail

/// The mean value norm of a head's sinks divided by the median norm of all other positions (One Token Is Enough, arXiv
/// 2601.19657, Eq. 15), averaged over the steps that have both; NaN if none has. Below 1, sinks carry little content.
template <sink_definition Definition>
[[nodiscard]] double value_norm_ratio_of(std::span<const sink_record> steps, index_t layer, index_t head,
                                         const Definition& definition) {
    return detail::mean_ratio(steps, [&](const sink_record& record) {
        return detail::norm_ratio(value_norms_in(record, layer, head), sinks_of(record, layer, head, definition),
                                  record.length);
    });
}

/// The ratio for a layer, from the mean norm over its heads, r̄ of Eq. 16, and the sinks of the mean of its heads.
template <sink_definition Definition>
[[nodiscard]] double value_norm_ratio_of(std::span<const sink_record> steps, index_t layer,
                                         const Definition& definition) {
    return detail::mean_ratio(steps, [&](const sink_record& record) {
        return detail::norm_ratio(value_norms_in(record, layer), sinks_of(record, layer, definition), record.length);
    });
}

/// The mean value norm of the extra sinks divided by the median norm of the positions, averaged over the steps; NaN
/// without extra sinks.
[[nodiscard]] inline double extra_norm_ratio_of(std::span<const sink_record> steps, index_t layer, index_t head) {
    return detail::mean_ratio(steps, [&](const sink_record& record) {
        const std::span<const float> norms = record.value_norms_of(layer, head);
        std::vector<std::uint8_t> is_sink(norms.size());
        std::fill(is_sink.begin() + record.length, is_sink.end(), std::uint8_t{1});
        return detail::norm_ratio(std::vector<double>(norms.begin(), norms.end()), is_sink, record.length);
    });
}

UNMASK_NAMESPACE_END
