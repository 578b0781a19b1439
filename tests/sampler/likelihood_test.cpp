// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/likelihood/likelihood.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

// A joint distribution over `length` tokens, and a model that has exactly its conditional distributions.
struct joint {
    index_t length;
    token_t size; // without the mask, which is `size` itself
    std::vector<double> p;

    joint(index_t length_, token_t size_, std::uint64_t seed) : length(length_), size(size_) {
        std::size_t all = 1;
        for (index_t i = 0; i < length; ++i) {
            all *= static_cast<std::size_t>(size);
        }
        double sum = 0;
        for (std::size_t i = 0; i < all; ++i) {
            p.push_back(std::exp(6 * static_cast<double>(mix(seed + 1000 * i) >> 11) * 0x1p-53));
            sum += p.back();
        }
        for (double& each : p) {
            each /= sum;
        }
    }

    [[nodiscard]] token_t digit(std::size_t text, index_t position) const {
        for (index_t i = 0; i < position; ++i) {
            text /= static_cast<std::size_t>(size);
        }
        return static_cast<token_t>(text % static_cast<std::size_t>(size));
    }

    // p(what is not the mask, and `token` at `position`)
    [[nodiscard]] double marginal(std::span<const token_t> given, index_t position, token_t token) const {
        double sum = 0;
        for (std::size_t text = 0; text < p.size(); ++text) {
            bool fits = digit(text, position) == token;
            for (index_t i = 0; fits && i < length; ++i) {
                const token_t other = given[static_cast<std::size_t>(i)];
                fits = i == position || other == size || other == digit(text, i);
            }
            sum += fits ? p[text] : 0.0;
        }
        return sum;
    }

    float operator()(std::span<const token_t> given, index_t position, token_t token) const {
        return token == size ? 3.0F
                             : static_cast<float>(std::log(marginal(given, position, token))); // the mask's is not read
    }
};

// The bound by its definition, from every subset of the answer's positions: the mean over counts of that over subsets.
template <class Logits>
double exact_bound(const Logits& logits, const vocabulary& tokens, const std::vector<token_t>& text,
                   const std::vector<index_t>& answer) {
    const std::size_t n = answer.size();
    std::vector<double> loss(n + 1);
    std::vector<double> subsets(n + 1);
    for (std::size_t subset = 1; subset < std::size_t{1} << n; ++subset) {
        std::vector<token_t> masked = text;
        std::size_t count = 0;
        for (std::size_t i = 0; i < n; ++i) {
            if ((subset >> i & 1) != 0) {
                masked[static_cast<std::size_t>(answer[i])] = tokens.mask;
                ++count;
            }
        }
        for (std::size_t i = 0; i < n; ++i) {
            if ((subset >> i & 1) != 0) {
                double sum = 0;
                for (token_t token = 0; token < tokens.size; ++token) {
                    sum += token == tokens.mask ? 0.0 : std::exp(static_cast<double>(logits(masked, answer[i], token)));
                }
                const token_t held = text[static_cast<std::size_t>(answer[i])];
                loss[count] -= (static_cast<double>(logits(masked, answer[i], held)) - std::log(sum)) *
                               (static_cast<double>(n) / static_cast<double>(count));
            }
        }
        subsets[count] += 1;
    }
    double bound = 0;
    for (std::size_t count = 1; count <= n; ++count) {
        bound -= loss[count] / subsets[count] / static_cast<double>(n);
    }
    return bound;
}

constexpr vocabulary ten{.size = 10, .mask = 9, .end = 0};

} // namespace

TEST_CASE("Student's quantiles") {
    CHECK(detail::student_quantile(1.959964, 7) == doctest::Approx(2.364624).epsilon(1e-3));
    CHECK(detail::student_quantile(1.959964, 15) == doctest::Approx(2.131450).epsilon(1e-4));
    CHECK(detail::student_quantile(1.959964, 3) == doctest::Approx(3.182446).epsilon(0.02));
    CHECK(detail::student_quantile(2.575829, 15) == doctest::Approx(2.946713).epsilon(1e-3));
    CHECK(detail::student_quantile(1.0, 1e9) == doctest::Approx(1.0));
}

