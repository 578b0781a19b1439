// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>

// Papers disagree about what a sink is, less in thresholds than in units: a key's column sum, its mean over the
// queries, or percent of these. Here each definition states the unit in which it reads attention.

UNMASK_NAMESPACE_BEGIN

/// The unit of received attention. If L queries all see the same L keys, uniform attention is 1, 1/L and 100/L.
enum class attention_unit : std::uint8_t {
    sum,     ///< sum over the queries (column sum), up to their number; its mean over the keys is 1
    mean,    ///< mean over the queries that see the key, up to 1
    percent, ///< 100 · mean
};

namespace detail {

// A definition that reads the norms of values as well.
template <class D>
concept reads_value_norms = requires(const D& definition, std::span<const double> numbers,
                                     std::span<std::uint8_t> is_sink) { definition(numbers, numbers, is_sink); };

} // namespace detail

/// A definition of sinks: decides which keys of a head, or of the mean of several heads, are sinks. It is a struct with
/// a member `unit` and `void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const`,
/// which gets the attention that each key received in that unit and sets the flags of sinks, initially 0, to 1. A key
/// that no query sees received 0. One that takes `(received, value_norms, is_sink)` gets the L2 norms of the keys'
/// values, too. Optional: `description()`, which returns the text that reports show.
template <class D>
concept sink_definition =
    requires(const D& definition, std::span<const double> received, std::span<std::uint8_t> is_sink) {
        { definition.unit } -> std::convertible_to<attention_unit>;
        requires detail::reads_value_norms<D> || requires { definition(received, is_sink); };
    };

namespace detail {

inline void mark_above(double threshold, std::span<const double> received, std::span<std::uint8_t> is_sink) {
    for (std::size_t i = 0; i < received.size(); ++i) {
        is_sink[i] = received[i] > threshold ? 1 : 0;
    }
}

struct mean_and_deviation {
    double mean = 0;
    double deviation = 0; // of the population: divided by the number of values

    template <class Range>
    explicit mean_and_deviation(const Range& values) {
        const auto count = static_cast<double>(std::size(values));
        for (const double value : values) {
            mean += value / count;
        }
        for (const double value : values) {
            deviation += (value - mean) * (value - mean) / count;
        }
        deviation = std::sqrt(deviation);
    }
};

// The median of at least one value; NaN if any is NaN, which can't be ordered.
inline double median(std::vector<double> values) {
    if (std::any_of(values.begin(), values.end(), [](double each) { return std::isnan(each); })) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    const auto middle = values.begin() + std::ssize(values) / 2;
    std::nth_element(values.begin(), middle, values.end());
    return values.size() % 2 == 1 ? *middle : (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// To six digits, in any locale.
inline std::string rounded_text(double number) {
    std::array<char, 32> text{};
    const auto result = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 6);
    return {text.data(), result.ptr};
}

} // namespace detail

/// A sink is a key whose mean received attention is above ε. Gu et al., When Attention Sink Emerges (arXiv 2410.10781):
/// ε = 0.3, for the first key of sequences of 64 tokens; sink_rate() is their metric over heads.
struct above_share {
    static constexpr auto unit = attention_unit::mean; ///< see sink_definition
    double epsilon = 0.3;                              ///< ε

    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        detail::mark_above(epsilon, received, is_sink);
    }
    [[nodiscard]] std::string description() const {
        return "Sinks: mean received attention above " + detail::rounded_text(epsilon) +
               " (Gu et al., arXiv 2410.10781).";
    }
};

/// A sink is a key that receives more than the mean of the other keys by ε. Rulli et al., Attention Sinks in Diffusion
/// Language Models (arXiv 2510.15731), with ε = 3. Their unit can't be mean attention, which is at most 1. It can be
/// the column sum, for which ε = 3 is about 4 times uniform attention, or percent of the queries.
struct above_others {
    double epsilon = 3;                        ///< ε, in `unit`
    attention_unit unit = attention_unit::sum; ///< see sink_definition

    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        const double all = std::accumulate(received.begin(), received.end(), 0.0);
        const auto others = static_cast<double>(received.size()) - 1;
        for (std::size_t i = 0; i < received.size(); ++i) {
            is_sink[i] = others > 0 && received[i] > (all - received[i]) / others + epsilon ? 1 : 0;
        }
    }
    [[nodiscard]] std::string description() const {
        const char* in = unit == attention_unit::sum ? "column sum" : unit == attention_unit::mean ? "mean" : "percent";
        return std::string("Sinks: received attention (") + in + ") more than " + detail::rounded_text(epsilon) +
               " above the mean of the other keys (Rulli et al., arXiv 2510.15731).";
    }
};

