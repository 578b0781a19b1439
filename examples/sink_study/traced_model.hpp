// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/ranges.hpp>

#include "cpu_layers.hpp"
#include "query_tracker.hpp"
#include "transformer.hpp"

namespace sink_study {

using namespace language_model;

/// A trained model, whatever its policies, that can be asked where its attention went.
class traced_model {
public:
    virtual ~traced_model() = default;

    /// Runs a text, some of it masked: logits [length, vocabulary], valid until the next text.
    virtual const_matrix logits(std::span<const token_t> tokens) = 0;

    /// Reports the last text to a tracker, with the queries of these positions alone. `seen` is how many positions
    /// there are for them to see: the whole text, or what an exact cache holds after them.
    virtual void report(unmask::sink_tracker& tracker, index_t sequence, unmask::range queries, index_t seen) const = 0;

    /// Reports the last text to a tracker of some queries, of these positions, if all of them see the whole text, and
    /// else nothing.
    virtual void report(query_tracker& tracker, index_t sequence, std::span<const index_t> queries) const = 0;
};

/// Runs on the calling thread alone.
template <class Transformer>
class traced_transformer final : public traced_model {
public:
    traced_transformer(const Transformer& model, std::vector<float>& weights, index_t length)
        : model_(model), weights_(model.bound(weights.data())), work_(model.make_workspace(1, length)) {
        use_one_blas_thread();
    }

    const_matrix logits(std::span<const token_t> tokens) override {
        model_.forward(cpu_layers{exec_}, weights_, tokens, work_);
        return work_.logits;
    }

    void report(unmask::sink_tracker& tracker, index_t sequence, unmask::range queries, index_t seen) const override {
        for (index_t layer = 0; layer < std::ssize(work_.layers); ++layer) {
            const auto i = static_cast<std::size_t>(layer);
            const auto [tensors, offset] = part_of(model_.attention_tensors(work_.layers[i], work_), queries, seen);
            tracker.attention(exec_, layer, std::span(&sequence, 1), tensors, model_.mask(),
                              weights_.layers[i].sink.policy(), {.query_offset = offset});
            tracker.stream(layer, sequence, rows_of(content(work_.layers[i].input), queries.begin, length_of(queries)));
        }
        tracker.stream(std::ssize(work_.layers), sequence,
                       rows_of(content(work_.stream), queries.begin, length_of(queries)));
    }

    void report(query_tracker& tracker, index_t sequence, std::span<const index_t> queries) const override {
        using mask = std::remove_cvref_t<decltype(model_.mask())>;
        if constexpr (std::same_as<mask, unmask::bidirectional> ||
                      std::same_as<mask, unmask::extra_sink<unmask::bidirectional>>) {
            std::vector<index_t> rows(queries.begin(), queries.end());
            for (index_t& each : rows) {
                each += model_.sinks();
            }
            for (index_t layer = 0; layer < std::ssize(work_.layers); ++layer) {
                const auto i = static_cast<std::size_t>(layer);
                tracker.attention(exec_, layer, sequence, model_.attention_tensors(work_.layers[i], work_), rows,
                                  model_.sinks(), model_.mask(), weights_.layers[i].sink.policy());
            }
        }
    }

private:
    static index_t length_of(unmask::range range) { return range.end - range.begin; }

    [[nodiscard]] const_matrix content(const matrix& stream) const { return model_.content(stream, 0, work_); }

    // Queries of some positions, and the keys before the end of what they see. A pass over the whole text has the sink
    // tokens' rows as well, which the tracker leaves out by itself.
    [[nodiscard]] std::pair<unmask::attention_tensors<float>, index_t> part_of(unmask::attention_tensors<float> all,
                                                                               unmask::range queries,
                                                                               index_t seen) const {
        const index_t offset = model_.sinks() + queries.begin;
        const index_t count = length_of(queries);
        all.query.data = all.query.pointer(0, offset);
        all.query.extents[1] = count;
        all.output.data = all.output.pointer(0, offset);
        all.output.extents[1] = count;
        all.log_sum_exp.data = all.log_sum_exp.pointer(0, 0, offset);
        all.log_sum_exp.extents[2] = count;
        all.key.extents[1] = model_.sinks() + seen;
        all.value.extents[1] = model_.sinks() + seen;
        return {all, offset};
    }

    const Transformer& model_;
    typename Transformer::weights_type weights_;
    workspace work_;
    unmask::cpu_executor exec_{1};
};

} // namespace sink_study