TEST_CASE("every sample's count is uniform over all starts, and a batch's counts are spread evenly") {
    for (index_t length = 1; length <= 12; ++length) {
        for (index_t batch = 1; batch <= 30; ++batch) {
            for (index_t sample = 0; sample < batch; ++sample) {
                std::map<index_t, index_t> times;
                for (index_t start = 0; start < length; ++start) {
                    ++times[detail::stratified_count(start, sample, batch, length)];
                }
                CHECK(std::ssize(times) == length);
                CHECK(times.begin()->first == 1);
                CHECK(times.rbegin()->first == length);
            }
            std::map<index_t, index_t> times;
            for (index_t sample = 0; sample < batch; ++sample) {
                ++times[detail::stratified_count(length / 2, sample, batch, length)];
            }
            for (const auto& [count, samples] : times) {
                CHECK(samples <= (batch + length - 1) / length);
            }
        }
    }
}

TEST_CASE("the interval covers the exact value as often as it says, and the exact value is log p") {
    const joint p(4, 3, 17);
    const vocabulary tokens{.size = 4, .mask = 3};
    const std::vector<token_t> text{2, 0, 1, 1};
    auto model = make_model(tokens, p);
    // The prompt is the first token: log p(the others | it).
    double given = 0;
    double all = 0;
    for (std::size_t i = 0; i < p.p.size(); ++i) {
        given += p.digit(i, 0) == 2 ? p.p[i] : 0.0;
        all += p.digit(i, 0) == 2 && p.digit(i, 1) == 0 && p.digit(i, 2) == 1 && p.digit(i, 3) == 1 ? p.p[i] : 0.0;
    }
    const double exact = std::log(all / given);
    CHECK(exact_bound(p, tokens, text, {1, 2, 3}) == doctest::Approx(exact).epsilon(1e-6));

    constexpr int runs = 600;
    int covered = 0;
    double sum = 0;
    double squares = 0;
    double variances = 0;
    for (std::uint64_t seed = 0; seed < runs; ++seed) {
        const auto bound = log_likelihood(cpu_executor{1}, model, std::span(text).first(1), std::span(text).subspan(1),
                                          {.samples = 40, .batch = 4, .seed = seed});
        REQUIRE(bound.samples == 40);
        REQUIRE(bound.calls == 10);
        covered += std::abs(bound.value - exact) <= bound.half_width ? 1 : 0;
        sum += bound.value - exact;
        squares += (bound.value - exact) * (bound.value - exact);
        variances += bound.standard_error * bound.standard_error;
        CHECK(bound.half_width == doctest::Approx(2.262 * bound.standard_error).epsilon(1e-3));
    }
    CAPTURE(covered);
    CHECK(covered >= 0.95 * runs - 4 * std::sqrt(0.95 * 0.05 * runs));
    CHECK(covered <= 0.95 * runs + 4 * std::sqrt(0.95 * 0.05 * runs));
    CHECK(std::abs(sum / runs) < 4 * std::sqrt(squares) / runs);    // no bias
    CHECK(variances / squares == doctest::Approx(1).epsilon(0.15)); // the standard error is that of the values
}

TEST_CASE("a model without a joint distribution, a ragged answer: the mean is the bound by its definition") {
    const random_logits logits{.seed = 3, .spread = 2, .forbidden = 0};
    auto model = make_model(ten, logits);
    const std::vector<token_t> infill{5, blank, blank, 2, blank, 9, blank};
    canvas page(ten);
    page.add(std::vector<token_t>{1}, 3); // another sequence, unfinished: of no account
    page.add_infill(infill, 123);
    for (const index_t position : {1, 2, 4, 6}) {
        page.commit(1, position, static_cast<token_t>(position));
    }
    const double exact = exact_bound(logits, ten, to_vector(page.tokens(1)), {1, 2, 4, 6});
    for (const index_t batch : {1, 3, 8}) { // fewer and more than there are counts
        CAPTURE(batch);
        const auto bound =
            log_likelihood(cpu_executor{1}, model, page, 1, {.samples = 6000, .batch = batch, .seed = 2});
        CHECK(std::abs(bound.value - exact) < 4 * bound.standard_error);
        CHECK(bound.standard_error < 0.1);
        CHECK(bound.samples == 6000);
    }
}

