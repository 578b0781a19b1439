// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/attention/attention.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/observer.hpp>

namespace sink_study {

using unmask::index_t;

/// A sink_tracker that counts some queries of a text alone, wherever they stand, and notes what each gives to itself.
/// It observes a sampler's run.
class query_tracker {
public:
    /// Reports a layer of a text [1, sinks + length, heads, head_dim], after its forward pass: the queries of `rows`
    /// alone. The mask shows all of them the same keys. They see themselves, or all of them don't.
    template <class Mask, class Sink>
    void attention(const unmask::cpu_executor& exec, index_t layer, index_t sequence,
                   const unmask::attention_tensors<float>& all, std::span<const index_t> rows, index_t sinks,
                   const Mask& mask, const Sink& sink, bool see_themselves = true) {
        gathered some(all, rows);
        tracker_.attention(exec, layer, std::span(&sequence, 1), some.tensors(all), mask, sink,
                           {.query_offset = sinks});
        const auto of_layer = own_shares(all, see_themselves ? rows : std::span<const index_t>{}, sinks);
        std::vector<float>& own = own_[{tracker_.calls(), sequence}];
        own.insert(own.end(), of_layer.begin(), of_layer.end());
    }

    void operator()(const unmask::sampler_step& step) { tracker_(step); }

    [[nodiscard]] std::vector<unmask::sink_record> records() const {
        std::vector<unmask::sink_record> result(tracker_.records().begin(), tracker_.records().end());
        for (unmask::sink_record& each : result) {
            each.own = own_.at({each.call, each.sequence});
        }
        return result;
    }

private:
    // Queries beside each other, with what is needed to see where their attention went.
    struct gathered {
        std::vector<float> query;
        std::vector<float> log_sum_exp;

        gathered(const unmask::attention_tensors<float>& all, std::span<const index_t> rows) {
            const index_t heads = all.query.extents[2];
            const index_t dim = all.query.extents[3];
            for (const index_t row : rows) {
                for (index_t head = 0; head < heads; ++head) {
                    query.insert(query.end(), all.query.pointer(0, row, head), all.query.pointer(0, row, head) + dim);
                }
            }
            for (index_t head = 0; head < heads; ++head) {
                for (const index_t row : rows) {
                    log_sum_exp.push_back(all.log_sum_exp(0, head, row));
                }
            }
        }

        [[nodiscard]] unmask::attention_tensors<float> tensors(const unmask::attention_tensors<float>& all) {
            const index_t heads = all.query.extents[2];
            const index_t count = std::ssize(log_sum_exp) / heads;
            const float* const rows = query.data();
            return {.query = unmask::view(rows, 1, count, heads, all.query.extents[3]),
                    .key = all.key,
                    .value = all.value,
                    .output = {},
                    .log_sum_exp = unmask::view(log_sum_exp.data(), 1, heads, count)};
        }
    };

    // What the queries of some rows give to their own keys, [heads, length of the text].
    static std::vector<float> own_shares(const unmask::attention_tensors<float>& all, std::span<const index_t> rows,
                                         index_t sinks) {
        const index_t heads = all.query.extents[2];
        const index_t dim = all.query.extents[3];
        const index_t length = all.query.extents[1] - sinks;
        std::vector<float> own(static_cast<std::size_t>(heads * length), 0.0F);
        for (const index_t row : rows) {
            for (index_t head = 0; head < heads; ++head) {
                const float* q = all.query.pointer(0, row, head);
                const float* k = all.key.pointer(0, row, head);
                double score = 0.0;
                for (index_t i = 0; i < dim; ++i) {
                    score += static_cast<double>(q[i]) * static_cast<double>(k[i]);
                }
                const double probability = std::exp(score / std::sqrt(static_cast<double>(dim)) -
                                                    static_cast<double>(all.log_sum_exp(0, head, row)));
                own[static_cast<std::size_t>(head * length + row - sinks)] = static_cast<float>(probability);
            }
        }
        return own;
    }

    unmask::sink_tracker tracker_;
    std::map<std::pair<index_t, index_t>, std::vector<float>> own_; // by call and sequence
};

} // namespace sink_study
