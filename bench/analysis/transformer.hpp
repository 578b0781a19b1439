// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "layers.hpp"

#include "../support/buffers.hpp"

namespace bench {

/// What a model has for the tracker's sake.
enum class hook {
    absent,    ///< nothing
    attention, ///< log-sum-exps, and a report of each layer's attention
    streams,   ///< and of the streams between the layers
};

/// A transformer of the size of examples/language_model, with random weights: 5 layers, width 192, 3 heads.
template <hook Hook>
class transformer {
public:
    static constexpr unmask::index_t layers = 5;
    static constexpr unmask::index_t width = 192;
    static constexpr unmask::index_t heads = 3;
    static constexpr unmask::index_t head_dim = width / heads;
    static constexpr unmask::index_t ffn = 512;
    static constexpr unmask::vocabulary tokens{.size = 64, .mask = 64, .end = {}};

    unmask::sink_tracker* tracker = nullptr;

    transformer(const unmask::cpu_executor& exec, unmask::index_t batch, unmask::index_t length)
        : exec_(exec), batch_(batch), length_(length), sequences_(static_cast<std::size_t>(batch)) {
        language_model::use_one_blas_thread();
        std::iota(sequences_.begin(), sequences_.end(), unmask::index_t{0});
        language_model::fill_rotary_table(angles_.view());
    }

    unmask::vocabulary vocabulary() const { return tokens; }

    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        for (unmask::index_t i = 0; i < batch_ * length_; ++i) {
            const unmask::token_t token = page.tokens()[static_cast<std::size_t>(i)];
            std::copy_n(embedding_.view().pointer(token), width, stream_.view().pointer(i));
        }
        for (unmask::index_t layer = 0; layer < layers; ++layer) {
            report_streams(layer);
            run_layer(layer);
        }
        report_streams(layers);
        language_model::rms_norm(stream_.view(), ones_.view(), normed_.view());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const unmask::index_t at = rows[i].sequence * length_ + rows[i].position;
            language_model::multiply(language_model::rows_of(normed_.view(), at, 1), head_.view(),
                                     language_model::rows_of(logits, static_cast<unmask::index_t>(i), 1));
        }
    }

private:
    struct owned_matrix {
        unmask::index_t rows, columns;
        std::vector<float> memory;

        owned_matrix(unmask::index_t r, unmask::index_t c)
            : rows(r), columns(c), memory(static_cast<std::size_t>(r * c)) {}
        // Random weights of a product.
        owned_matrix(unmask::index_t r, unmask::index_t c, unsigned seed) : owned_matrix(r, c) {
            memory = numbers<float>(r * c, seed);
            for (float& each : memory) {
                each /= std::sqrt(static_cast<float>(r));
            }
        }
        [[nodiscard]] language_model::matrix view() { return unmask::view(memory.data(), rows, columns); }
    };
    struct layer_weights {
        owned_matrix query_key_value, output, gate_up, down;

        explicit layer_weights(unsigned seed)
            : query_key_value(width, 3 * width, seed), output(width, width, seed + 1),
              gate_up(width, 2 * ffn, seed + 2), down(ffn, width, seed + 3) {}
    };

    // Calls body(part) for every worker; part(matrix) is then its share of the rows.
    template <class Body>
    void in_row_blocks(const Body& body) {
        const unmask::index_t rows = batch_ * length_;
        const unmask::index_t blocks = exec_.workers();
        exec_.parallel_for(blocks, [&](unmask::index_t block, int) {
            const unmask::index_t begin = block * rows / blocks;
            body([=](owned_matrix& whole) {
                return language_model::rows_of(whole.view(), begin, (block + 1) * rows / blocks - begin);
            });
        });
    }

    void run_layer(unmask::index_t layer) {
        layer_weights& weights = weights_[static_cast<std::size_t>(layer)];
        in_row_blocks([&](const auto& part) {
            language_model::rms_norm(part(stream_), ones_.view(), part(normed_));
            language_model::multiply(part(normed_), weights.query_key_value.view(), part(query_key_value_));
        });
        for (unmask::index_t i = 0; i < batch_ * length_; ++i) {
            language_model::rotate(query_key_value_.view().pointer(i), 2 * heads, head_dim,
                                   angles_.view().pointer(i % length_), 1.0F);
        }
        const unmask::attention_tensors<float> tensors{heads_of(query_key_value_, 0), heads_of(query_key_value_, width),
                                                       heads_of(query_key_value_, 2 * width), heads_of(attended_, 0),
                                                       log_sum_exp()};
        unmask::attention_forward(exec_, tensors, unmask::bidirectional{});
        if constexpr (Hook != hook::absent) {
            if (tracker != nullptr) {
                tracker->attention(exec_, layer, sequences_, tensors, unmask::bidirectional{});
            }
        }
        in_row_blocks([&](const auto& part) {
            language_model::add_product(part(attended_), weights.output.view(), part(stream_));
            language_model::rms_norm(part(stream_), ones_.view(), part(normed_));
            language_model::multiply(part(normed_), weights.gate_up.view(), part(gate_up_));
            language_model::swiglu(part(gate_up_), part(activated_));
            language_model::add_product(part(activated_), weights.down.view(), part(stream_));
        });
    }

    void report_streams([[maybe_unused]] unmask::index_t layer) {
        if constexpr (Hook == hook::streams) {
            for (unmask::index_t b = 0; tracker != nullptr && b < batch_; ++b) {
                tracker->stream(layer, b, language_model::rows_of(stream_.view(), b * length_, length_));
            }
        }
    }

    unmask::tensor_view<float, 3> log_sum_exp() {
        return Hook == hook::absent || tracker == nullptr
                   ? unmask::tensor_view<float, 3>{}
                   : unmask::view(log_sum_exp_.memory.data(), batch_, heads, length_);
    }

    unmask::tensor_view<float, 4> heads_of(owned_matrix& rows, unmask::index_t begin) {
        return {rows.memory.data() + begin,
                {batch_, length_, heads, head_dim},
                {length_ * rows.columns, rows.columns, head_dim, 1}};
    }

    unmask::cpu_executor exec_;
    unmask::index_t batch_;
    unmask::index_t length_;
    std::vector<unmask::index_t> sequences_;
    std::vector<layer_weights> weights_{layer_weights(1), layer_weights(5), layer_weights(9), layer_weights(13),
                                        layer_weights(17)};
    owned_matrix embedding_{tokens.size + 1, width, 21U};
    owned_matrix head_{width, tokens.size, 22U};
    owned_matrix ones_ = [] {
        owned_matrix result(1, width);
        std::fill(result.memory.begin(), result.memory.end(), 1.0F);
        return result;
    }();
    owned_matrix angles_{length_, head_dim};
    owned_matrix stream_{batch_ * length_, width};
    owned_matrix normed_{batch_ * length_, width};
    owned_matrix query_key_value_{batch_ * length_, 3 * width};
    owned_matrix attended_{batch_ * length_, width};
    owned_matrix gate_up_{batch_ * length_, 2 * ffn};
    owned_matrix activated_{batch_ * length_, ffn};
    owned_matrix log_sum_exp_{batch_ * heads, length_};
};

} // namespace bench
