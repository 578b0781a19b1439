// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "exact_facts.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>

#include "cpu_layers.hpp"
#include "transformer.hpp"

namespace sink_study {

namespace {

using namespace language_model;
using unmask::bidirectional;
using unmask::extra_sink;

constexpr index_t length = 24;
constexpr model_shape shape{.vocabulary = 30, .width = 32, .layers = 3, .heads = 2, .ffn = 48};
const unmask::cpu_executor exec{1};

double difference(std::span<const float> a, std::span<const float> b) {
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        largest = std::max(largest, std::isnan(apart) ? INFINITY : apart);
    }
    return largest;
}

// A model with one sink token in front, run on a text of its own.
struct example_run {
    transformer<extra_sink<bidirectional>> model{shape, {.inner = {}, .position = 0, .count = 1}};
    std::vector<float> weights = initial_weights(model.places(), shape, 1);
    workspace work = model.make_workspace(1, length);

    explicit example_run(index_t text) {
        use_one_blas_thread();
        for (float& weight : weights) {
            weight *= 4.0F;
        }
        std::vector<token_t> tokens;
        for (index_t i = 0; i < length; ++i) {
            tokens.push_back(static_cast<token_t>((i * i + text * (i + 3)) % (shape.vocabulary + 1)));
        }
        model.forward(cpu_layers{exec}, model.bound(weights.data()), tokens, work);
    }

    // What the sink token's stream is in front of a layer.
    [[nodiscard]] std::span<const float> sink_before(std::size_t layer) const {
        const matrix& stream = layer < work.layers.size() ? work.layers[layer].input : work.stream;
        return {stream.pointer(0), static_cast<std::size_t>(shape.width)};
    }
    [[nodiscard]] unmask::attention_tensors<float> attention(std::size_t layer) const {
        return model.attention_tensors(work.layers[layer], work);
    }
};

double sink_depends_on_text() {
    const example_run a(1);
    const example_run b(2);
    double largest = 0.0;
    for (std::size_t layer = 0; layer <= a.work.layers.size(); ++layer) {
        largest = std::max(largest, difference(a.sink_before(layer), b.sink_before(layer)));
    }
    return difference({a.work.stream.pointer(1), length}, {b.work.stream.pointer(1), length}) > 0.0 ? largest
                                                                                                    : INFINITY;
}

double output_is_not_value() {
    const example_run run(1);
    double largest = 0.0;
    for (std::size_t layer = 0; layer < run.work.layers.size(); ++layer) {
        const auto tensors = run.attention(layer);
        for (index_t head = 0; head < shape.heads; ++head) {
            const auto size = static_cast<std::size_t>(shape.head_dim());
            largest = std::max(largest, difference({tensors.output.pointer(0, 0, head), size},
                                                   {tensors.value.pointer(0, 0, head), size}));
        }
    }
    return largest;
}

// The largest difference, in any layer, between the text's rows of its attention and what attend(tensors, output)
// makes of them, over the largest number in them.
template <class Attend>
double other_attention(const Attend& attend) {
    const example_run run(1);
    double largest = 0.0;
    for (std::size_t layer = 0; layer < run.work.layers.size(); ++layer) {
        const auto tensors = run.attention(layer);
        std::vector<float> output(static_cast<std::size_t>(length * shape.width));
        attend(tensors, output);
        std::vector<float> expected;
        for (index_t row = 1; row <= length; ++row) {
            expected.insert(expected.end(), tensors.output.pointer(0, row),
                            tensors.output.pointer(0, row) + shape.width);
        }
        const std::vector<float> zeros(expected.size());
        const double share = difference(expected, output) / difference(expected, zeros);
        largest = std::max(largest, std::isnan(share) ? INFINITY : share);
    }
    return largest;
}

// The same queries, keys and values with the sink's row behind the text: turned by the same angle, in another place.
double end_is_not_front() {
    return other_attention([](const unmask::attention_tensors<float>& tensors, std::vector<float>& output) {
        std::vector<float> moved[4];
        const auto turned = [&](const unmask::tensor_view<const float, 4>& rows, std::vector<float>& to) {
            for (index_t row = 1; row <= length + 1; ++row) {
                const float* from = rows.pointer(0, row % (length + 1));
                to.insert(to.end(), from, from + shape.width);
            }
            return unmask::view(static_cast<const float*>(to.data()), 1, length + 1, shape.heads, shape.head_dim());
        };
        moved[3].resize(static_cast<std::size_t>((length + 1) * shape.width));
        unmask::attention_forward(
            exec,
            unmask::attention_tensors<float>{
                .query = turned(tensors.query, moved[0]),
                .key = turned(tensors.key, moved[1]),
                .value = turned(tensors.value, moved[2]),
                .output = unmask::view(moved[3].data(), 1, length + 1, shape.heads, shape.head_dim()),
                .log_sum_exp = {}},
            extra_sink<bidirectional>{.inner = {}, .position = length, .count = 1});
        std::copy_n(moved[3].begin(), output.size(), output.begin());
    });
}

// The sink's key and value folded into the softmax of the text alone.
double folded_is_not_literal() {
    return other_attention([](unmask::attention_tensors<float> tensors, std::vector<float>& output) {
        const unmask::key_value_sink sink{unmask::tensor_view<const float, 2>{
                                              tensors.key.data, {shape.heads, shape.head_dim()}, {shape.head_dim(), 1}},
                                          unmask::tensor_view<const float, 2>{tensors.value.data,
                                                                              {shape.heads, shape.head_dim()},
                                                                              {shape.head_dim(), 1}}};
        for (auto* each : {&tensors.query, &tensors.key, &tensors.value}) {
            each->data = each->pointer(0, 1);
            each->extents[1] = length;
        }
        tensors.output = unmask::view(output.data(), 1, length, shape.heads, shape.head_dim());
        tensors.log_sum_exp = {};
        unmask::attention_forward(exec, tensors, bidirectional{}, sink);
    });
}

} // namespace

std::vector<exact_fact> exact_facts() {
    constexpr double rounding = 1e-5; // of sums in another order
    return {{"The sink token's stream, in every layer, is the same whatever the text", sink_depends_on_text(), 0.0},
            {"What the sink token attends to is its own value", output_is_not_value(), 0.0},
            {"At the end of the text, with the same rotary position, it is what it is in front", end_is_not_front(),
             rounding},
            {"Folded into the softmax, it is what it is as a token", folded_is_not_literal(), rounding}};
}

} // namespace sink_study
