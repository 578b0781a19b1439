// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/hidden_keys.hpp>

#include "cpu_layers.hpp"
#include "transformer.hpp"

namespace sink_study::backcopy {

using namespace language_model;

/// The mask of one sequence: a mask of the whole batch, with the keys hidden that are [MASK] in that sequence.
inline unmask::hidden_keys hiding(unmask::bidirectional /*all*/, std::span<const unmask::range> runs) {
    return unmask::hidden_keys(runs);
}
inline unmask::extra_sink<unmask::hidden_keys> hiding(const unmask::extra_sink<unmask::bidirectional>& all,
                                                      std::span<const unmask::range> runs) {
    return {unmask::hidden_keys(runs), all.position, all.count};
}

/// For each sequence of tokens [sequences, length]: its runs of hidden keys, those that hold the mask.
inline std::vector<std::vector<unmask::range>> masked_runs(std::span<const token_t> tokens, index_t length,
                                                           token_t mask) {
    std::vector<std::vector<unmask::range>> runs;
    for (index_t begin = 0; begin < std::ssize(tokens); begin += length) {
        std::vector<std::uint8_t> hidden;
        for (const token_t each : tokens.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(length))) {
            hidden.push_back(each == mask ? 1 : 0);
        }
        runs.push_back(unmask::hidden_runs(hidden));
    }
    return runs;
}

/// The layers of a batch whose sequences hide different keys: attention is called once for each.
struct hiding_layers : cpu_layers {
    std::vector<std::vector<unmask::range>> runs;

    hiding_layers(const cpu_layers& on, std::vector<std::vector<unmask::range>> of_sequences)
        : cpu_layers(on), runs(std::move(of_sequences)) {}

    template <class Mask, class Sink>
    void attention_forward(const unmask::attention_tensors<float>& tensors, const Mask& mask, const Sink& sink) const {
        for (std::size_t i = 0; i < runs.size(); ++i) {
            unmask::attention_forward(exec, of_sequence(tensors, i), hiding(mask, runs[i]), sink);
        }
    }

    template <class Mask, class Sink>
    void attention_backward(const unmask::attention_tensors<float>& tensors,
                            const unmask::attention_gradients<float>& gradients, const Mask& mask,
                            const Sink& sink) const {
        std::vector<float> sums[3]; // of what a sink learns, which a call overwrites
        float* const learned[3] = {gradients.sink_logits.data, gradients.sink_keys.data, gradients.sink_values.data};
        const index_t sizes[3] = {gradients.sink_logits.size(), gradients.sink_keys.size(),
                                  gradients.sink_values.size()};
        for (std::size_t i = 0; i < runs.size(); ++i) {
            unmask::attention_gradients<float> own = gradients;
            own.output = row_of(gradients.output, i);
            own.query = row_of(gradients.query, i);
            own.key = row_of(gradients.key, i);
            own.value = row_of(gradients.value, i);
            unmask::attention_backward(exec, of_sequence(tensors, i), own, hiding(mask, runs[i]), sink);
            for (int part = 0; part < 3; ++part) {
                sums[part].resize(static_cast<std::size_t>(sizes[part]), 0.0F);
                for (std::size_t j = 0; j < sums[part].size(); ++j) {
                    sums[part][j] += learned[part][j];
                }
            }
        }
        for (int part = 0; part < 3; ++part) {
            std::copy(sums[part].begin(), sums[part].end(), learned[part]);
        }
    }

private:
    template <class T, std::size_t Rank>
    static unmask::tensor_view<T, Rank> row_of(unmask::tensor_view<T, Rank> all, std::size_t i) {
        all.data = all.pointer(static_cast<index_t>(i));
        all.extents[0] = 1;
        return all;
    }
    static unmask::attention_tensors<float> of_sequence(const unmask::attention_tensors<float>& all, std::size_t i) {
        return {row_of(all.query, i), row_of(all.key, i), row_of(all.value, i), row_of(all.output, i),
                row_of(all.log_sum_exp, i)};
    }
};

/// A transformer whose queries do not see [MASK] keys, not even their own.
template <class Mask, class Sink>
class hiding_transformer : public transformer<Mask, Sink> {
public:
    using transformer<Mask, Sink>::transformer;

    void forward(const cpu_layers& on, const model_weights<Sink>& weights, std::span<const token_t> tokens,
                 workspace& work) const {
        transformer<Mask, Sink>::forward(hiding_layers(on, runs_of(tokens, work)), weights, tokens, work);
    }
    void backward(const cpu_layers& on, const model_weights<Sink>& weights, const model_weights<Sink>& gradients,
                  std::span<const token_t> tokens, workspace& work) const {
        transformer<Mask, Sink>::backward(hiding_layers(on, runs_of(tokens, work)), weights, gradients, tokens, work);
    }

    [[nodiscard]] std::vector<std::vector<unmask::range>> runs_of(std::span<const token_t> tokens,
                                                                  const workspace& work) const {
        return masked_runs(tokens, work.length, static_cast<token_t>(this->shape().vocabulary));
    }
};

} // namespace sink_study::backcopy