/// A sink is a key whose z-score is above c: it receives more than the mean of all keys by c standard deviations.
/// Attention Floating (arXiv 2601.07894) has c = 3, Sink-Aware Pruning (arXiv 2602.17664) c = 2 in the middle of its
/// soft threshold. Among n keys no z-score exceeds √(n − 1): with 10 keys or fewer, c = 3 finds none.
struct above_deviations {
    static constexpr auto unit = attention_unit::sum; ///< see sink_definition
    double deviations = 3;                            ///< c

    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        const detail::mean_and_deviation all(received);
        detail::mark_above(all.mean + deviations * all.deviation, received, is_sink);
    }
    [[nodiscard]] std::string description() const {
        return "Sinks: received attention above mean + " + detail::rounded_text(deviations) +
               " standard deviations over the keys (Attention Floating, arXiv 2601.07894).";
    }
};

/// A sink is a key whose robust z-score is above c: it receives more than the median by c · 1.4826 · MAD, where MAD is
/// the median absolute deviation (1.4826 · MAD is the standard deviation of normal numbers). Unlike in
/// above_deviations, the sinks themselves don't raise the threshold, so a sink is also found among few keys. If more
/// than half of the keys receive equal attention, every key above that is a sink.
struct above_robust_z_score {
    static constexpr auto unit = attention_unit::sum; ///< see sink_definition
    double score = 3;                                 ///< c

    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        if (received.empty()) {
            return;
        }
        std::vector<double> distances(received.begin(), received.end());
        const double median = detail::median(distances);
        for (double& each : distances) {
            each = std::abs(each - median);
        }
        detail::mark_above(median + score * 1.4826 * detail::median(distances), received, is_sink);
    }
    [[nodiscard]] std::string description() const {
        return "Sinks: received attention more than " + detail::rounded_text(score) +
               " robust standard deviations (1.4826 times the median absolute deviation) above the median of the keys.";
    }
};

/// A sink that drains: its mean received attention is above `share`, and the norm of its value is below `value_ratio`
/// times the median norm of the other keys, so that attention to it adds next to nothing. A Unifying View of Attention
/// Sinks (arXiv 2606.08105) tells such sinks, below 0.2, from those that broadcast what they hold, at about 1: a table
/// of all keys with much attention mixes the two. A folded sink without a value has norm 0, and is one whenever its
/// attention is above `share`.
struct null_sink {
    static constexpr auto unit = attention_unit::mean; ///< see sink_definition
    double share = 0.3;                                ///< of the attention of the queries that see the key
    double value_ratio = 0.2;                          ///< of the median norm of the other keys' values

    void operator()(std::span<const double> received, std::span<const double> value_norms,
                    std::span<std::uint8_t> is_sink) const {
        for (std::size_t key = 0; key < received.size(); ++key) {
            if (received[key] > share && received.size() > 1) { // so much: few keys, each with a median of its own
                std::vector<double> others(value_norms.begin(), value_norms.end());
                others.erase(others.begin() + static_cast<std::ptrdiff_t>(key));
                is_sink[key] = value_norms[key] < value_ratio * detail::median(std::move(others)) ? 1 : 0;
            }
        }
    }
    [[nodiscard]] std::string description() const {
        return "Sinks that drain: mean received attention above " + detail::rounded_text(share) +
               ", and a value norm below " + detail::rounded_text(value_ratio) +
               " times the median of the other keys (arXiv 2606.08105).";
    }
};

/// The sinks are the `count` keys that receive most; of equals, those with the lowest positions, and NaN last. Always
/// finds sinks.
struct highest {
    static constexpr auto unit = attention_unit::sum; ///< see sink_definition
    index_t count = 1;                                ///< number of sinks

