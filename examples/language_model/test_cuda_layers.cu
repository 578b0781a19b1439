// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The layers on the GPU give what those on the CPU give.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <unmask/executor/caching_memory_resource.cuh>
#include <unmask/random/philox.hpp>

#include "adamw.hpp"
#include "cpu_layers.hpp"
#include "cuda/adamw.cuh"
#include "cuda/cuda_layers.cuh"
#include "loss.hpp"
#include "rotary.hpp"

using namespace language_model;

namespace {

// An array that both have.
template <class T = float>
struct twin {
    std::vector<T> host;
    device_array<T> device;

    explicit twin(std::vector<T> elements) : host(elements), device(elements) {}
};

std::vector<float> noise(index_t size, std::uint32_t seed, float scale = 1.0F) {
    const unmask::philox generator{{seed, 0x6e6f6973U}};
    std::vector<float> values;
    for (index_t i = 0; i < size; ++i) {
        const auto words = generator({static_cast<std::uint32_t>(i), 0, 0, 0});
        values.push_back(scale * static_cast<float>(2.0 * unmask::uniform_open(words[0], words[1]) - 1.0));
    }
    return values;
}
twin<float> random_twin(index_t size, std::uint32_t seed, float scale = 1.0F) {
    return twin<float>(noise(size, seed, scale));
}

matrix on_host(twin<float>& of, index_t rows, index_t columns) {
    return unmask::view(of.host.data(), rows, columns);
}
matrix on_device(const twin<float>& of, index_t rows, index_t columns) {
    return unmask::view(of.device.data(), rows, columns);
}

// Of groups of rows behind `skipped` others.
grouped_rows grouped(float* data, index_t groups, index_t skipped, index_t rows, index_t columns) {
    return {data + skipped * columns, {groups, rows, columns}, {(skipped + rows) * columns, columns, 1}};
}

struct fixture {
    cudaStream_t stream = nullptr;
    unmask::caching_memory_resource scratch;
    device_blas blas;
    cpu_layers cpu{{1}};

    fixture() { REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess); }
    fixture(const fixture&) = delete;
    fixture& operator=(const fixture&) = delete;
    ~fixture() { (void)cudaStreamDestroy(stream); }

    [[nodiscard]] unmask::cuda_executor exec() { return {stream, &scratch}; }
    [[nodiscard]] cuda_layers gpu() { return {exec(), blas}; }

    // Checks that an array is the same on both, but for rounding: `bound` of its largest number.
    void same(const twin<float>& of, double bound = 1e-6) const {
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        const std::vector<float> found = of.device.read();
        double largest = 0.0;
        double apart = 0.0;
        for (std::size_t i = 0; i < found.size(); ++i) {
            largest = std::fmax(largest, std::fabs(static_cast<double>(of.host[i])));
            const double difference = std::fabs(static_cast<double>(of.host[i]) - static_cast<double>(found[i]));
            apart = difference <= apart ? apart : difference; // NaN is larger than anything
        }
        CAPTURE(apart);
        CHECK((largest > 0.0 || found.size() < 8));
        CHECK(apart <= bound * largest);
    }
};

struct shape {
    index_t groups;
    index_t skipped;
    index_t rows;
    index_t columns;

    [[nodiscard]] index_t all_rows() const { return groups * rows; }
    [[nodiscard]] index_t size() const { return groups * (skipped + rows) * columns; }
};
// Rows, columns and groups that are multiples of nothing, and one of each.
constexpr shape shapes[] = {{1, 0, 1, 1},   {1, 0, 1, 33},   {3, 1, 7, 20},
                            {2, 4, 33, 64}, {1, 0, 70, 300}, {5, 2, 9, 257}};

} // namespace

