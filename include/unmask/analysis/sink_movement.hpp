// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/config.hpp>
#include <unmask/random/philox.hpp>

UNMASK_NAMESPACE_BEGIN

/// The movement of a head's strongest key over the steps of a sequence. Keys are identified by position; extra sinks
/// are at −1, −2, … before the text. Only gated steps count, those whose strongest key is a sink: if attention is
/// nearly uniform, the strongest key means nothing, and even that of an untrained model moves. NaN where there is
/// nothing to measure.
struct sink_movement {
    index_t steps = 0;      ///< number of records
    index_t gated = 0;      ///< steps whose strongest key is a sink
    index_t pairs = 0;      ///< pairs of consecutive gated steps
    index_t distinct = 0;   ///< different strongest keys in gated steps
    double strength = 0;    ///< mean attention of the strongest key in gated steps, in the definition's unit
    double change_rate = 0; ///< share of the pairs in which the strongest key changes
    double residence = 0;   ///< mean number of consecutive gated steps with the same strongest key
    double overlap = 0;     ///< mean Jaccard index of the sinks of a pair: those in both steps over those in either
    /// Mean over gated steps of c = Σ m · position / Σ m, over a step's sinks and the attention m that they received
    /// (Sink-Aware Pruning, arXiv 2602.17664).
    double centroid = 0;
    double centroid_variance = 0; ///< variance of c over gated steps: the temporal variance of that paper
    /// Mean over all steps of the variance of received attention over the keys that every step has: the spatial
    /// variance of that paper.
    double spatial_variance = 0;
};

namespace detail {

inline constexpr double no_measure = std::numeric_limits<double>::quiet_NaN();

// The position of a key; −1, −2, … for extra sinks.
inline index_t position_of(const sink_record& record, std::size_t key) {
    const auto i = static_cast<index_t>(key);
    return i < record.length ? i : record.length - 1 - i;
}

// The summary of a gated step.
struct sink_step {
    index_t strongest;          // position of the strongest key
    std::vector<index_t> sinks; // ascending positions
    double centroid;
};

inline double jaccard(const std::vector<index_t>& a, const std::vector<index_t>& b) {
    std::vector<index_t> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    return static_cast<double>(both.size()) / static_cast<double>(a.size() + b.size() - both.size());
}

inline sink_step sink_step_of(const sink_record& record, const std::vector<double>& received,
                              const std::vector<std::uint8_t>& is_sink, std::size_t strongest) {
    sink_step step{position_of(record, strongest), {}, 0};
    double mass = 0;
    for (std::size_t key = 0; key < received.size(); ++key) {
        if (is_sink[key] != 0) {
            step.sinks.push_back(position_of(record, key));
            step.centroid += received[key] * static_cast<double>(step.sinks.back());
            mass += received[key];
        }
    }
    step.centroid /= mass;
    std::sort(step.sinks.begin(), step.sinks.end());
    return step;
}

// The mean over the steps of the attention that each key receives. Positions that some step lacks are left out.
class mean_over_steps {
public:
    // `received` is from a record with `length` positions.
    void add(std::vector<double> received, index_t length) {
        std::rotate(received.begin(), received.begin() + length,
                    received.end()); // extra sinks first, since texts may grow
        if (steps_++ == 0) {
            sum_ = std::move(received);
            return;
        }
        sum_.resize(std::min(sum_.size(), received.size()));
        for (std::size_t i = 0; i < sum_.size(); ++i) {
            sum_[i] += received[i];
        }
    }
    [[nodiscard]] double variance_over_keys() const {
        const double deviation = mean_and_deviation(sum_).deviation / static_cast<double>(steps_);
        return sum_.empty() ? no_measure : deviation * deviation;
    }

private:
    std::vector<double> sum_;
    index_t steps_ = 0;
};

// Of a layer's head, or of the mean of its heads.
template <class Definition, class... Head>
sink_movement movement(std::span<const sink_record> steps, const Definition& definition, index_t layer, Head... head) {
    sink_movement result{.steps = std::ssize(steps)};
    std::vector<double> centroids;
    std::vector<index_t> strongest;
    mean_over_steps mean;
    index_t runs = 0;
    index_t changes = 0;
    const sink_step* last = nullptr; // the step before, if it was gated
    sink_step steps_of_pair[2];
    for (const sink_record& record : steps) {
        const std::vector<double> received = received_in(record, layer, head..., definition.unit);
        mean.add(received, record.length);
        const std::vector<std::uint8_t> is_sink = sinks_among(received, definition, record, layer, head...);
        const auto top =
            static_cast<std::size_t>(std::max_element(received.begin(), received.end()) - received.begin());
        if (received.empty() || is_sink[top] == 0) {
            last = nullptr;
            continue;
        }
        sink_step& now = steps_of_pair[result.gated % 2];
        now = sink_step_of(record, received, is_sink, top);
        const bool stays = last != nullptr && last->strongest == now.strongest;
        if (last != nullptr) {
            ++result.pairs;
            changes += stays ? 0 : 1;
            result.overlap += jaccard(last->sinks, now.sinks);
        }
        runs += stays ? 0 : 1;
        ++result.gated;
        result.strength += received[top];
        centroids.push_back(now.centroid);
        strongest.push_back(now.strongest);
        last = &now;
    }
    const auto over = [](double sum, index_t count) {
        return count > 0 ? sum / static_cast<double>(count) : no_measure;
    };
    std::sort(strongest.begin(), strongest.end());
    result.distinct = std::unique(strongest.begin(), strongest.end()) - strongest.begin();
    result.strength = over(result.strength, result.gated);
    result.change_rate = over(static_cast<double>(changes), result.pairs);
    result.residence = over(static_cast<double>(result.gated), runs);
    result.overlap = over(result.overlap, result.pairs);
    const mean_and_deviation of_centroids(centroids);
    result.centroid = result.gated > 0 ? of_centroids.mean : no_measure;
    result.centroid_variance = result.gated > 0 ? of_centroids.deviation * of_centroids.deviation : no_measure;
    result.spatial_variance = mean.variance_over_keys();
    return result;
}

} // namespace detail