TEST_CASE("what depends on the number of masks alone has no error in batches that hold each number once") {
    const auto surer = [](std::span<const token_t> page, index_t position, token_t token) { // the fewer are masked
        return token == position + 1 ? static_cast<float>(8 - std::count(page.begin(), page.end(), 9)) : 0.0F;
    };
    auto model = make_model(ten, surer);
    const std::vector<token_t> answer{1, 2, 3, 4, 5, 6, 7, 8};
    const auto bound = [&](index_t batch) {
        return log_likelihood(cpu_executor{1}, model, {}, answer, {.samples = 1600, .batch = batch});
    };
    const double exact = exact_bound(surer, ten, answer, {0, 1, 2, 3, 4, 5, 6, 7});
    CHECK(bound(8).value == doctest::Approx(exact).epsilon(1e-7));
    CHECK(bound(8).standard_error < 1e-8);
    CHECK(bound(32).standard_error < 1e-8);
    CHECK(bound(1).standard_error > 0.05);
    CHECK(std::abs(bound(1).value - exact) < 4 * bound(1).standard_error);
}

TEST_CASE("answers of one token and of none are exact") {
    const random_logits logits{.seed = 3};
    auto model = make_model(ten, logits);
    const std::vector<token_t> text{4, 1};
    const auto one = log_likelihood(cpu_executor{}, model, std::span(text).first(1), std::span(text).subspan(1));
    CHECK(one.value == doctest::Approx(exact_bound(logits, ten, text, {1})));
    CHECK(one.standard_error == 0);
    CHECK(one.half_width == 0);
    CHECK(one.samples == 1);
    CHECK(one.calls == 1);
    CHECK(model.calls == 1);
    const auto none = log_likelihood(cpu_executor{}, model, text, {});
    CHECK(none.value == 0);
    CHECK(none.calls == 0);
    CHECK(model.calls == 1);
}

TEST_CASE("it stops when the interval is narrow enough, not before the least samples, and not after the most") {
    auto model = make_model(ten, random_logits{.seed = 3, .spread = 1, .forbidden = 0});
    const std::vector<token_t> answer{1, 2, 3, 4, 5};
    const auto run = [&](const likelihood_options& options) {
        return log_likelihood(cpu_executor{1}, model, {}, answer, options);
    };
    const auto early = run({.samples = 100000, .batch = 5, .half_width = 0.1, .least = 0});
    CHECK(early.half_width <= 0.1);
    CHECK(early.samples < 5000);
    CHECK(early.samples == 5 * early.calls);
    const auto before = run({.samples = early.samples - 5, .batch = 5}); // the same masks
    CHECK(before.half_width > 0.1);
    CHECK(run({.samples = early.samples, .batch = 5}).value == early.value);
    CHECK(run({.samples = 1000, .batch = 5, .half_width = 100, .least = 50}).samples == 50);
    CHECK(run({.samples = 1000, .batch = 5, .half_width = 100, .least = 0}).samples == 20); // four batches
    CHECK(run({.samples = 33, .batch = 16}).samples == 48);
    const auto one_batch = run({.samples = 5, .batch = 5});
    CHECK(one_batch.standard_error == std::numeric_limits<double>::infinity());
    const auto two_batches = run({.samples = 10, .batch = 5}); // the first is the same one
    CHECK(two_batches.standard_error == doctest::Approx(std::abs(one_batch.value - two_batches.value)));
    CHECK(one_batch.half_width == std::numeric_limits<double>::infinity());
}