TEST_CASE("rms_norm and its gradients") {
    fixture on;
    for (const shape& s : shapes) {
        CAPTURE(s.rows);
        CAPTURE(s.columns);
        auto input = random_twin(s.size(), 1);
        auto gain = random_twin(s.columns, 2);
        auto output = random_twin(s.all_rows() * s.columns, 3);
        const auto host_rows = [&](twin<float>& of) {
            return grouped(of.host.data(), s.groups, s.skipped, s.rows, s.columns);
        };
        const auto device_rows = [&](const twin<float>& of) {
            return grouped(of.device.data(), s.groups, s.skipped, s.rows, s.columns);
        };
        on.cpu.rms_norm(host_rows(input), on_host(gain, 1, s.columns), on_host(output, s.all_rows(), s.columns));
        on.gpu().rms_norm(device_rows(input), on_device(gain, 1, s.columns),
                          on_device(output, s.all_rows(), s.columns));
        on.same(output);

        auto d_output = random_twin(s.all_rows() * s.columns, 4);
        auto d_input = random_twin(s.size(), 5);
        auto d_gain = random_twin(s.columns, 6);
        on.cpu.rms_norm_backward(host_rows(input), on_host(gain, 1, s.columns),
                                 on_host(d_output, s.all_rows(), s.columns), host_rows(d_input),
                                 on_host(d_gain, 1, s.columns));
        on.gpu().rms_norm_backward(device_rows(input), on_device(gain, 1, s.columns),
                                   on_device(d_output, s.all_rows(), s.columns), device_rows(d_input),
                                   on_device(d_gain, 1, s.columns));
        on.same(d_input, 3e-6);
        on.same(d_gain, 3e-6);
    }
}

TEST_CASE("embedding, sink rows and their gradients") {
    fixture on;
    constexpr index_t table_rows = 5;
    for (const shape& s : shapes) {
        CAPTURE(s.rows);
        std::vector<token_t> some;
        for (index_t i = 0; i < s.all_rows(); ++i) {
            some.push_back(static_cast<token_t>(i * i % 7 % table_rows)); // some tokens more than others
        }
        const twin<token_t> tokens(some);
        auto table = random_twin(table_rows * s.columns, 1);
        auto sinks = random_twin(std::max<index_t>(s.skipped, 1) * s.columns, 2);
        auto stream = random_twin(s.size(), 3);
        const std::span here(tokens.host);
        const std::span there(tokens.device.data(), tokens.host.size());
        const auto text = [&](float* data) { return grouped(data, s.groups, s.skipped, s.rows, s.columns); };
        const auto before = [&](float* data) {
            return grouped_rows{
                data, {s.groups, s.skipped, s.columns}, {(s.skipped + s.rows) * s.columns, s.columns, 1}};
        };
        on.cpu.embed(here, on_host(table, table_rows, s.columns), text(stream.host.data()));
        on.gpu().embed(there, on_device(table, table_rows, s.columns), text(stream.device.data()));
        on.cpu.repeat(on_host(sinks, s.skipped, s.columns), before(stream.host.data()));
        on.gpu().repeat(on_device(sinks, s.skipped, s.columns), before(stream.device.data()));
        on.same(stream, 0.0);

        on.cpu.embed_backward(here, text(stream.host.data()), on_host(table, table_rows, s.columns));
        on.gpu().embed_backward(there, text(stream.device.data()), on_device(table, table_rows, s.columns));
        on.same(table, 1e-5);
        on.cpu.repeat_backward(before(stream.host.data()), on_host(sinks, s.skipped, s.columns));
        on.gpu().repeat_backward(before(stream.device.data()), on_device(sinks, s.skipped, s.columns));
        on.same(sinks, 1e-5);
    }
    // More tokens than one part has.
    std::vector<token_t> many;
    for (index_t i = 0; i < 600; ++i) {
        many.push_back(static_cast<token_t>(i % 3));
    }
    const twin<token_t> tokens(many);
    auto rows = random_twin(600 * 3, 4);
    auto table = random_twin(3 * 3, 5);
    on.cpu.embed_backward(tokens.host, grouped(rows.host.data(), 2, 0, 300, 3), on_host(table, 3, 3));
    on.gpu().embed_backward({tokens.device.data(), many.size()}, grouped(rows.device.data(), 2, 0, 300, 3),
                            on_device(table, 3, 3));
    on.same(table, 1e-5);
}

TEST_CASE("rotation, there and back") {
    fixture on;
    for (const auto& [rows, heads, dim] : {std::tuple<index_t, index_t, index_t>{1, 1, 2}, {7, 3, 6}, {12, 2, 32}}) {
        constexpr index_t positions = 6;
        const index_t columns = (heads + 1) * dim; // values beside queries and keys stay as they are
        auto values = random_twin(rows * columns, 1);
        auto angles = random_twin(4 * dim, 2);
        fill_rotary_table(on_host(angles, 4, dim));
        angles.device.write(angles.host);
        twin<index_t> places({1, 3, 0, 2, 2, 1});
        on.cpu.rotate(on_host(values, rows, columns), heads, on_host(angles, 4, dim),
                      unmask::view(places.host.data(), positions), 1.0F);
        on.gpu().rotate(on_device(values, rows, columns), heads, on_device(angles, 4, dim),
                        unmask::view(places.device.data(), positions), 1.0F);
        on.same(values);
        const std::vector<float> turned = values.host;
        on.cpu.rotate(on_host(values, rows, columns), heads, on_host(angles, 4, dim),
                      unmask::view(places.host.data(), positions), -1.0F);
        on.gpu().rotate(on_device(values, rows, columns), heads, on_device(angles, 4, dim),
                        unmask::view(places.device.data(), positions), -1.0F);
        CHECK(values.host != turned);
        on.same(values);
    }
}

