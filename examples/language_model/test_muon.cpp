// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Muon's step against the same in double, in plain loops; the learning rate's cool-down.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <unmask/parallel/thread_communicator.hpp>

#include "data_parallel.hpp"
#include "muon.hpp"
#include "weights.hpp"

using namespace language_model;

namespace {

using table = std::vector<std::vector<double>>;

table transposed(const table& x) {
    table result(x[0].size(), std::vector<double>(x.size()));
    for (std::size_t i = 0; i < x.size(); ++i) {
        for (std::size_t j = 0; j < x[0].size(); ++j) {
            result[j][i] = x[i][j];
        }
    }
    return result;
}

table product(const table& x, const table& y) {
    table result(x.size(), std::vector<double>(y[0].size(), 0.0));
    for (std::size_t i = 0; i < x.size(); ++i) {
        for (std::size_t j = 0; j < y[0].size(); ++j) {
            for (std::size_t k = 0; k < y.size(); ++k) {
                result[i][j] += x[i][k] * y[k][j];
            }
        }
    }
    return result;
}

table sum(double a, const table& x, double b, const table& y) {
    table result = x;
    for (std::size_t i = 0; i < x.size(); ++i) {
        for (std::size_t j = 0; j < x[0].size(); ++j) {
            result[i][j] = a * x[i][j] + b * y[i][j];
        }
    }
    return result;
}

// The published algorithm: x = a x + (b x xT + c (x xT)^2) x, five times, for matrices that are not higher than wide.
table orthogonal(table x) {
    if (x.size() > x[0].size()) {
        return transposed(orthogonal(transposed(x)));
    }
    double squares = 0.0;
    for (const auto& row : x) {
        for (const double each : row) {
            squares += each * each;
        }
    }
    x = sum(1.0 / (std::sqrt(squares) + 1e-7), x, 0.0, x);
    for (int step = 0; step < 5; ++step) {
        const table gram = product(x, transposed(x));
        x = sum(3.4445, x, 1.0, product(sum(-4.7750, gram, 2.0315, product(gram, gram)), x));
    }
    return x;
}

} // namespace

TEST_CASE("Muon takes the step of its definition") {
    const std::vector<tensor_place> places = {{"wide", 0, 6, 18, role::projections},
                                              {"high", 108, 12, 5, role::residual},
                                              {"other", 168, 4, 6, role::weight},
                                              {"head", 192, 3, 4, role::head}};
    const optimizer_settings settings{.learning_rate = 0.01, .warm_up = 0, .steps = 100, .cool_down = 10};
    std::vector<float> weights(204);
    std::vector<float> means(204);
    std::vector<float> gradient(204);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const auto x = static_cast<double>(i);
        weights[i] = static_cast<float>(std::sin(x));
        means[i] = static_cast<float>(std::cos(3.0 * x));
        gradient[i] = static_cast<float>(std::sin(x * x));
    }
    std::vector<float> expected = weights;
    std::vector<float> expected_means = means;
    struct block {
        std::size_t offset, rows, columns, stride;
    };
    for (const block& each :
         {block{0, 6, 6, 18}, block{6, 6, 6, 18}, block{12, 6, 6, 18}, block{108, 12, 5, 5}, block{168, 4, 6, 6}}) {
        table direction(each.rows, std::vector<double>(each.columns));
        const auto at = [&each](std::size_t i, std::size_t j) { return each.offset + i * each.stride + j; };
        for (std::size_t i = 0; i < each.rows; ++i) {
            for (std::size_t j = 0; j < each.columns; ++j) {
                const double g = static_cast<double>(gradient[at(i, j)]);
                const double mean = 0.95 * static_cast<double>(means[at(i, j)]) + 0.05 * g;
                expected_means[at(i, j)] = static_cast<float>(mean);
                direction[i][j] = 0.95 * mean + 0.05 * g;
            }
        }
        direction = orthogonal(direction);
        const double pace = 0.01 * 0.2 * std::sqrt(static_cast<double>(std::max(each.rows, each.columns)));
        for (std::size_t i = 0; i < each.rows; ++i) {
            for (std::size_t j = 0; j < each.columns; ++j) {
                const double kept = (1.0 - 0.01 * 0.1) * static_cast<double>(expected[at(i, j)]);
                expected[at(i, j)] = static_cast<float>(kept - pace * direction[i][j]);
            }
        }
    }
    const std::vector<float> before = weights;
    muon(places).update(unmask::cpu_executor{2}, settings, 5, weights.data(), means.data(), gradient.data());
    for (std::size_t i = 0; i < weights.size(); ++i) {
        CAPTURE(i);
        CHECK(weights[i] == doctest::Approx(expected[i]).epsilon(1e-5));
        CHECK(means[i] == doctest::Approx(expected_means[i]).epsilon(1e-5));
        CHECK((i < 192) == (weights[i] != before[i])); // the head is AdamW's
    }
}

TEST_CASE("processes that share the work make the bits of one") {
    const std::vector<tensor_place> places = {
        {"a", 0, 6, 18, role::projections}, {"b", 108, 12, 5, role::residual}, {"c", 168, 4, 6, role::weight}};
    std::vector<float> weights(192);
    std::vector<float> gradient(192);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = static_cast<float>(std::sin(static_cast<double>(i)));
        gradient[i] = static_cast<float>(std::cos(static_cast<double>(i * i)));
    }
    const auto three_steps = [&](training_share share) {
        std::vector<float> changed = weights;
        std::vector<float> means(192);
        muon optimizer(places, std::move(share));
        for (index_t step = 0; step < 3; ++step) {
            optimizer.update(unmask::cpu_executor{1}, {}, step, changed.data(), means.data(), gradient.data());
        }
        changed.insert(changed.end(), means.begin(), means.end());
        return changed;
    };
    const std::vector<float> expected = three_steps({});
    for (const int ranks : {2, 3, 7}) { // of seven, two have no matrix
        unmask::run_ranks(ranks, [&](const unmask::thread_communicator& c) {
            const bool same = three_steps(share_of(c)) == expected;
            CHECK(same);
        });
    }
}

TEST_CASE("an orthogonalized matrix has singular values near 1") {
    constexpr index_t rows = 8;
    std::vector<float> memory(rows * 20);
    for (std::size_t i = 0; i < memory.size(); ++i) {
        memory[i] = static_cast<float>(std::sin(static_cast<double>(i * i)));
    }
    const matrix x = unmask::view(memory.data(), rows, 20);
    orthogonalize(x);
    for (index_t i = 0; i < rows; ++i) {
        double length = 0.0;
        for (index_t j = 0; j < 20; ++j) {
            length += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
        }
        CHECK(std::sqrt(length) > 0.6);
        CHECK(std::sqrt(length) < 1.3);
    }
}

TEST_CASE("with a cool-down the learning rate stays, and then falls along a line") {
    const optimizer_settings settings{
        .learning_rate = 1.0, .final_learning_rate = 0.2, .warm_up = 10, .steps = 100, .cool_down = 40};
    CHECK(learning_rate(settings, 4) == doctest::Approx(0.5));
    CHECK(learning_rate(settings, 10) == doctest::Approx(1.0));
    CHECK(learning_rate(settings, 60) == doctest::Approx(1.0));
    CHECK(learning_rate(settings, 80) == doctest::Approx(0.6));
    CHECK(learning_rate(settings, 100) == doctest::Approx(0.2));
}