    void operator()(std::span<const double> received, std::span<std::uint8_t> is_sink) const {
        std::vector<std::size_t> order(received.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        const auto some = std::clamp<index_t>(count, 0, std::ssize(order));
        const auto amount = [&](std::size_t key) {
            return std::isnan(received[key]) ? -std::numeric_limits<double>::infinity() : received[key];
        };
        std::partial_sort(order.begin(), order.begin() + some, order.end(), [&](std::size_t a, std::size_t b) {
            return amount(a) > amount(b) || (amount(a) == amount(b) && a < b);
        });
        for (auto key = order.begin(); key != order.begin() + some; ++key) {
            is_sink[*key] = 1;
        }
    }
    [[nodiscard]] std::string description() const {
        return "Sinks: the " + std::to_string(count) + " keys that receive most.";
    }
};

/// The attention that the keys of a layer received from a head, [record.keys()], in a unit.
[[nodiscard]] inline std::vector<double> received_in(const sink_record& record, index_t layer, index_t head,
                                                     attention_unit unit) {
    const std::span<const float> sums = record.received_of(layer, head);
    const std::span<const index_t> seen_by = record.seen_by_of(layer);
    std::vector<double> result(sums.begin(), sums.end());
    for (std::size_t i = 0; i < result.size() && unit != attention_unit::sum; ++i) {
        const double scale = unit == attention_unit::percent ? 100 : 1;
        result[i] = seen_by[i] > 0 ? scale * result[i] / static_cast<double>(seen_by[i]) : 0;
    }
    return result;
}

/// The attention that the keys of a layer received in the mean of its heads, [record.keys()], in a unit.
[[nodiscard]] inline std::vector<double> received_in(const sink_record& record, index_t layer, attention_unit unit) {
    std::vector<double> mean(static_cast<std::size_t>(record.keys()));
    for (index_t head = 0; head < record.heads; ++head) {
        const std::vector<double> one = received_in(record, layer, head, unit);
        for (std::size_t i = 0; i < mean.size(); ++i) {
            mean[i] += one[i] / static_cast<double>(record.heads);
        }
    }
    return mean;
}

/// The norms of the values that a head reads in a layer, [record.keys()].
[[nodiscard]] inline std::vector<double> value_norms_in(const sink_record& record, index_t layer, index_t head) {
    const std::span<const float> norms = record.value_norms_of(layer, head);
    return {norms.begin(), norms.end()};
}

/// The mean norms of the values that the heads of a layer read, [record.keys()].
[[nodiscard]] inline std::vector<double> value_norms_in(const sink_record& record, index_t layer) {
    std::vector<double> mean(static_cast<std::size_t>(record.keys()));
    for (index_t head = 0; head < record.heads; ++head) {
        const std::vector<double> one = value_norms_in(record, layer, head);
        for (std::size_t i = 0; i < mean.size(); ++i) {
            mean[i] += one[i] / static_cast<double>(record.heads);
        }
    }
    return mean;
}

namespace detail {

// The sinks of a layer's head, or of the mean of its heads, whose keys received this attention.
template <sink_definition Definition, class... Head>
std::vector<std::uint8_t> sinks_among(const std::vector<double>& received, const Definition& definition,
                                      const sink_record& record, index_t layer, Head... head) {
    std::vector<std::uint8_t> is_sink(received.size());
    const std::span<const double> attention(received.data(), received.size());
    const std::span<std::uint8_t> flags(is_sink.data(), is_sink.size());
    if constexpr (reads_value_norms<Definition>) {
        const std::vector<double> norms = value_norms_in(record, layer, head...);
        definition(attention, std::span<const double>(norms.data(), norms.size()), flags);
    } else {
        definition(attention, flags);
    }
    return is_sink;
}

} // namespace detail

/// The sinks of a head, [record.keys()]: 1 for a sink, 0 for other keys.
template <sink_definition Definition>
[[nodiscard]] std::vector<std::uint8_t> sinks_of(const sink_record& record, index_t layer, index_t head,
                                                 const Definition& definition) {
    return detail::sinks_among(received_in(record, layer, head, definition.unit), definition, record, layer, head);
}

/// The sinks of the mean of a layer's heads, [record.keys()]: 1 for a sink, 0 for other keys.
template <sink_definition Definition>
[[nodiscard]] std::vector<std::uint8_t> sinks_of(const sink_record& record, index_t layer,
                                                 const Definition& definition) {
    return detail::sinks_among(received_in(record, layer, definition.unit), definition, record, layer);
}

UNMASK_NAMESPACE_END