TEST_CASE("gates, with large numbers too, and their gradients") {
    fixture on;
    for (const shape& s : shapes) {
        for (const float scale : {3.0F, 100.0F}) {
            CAPTURE(s.columns);
            CAPTURE(scale);
            const index_t rows = s.all_rows();
            auto gate_up = random_twin(rows * 2 * s.columns, 1, scale);
            auto output = random_twin(rows * s.columns, 2);
            on.cpu.swiglu(on_host(gate_up, rows, 2 * s.columns), on_host(output, rows, s.columns));
            on.gpu().swiglu(on_device(gate_up, rows, 2 * s.columns), on_device(output, rows, s.columns));
            on.same(output);
            auto d_gate_up = random_twin(rows * 2 * s.columns, 3);
            on.cpu.swiglu_backward(on_host(gate_up, rows, 2 * s.columns), on_host(output, rows, s.columns),
                                   on_host(d_gate_up, rows, 2 * s.columns));
            on.gpu().swiglu_backward(on_device(gate_up, rows, 2 * s.columns), on_device(output, rows, s.columns),
                                     on_device(d_gate_up, rows, 2 * s.columns));
            on.same(d_gate_up);

            auto input = random_twin(rows * s.columns, 4);
            auto gate = random_twin(rows * s.columns, 5, scale);
            on.cpu.gate_output(on_host(input, rows, s.columns), on_host(gate, rows, s.columns),
                               on_host(output, rows, s.columns));
            on.gpu().gate_output(on_device(input, rows, s.columns), on_device(gate, rows, s.columns),
                                 on_device(output, rows, s.columns));
            on.same(output);
            auto d_gate = random_twin(rows * s.columns, 6);
            on.cpu.gate_output_backward(on_host(input, rows, s.columns), on_host(gate, rows, s.columns),
                                        on_host(output, rows, s.columns), on_host(d_gate, rows, s.columns));
            on.gpu().gate_output_backward(on_device(input, rows, s.columns), on_device(gate, rows, s.columns),
                                          on_device(output, rows, s.columns), on_device(d_gate, rows, s.columns));
            on.same(output);
            on.same(d_gate);
        }
    }
}

TEST_CASE("products and their gradients, of parts of matrices too") {
    fixture on;
    for (const auto& [rows, inner, columns] :
         {std::tuple<index_t, index_t, index_t>{1, 1, 1}, {1, 5, 3}, {7, 4, 9}, {33, 20, 17}}) {
        auto input = random_twin(rows * inner, 1);
        auto weight = random_twin(inner * columns, 2);
        auto output = random_twin(rows * columns, 3);
        const auto x = [&] { return on_host(input, rows, inner); };
        on.cpu.multiply(x(), on_host(weight, inner, columns), on_host(output, rows, columns));
        on.gpu().multiply(on_device(input, rows, inner), on_device(weight, inner, columns),
                          on_device(output, rows, columns));
        on.same(output);
        on.cpu.add_product(x(), on_host(weight, inner, columns), on_host(output, rows, columns));
        on.gpu().add_product(on_device(input, rows, inner), on_device(weight, inner, columns),
                             on_device(output, rows, columns));
        on.same(output);
        auto d_input = random_twin(rows * inner, 4);
        auto d_weight = random_twin(inner * columns, 5);
        on.cpu.multiply_backward(x(), on_host(weight, inner, columns), on_host(output, rows, columns),
                                 on_host(d_input, rows, inner), on_host(d_weight, inner, columns));
        on.gpu().multiply_backward(on_device(input, rows, inner), on_device(weight, inner, columns),
                                   on_device(output, rows, columns), on_device(d_input, rows, inner),
                                   on_device(d_weight, inner, columns));
        on.same(d_input, 3e-6);
        on.same(d_weight, 3e-6);
    }
    auto wide = random_twin(5 * 12, 6); // the second half of each row
    auto weight = random_twin(6 * 2, 7);
    auto output = random_twin(5 * 2, 8);
    on.cpu.multiply({wide.host.data() + 6, {5, 6}, {12, 1}}, on_host(weight, 6, 2), on_host(output, 5, 2));
    on.gpu().multiply(matrix{wide.device.data() + 6, {5, 6}, {12, 1}}, on_device(weight, 6, 2),
                      on_device(output, 5, 2));
    on.same(output);
}