/// The movement of a head's strongest key over the records of a sequence, in their order. Of keys that received the
/// same, the first is the strongest. O(steps · keys), plus the cost of the definition.
///
/// Published figures are for single heads or for the mean of heads, which are different quantities. To judge a figure,
/// compare it with that of shuffled() records and with that of an untrained model.
template <sink_definition Definition>
[[nodiscard]] sink_movement movement_of(std::span<const sink_record> steps, index_t layer, index_t head,
                                        const Definition& definition) {
    return detail::movement(steps, definition, layer, head);
}

/// The movement of the strongest key in the mean of a layer's heads, as in Attention Floating (arXiv 2601.07894).
template <sink_definition Definition>
[[nodiscard]] sink_movement movement_of(std::span<const sink_record> steps, index_t layer,
                                        const Definition& definition) {
    return detail::movement(steps, definition, layer);
}

/// The records in random order, as a control: if the strongest key changes as often in it, it does
/// not move with the steps.
[[nodiscard]] inline std::vector<sink_record> shuffled(std::span<const sink_record> steps, std::uint64_t seed) {
    std::vector<sink_record> result(steps.begin(), steps.end());
    const philox generator{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}};
    for (std::size_t i = result.size(); i > 1; --i) {
        const auto words = generator({static_cast<std::uint32_t>(i), 0, 0, 0});
        const double uniform = uniform_open(words[0], words[1]);
        std::swap(result[i - 1], result[std::min(i - 1, static_cast<std::size_t>(uniform * static_cast<double>(i)))]);
    }
    return result;
}

UNMASK_NAMESPACE_END