TEST_CASE("a token that the model forbids has no likelihood") {
    auto logits = [](std::span<const token_t>, index_t position, token_t token) {
        return position == 1 && token == 4 ? -infinity : 0.0F;
    };
    auto model = make_model(ten, logits);
    const std::vector<token_t> answer{1, 4, 2};
    const auto bound = log_likelihood(cpu_executor{}, model, {}, answer, {.samples = 64, .batch = 4});
    CHECK(bound.value == -std::numeric_limits<double>::infinity());
    CHECK(bound.standard_error == 0);
    CHECK(bound.calls < 16);
}

TEST_CASE("the result depends on seed and id, not on threads; logits may be shifted") {
    const random_logits logits{.seed = 8, .forbidden = 0};
    auto model = make_model(ten, logits);
    const auto run = [&](int threads, std::uint64_t seed, std::uint64_t id) {
        canvas page(ten);
        page.add(std::vector<token_t>{3}, 6, id);
        for (index_t i = 1; i < 7; ++i) {
            page.commit(0, i, static_cast<token_t>(i));
        }
        return log_likelihood(cpu_executor{threads}, model, page, 0, {.samples = 32, .batch = 8, .seed = seed}).value;
    };
    CHECK(run(1, 5, 0) == run(2, 5, 0));
    CHECK(run(1, 5, 0) != run(1, 6, 0));
    CHECK(run(1, 5, 0) != run(1, 5, 1));

    const auto earlier = [&](std::span<const token_t> page, index_t position, token_t token) {
        return logits(page, std::min<index_t>(position + 1, 6), token); // the row at i − 1 predicts the token at i
    };
    auto shifted = make_model<true>(ten, earlier);
    const std::vector<token_t> text{3, 1, 2, 3, 4, 5, 6};
    const auto bound = log_likelihood(cpu_executor{1}, shifted, std::span(text).first(1), std::span(text).subspan(1),
                                      {.samples = 32, .batch = 8, .seed = 5});
    CHECK(bound.value == run(1, 5, 0));
}

TEST_CASE("wrong arguments are refused before any call") {
    auto model = make_model(ten, random_logits{});
    canvas page(ten);
    page.add({}, 2);
    page.commit(0, 0, 1);
    const auto refused = [&](const likelihood_options& options, index_t sequence = 0) {
        return complaint([&] { static_cast<void>(log_likelihood(cpu_executor{}, model, page, sequence, options)); });
    };
    CHECK(refused({}) == "log_likelihood: canvas.masked(sequence) is 1, expected 0: every position filled");
    CHECK(refused({}, 1) == "log_likelihood: sequence is 1, expected one of the canvas");
    CHECK(refused({}, -1) == "log_likelihood: sequence is -1, expected one of the canvas");
    CHECK(refused({.samples = 0}) == "log_likelihood: options.samples is 0, expected in [1, 2^32)");
    CHECK(refused({.batch = 0}) == "log_likelihood: options.batch is 0, expected in [1, 2^32)");
    CHECK(refused({.half_width = -1}) == "log_likelihood: options.half_width is -1.000000, expected at least 0");
    CHECK(refused({.z = 0}) == "log_likelihood: options.z is 0.000000, expected in (0, 40]");
    CHECK(refused({.least = -1}) == "log_likelihood: options.least is -1, expected at least 0");
    canvas other({.size = 11, .mask = 9, .end = 0});
    other.add({}, 0);
    CHECK(complaint([&] { static_cast<void>(log_likelihood(cpu_executor{}, model, other, 0)); }) ==
          "log_likelihood: canvas.vocabulary() is {size 11, mask 9, end 0}, expected the model's, {size 10, "
          "mask 9, end 0}");
    const std::vector<token_t> mask{9};
    CHECK(!complaint([&] { static_cast<void>(log_likelihood(cpu_executor{}, model, {}, mask)); }).empty());
    CHECK(model.calls == 0);

    auto broken = make_model(ten, [](std::span<const token_t>, index_t, token_t token) {
        return token == 3 ? std::numeric_limits<float>::quiet_NaN() : 0.0F;
    });
    const std::vector<token_t> answer{1, 2};
    CHECK_THROWS_AS(static_cast<void>(log_likelihood(cpu_executor{}, broken, {}, answer)), non_finite_logits);
}