TEST_CASE("the loss and its gradient, where it is not wanted too") {
    fixture on;
    for (const auto& [rows, vocabulary] : {std::tuple<index_t, index_t>{1, 1}, {1, 33}, {9, 62}, {40, 7}, {300, 3}}) {
        for (const float scale : {1.0F, 200.0F}) {
            CAPTURE(rows);
            CAPTURE(vocabulary);
            CAPTURE(scale);
            auto logits = random_twin(rows * vocabulary, 1, scale);
            std::vector<token_t> wanted;
            std::vector<float> costs = noise(rows, 2);
            for (index_t i = 0; i < rows; ++i) {
                wanted.push_back(static_cast<token_t>(i * 5 % vocabulary));
                costs[static_cast<std::size_t>(i)] = i % 4 == 3 ? 0.0F : std::fabs(costs[static_cast<std::size_t>(i)]);
            }
            const twin<token_t> targets(wanted);
            const twin<float> weights(costs);
            twin<double> total({0.0});
            const auto loss = [&](const matrix& gradient) {
                on.gpu().weighted_cross_entropy(on_device(logits, rows, vocabulary), targets.device.data(),
                                                weights.device.data(), gradient, total.device.data());
                REQUIRE(cudaStreamSynchronize(on.stream) == cudaSuccess);
                return total.device.read()[0];
            };
            const double once = loss({}); // leaves the logits
            const double twice = loss(on_device(logits, rows, vocabulary));
            const double expected =
                weighted_cross_entropy(on_host(logits, rows, vocabulary), wanted, std::span<const float>(costs));
            CHECK(once == doctest::Approx(expected).epsilon(1e-6));
            CHECK(twice == 2.0 * once); // it adds
            if (vocabulary > 1) {
                on.same(logits);
            }
        }
    }
}

TEST_CASE("AdamW, with and without a gradient that is too long") {
    fixture on;
    const std::vector<tensor_place> places = {{"a", 0, 30, 7, role::weight}, {"b", 210, 1, 5, role::gain}};
    for (const float scale : {1e-3F, 10.0F}) {
        auto weights = random_twin(215, 1);
        auto gradients = random_twin(215, 2, scale);
        adamw cpu(places);
        const device_adamw gpu(slices_of(places, 64), 215);
        const optimizer_settings settings{.warm_up = 3, .steps = 10};
        for (index_t step = 0; step < 3; ++step) {
            std::vector<std::vector<float>> parts = {gradients.host};
            const double norm = cpu.update(unmask::cpu_executor{1}, settings, step, weights.host, parts);
            CHECK((norm > settings.largest_norm) == (scale > 1.0F));
            gpu.update<float>(on.exec(), step_of(settings, step), settings.largest_norm, weights.device.data(),
                              gradients.device.data(), nullptr);
            on.same(weights, 3e-6);
        }
    }
}

TEST_CASE("bfloat16 is float, rounded at the end") {
    using unmask::bfloat16;
    fixture on;
    constexpr index_t rows = 5;
    constexpr index_t columns = 20;
    auto input = random_twin(rows * columns, 1);
    auto gain = random_twin(columns, 2);
    auto exact = random_twin(rows * columns, 3);
    const device_array<bfloat16> rounded(rows * columns);
    on.gpu().rms_norm(on_device(input, rows, columns), on_device(gain, 1, columns), on_device(exact, rows, columns));
    on.gpu().rms_norm(on_device(input, rows, columns), on_device(gain, 1, columns),
                      unmask::view(rounded.data(), rows, columns));
    REQUIRE(cudaStreamSynchronize(on.stream) == cudaSuccess);
    const auto floats = exact.device.read();
    const auto halves = rounded.read();
    for (std::size_t i = 0; i < floats.size(); ++i) {
        CHECK(halves[i].bits == bfloat16(floats[i]).bits);
    }
    const device_array<bfloat16> again(rows * columns);
    on.gpu().round(on_device(exact, rows, columns), unmask::view(again.data(), rows, columns));
    REQUIRE(cudaStreamSynchronize(on.stream) == cudaSuccess);
    const auto copies = again.read();
    for (std::size_t i = 0; i < floats.size(); ++i) {
        CHECK(copies[i].bits == halves[i].bits);
    }
}
