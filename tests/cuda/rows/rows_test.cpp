// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Rows of logits on the device against the CPU's reading of them: the same bits.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
#include <unmask/sampler/detail/host/draw_filter.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/row_statistics.hpp>

#include "../attention/device_memory.hpp"
#include "device_rows.hpp"

namespace {

using namespace test;
using detail::bits_as;

constexpr float infinity = std::numeric_limits<float>::infinity();

// What the logits of a row look like.
enum class shape {
    usual,
    flat,
    peaked,
    rising,
    equal,
    sparse,
    nothing,
    with_nan,
    with_infinity,
    nan_among_nothing,
    nan_before_all,
    zeros,
    lowest,
    extreme
};
constexpr shape all_shapes[] = {
    shape::usual,          shape::flat,    shape::peaked,   shape::rising,        shape::equal,
    shape::sparse,         shape::nothing, shape::with_nan, shape::with_infinity, shape::nan_among_nothing,
    shape::nan_before_all, shape::zeros,   shape::lowest,   shape::extreme};

template <class Logit>
struct rows {
    std::size_t size;
    std::size_t stride;
    std::size_t count;
    std::vector<Logit> logits;
    std::vector<double> uniforms;

    rows(std::size_t vocabulary, std::size_t row_stride, std::span<const shape> shapes, std::mt19937& random)
        : size(vocabulary), stride(row_stride), count(shapes.size()), logits(count * stride), uniforms(count) {
        std::uniform_real_distribution<double> uniform(1e-9, 1 - 1e-9);
        for (std::size_t row = 0; row < count; ++row) {
            uniforms[row] = uniform(random);
            for (std::size_t i = 0; i < size; ++i) {
                logits[row * stride + i] = Logit(logit_of(shapes[row], i, random));
            }
            if (shapes[row] == shape::with_nan || shapes[row] == shape::nan_among_nothing) {
                logits[row * stride + random() % size] = Logit(std::numeric_limits<float>::quiet_NaN());
            }
            if (shapes[row] == shape::with_infinity) {
                logits[row * stride + random() % size] = Logit(infinity);
            }
        }
    }

    float logit_of(shape kind, std::size_t i, std::mt19937& random) const {
        std::normal_distribution<float> normal;
        switch (kind) {
        case shape::flat:
            return 0.01F * normal(random);
        case shape::peaked:
            return 30 * normal(random);
        case shape::rising: // every chunk has a more likely token than all before
            return 20 * static_cast<float>(i) / static_cast<float>(size) + normal(random);
        case shape::equal:
            return 1.5F;
        case shape::sparse:
            return random() % 100 == 0 ? normal(random) : -infinity;
        case shape::zeros: // of both signs
            return random() % 2 == 0 ? -0.0F : random() % 2 == 0 ? 0.0F : -1.0F;
        case shape::lowest: // finite, and further from 0 than most that forbid a token write
            return random() % 3 == 0 ? -infinity : -3.3e38F;
        case shape::extreme: // further apart than the largest float
            return random() % 2 == 0 ? -3.3e38F : random() % 4 == 0 ? 3.3e38F : normal(random);
        case shape::nothing:
        case shape::nan_among_nothing:
            return -infinity;
        case shape::nan_before_all: // in a chunk that has nothing else
            return i == 17 ? detail::not_a_number : i < 1024 ? -infinity : normal(random);
        default:
            return 3 * normal(random);
        }
    }

    // By the CPU, with −∞ in place of a suppressed token's logit.
    [[nodiscard]] detail::row_result expected(std::size_t row, int suppressed, const detail::row_rule& rule,
                                              const detail::token_filter& filter = {}) const {
        std::vector<Logit> copy(logits.begin() + static_cast<std::ptrdiff_t>(row * stride),
                                logits.begin() + static_cast<std::ptrdiff_t>(row * stride + size));
        if (suppressed >= 0 && static_cast<std::size_t>(suppressed) < size) {
            copy[static_cast<std::size_t>(suppressed)] = Logit(-infinity);
        }
        const detail::row_draw how{rule};
        draw_scratch scratch;
        return filter.keeps_all(size)
                   ? detail::read_row(how, std::span<const Logit>(copy), uniforms[row])
                   : detail::row_filter{filter}(how, std::span<const Logit>(copy), uniforms[row], scratch);
    }
};

bool same(double a, double b) {
    return bits_as<std::uint64_t>(a) == bits_as<std::uint64_t>(b);
}
bool same(const row_statistics& a, const row_statistics& b) {
    return a.best == b.best && same(a.second, b.second) && same(a.log_sum, b.log_sum) && same(a.entropy, b.entropy);
}
bool same(const detail::row_result& a, const detail::row_result& b) {
    if (b.raw.best < 0) {
        return a.raw.best < 0; // the rest is without meaning
    }
    return same(a.raw, b.raw) && a.draw.token == b.draw.token && same(a.draw.log_probability, b.draw.log_probability) &&
           same(a.draw.shaped, b.draw.shaped);
}

const detail::row_rule greedily{};
const detail::row_rule at_random = detail::row_rule::at_temperature(1);
const detail::row_rule tempered = detail::row_rule::at_temperature(0.6);

template <class Logit>
void check_against_cpu(const rows<Logit>& given, int suppressed, const detail::row_rule& rule,
                       const detail::token_filter& filter = {}) {
    const device_array<Logit> logits(given.logits);
    const device_array<double> uniforms(given.uniforms);
    const device_array<detail::cuda::row_outcome> outcomes(std::vector<detail::cuda::row_outcome>(given.count));
    tensor_view<const Logit, 2> view{logits.data(),
                                     {static_cast<index_t>(given.count), static_cast<index_t>(given.size)},
                                     {static_cast<index_t>(given.stride), 1}};
    const double* const numbers = rule.reading == detail::row_reading::statistics ? nullptr : uniforms.data();
    if (filter.keeps_all(given.size)) {
        device_rows<Logit>::read(cuda_executor{}, view, suppressed, nullptr, rule, numbers, outcomes.data());
    } else {
        device_rows<Logit>::read_filtered(cuda_executor{}, view, suppressed, nullptr, rule, filter, numbers,
                                          outcomes.data());
    }
    const auto got = outcomes.to_host();
    for (std::size_t row = 0; row < given.count; ++row) {
        CAPTURE(row);
        const detail::row_result expected = given.expected(row, suppressed, rule, filter);
        CHECK(same(got[row].result, expected));
        if (expected.raw.best >= 0) {
            const auto logit = [&](token_t token) {
                const Logit* mine = given.logits.data() + row * given.stride;
                return static_cast<double>(static_cast<float>(mine[static_cast<std::size_t>(token)]));
            };
            CHECK(same(got[row].raw_log_probability,
                       logit(expected.draw.token) - logit(expected.raw.best) - expected.raw.log_sum));
        }
    }
}

TEST_CASE_TEMPLATE("rows of every shape and length: the CPU's bits", Logit, float, bfloat16) {
    const unsigned seed = 11;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (const std::size_t size : {1, 2, 3, 5, 31, 32, 33, 127, 128, 129, 200, 1000, 1023, 1024, 1025, 2048, 5003}) {
        CAPTURE(size);
        for (const std::size_t stride : {size, size + 1, (size + 7) / 8 * 8}) { // not all of them aligned
            CAPTURE(stride);
            const rows<Logit> given(size, stride, all_shapes, random);
            const int suppressed = static_cast<int>(random() % (size + 1)) - 1;
            CAPTURE(suppressed);
            const bool none_left = size == 1 && suppressed == 0;
            check_against_cpu(given, none_left ? -1 : suppressed, greedily);
            check_against_cpu(given, suppressed, at_random);
            check_against_cpu(given, suppressed, tempered);
        }
    }
}

TEST_CASE_TEMPLATE("rows of more chunks than are joined at a time", Logit, float, bfloat16) {
    std::mt19937 random(12);
    const shape shapes[] = {shape::usual, shape::rising, shape::with_nan};
    const std::size_t size = 2 * 128 * 1024 + 1024 + 77; // three times
    const rows<Logit> given(size, size, shapes, random);
    check_against_cpu(given, -1, greedily);
    check_against_cpu(given, 100'000, tempered);
}

TEST_CASE("thousands of short rows: a sum that is rounded otherwise shows in one of a thousand") {
    std::mt19937 random(20);
    for (const shape kind : {shape::flat, shape::usual, shape::peaked}) {
        const rows<float> given(64, 64, std::vector<shape>(2000, kind), random);
        for (const auto* const rule : {&greedily, &at_random, &tempered}) {
            check_against_cpu(given, -1, *rule);
            check_against_cpu(given, -1, *rule, {0, 0.8});
        }
    }
}

TEST_CASE("draws at every temperature, and from every part of a row") {
    std::mt19937 random(13);
    std::vector<shape> shapes(40, shape::flat);
    const rows<float> given(3 * 1024 + 100, 3 * 1024 + 100, shapes, random);
    std::vector<int> from_chunk(4);
    for (const double temperature : {1e-310, 0.01, 0.5, 1.0, 1.7, 1e10}) {
        CAPTURE(temperature);
        check_against_cpu(given, 5, detail::row_rule::at_temperature(temperature));
    }
    const std::vector<shape> ends{shape::extreme, shape::lowest, shape::zeros, shape::usual, shape::with_nan};
    const rows<float> far_apart(2500, 2500, ends, random);
    for (const double temperature : {5e-324, 1e-37, 1e-30, 1e19, 2e19, 1e37, 1e38, 1e45, 1e60, 1e308}) {
        CAPTURE(temperature);
        check_against_cpu(far_apart, 5, detail::row_rule::at_temperature(temperature));
    }
    for (std::size_t row = 0; row < given.count; ++row) {
        ++from_chunk[static_cast<std::size_t>(given.expected(row, 5, at_random).draw.token) / 1024];
    }
    CHECK(from_chunk[0] > 0);
    CHECK(from_chunk[1] > 0);
    CHECK(from_chunk[2] > 0);
}

constexpr auto p_first = filter_order::top_p_then_top_k;
constexpr detail::token_filter many_filters[] = {{1, 1},
                                                 {3, 1},
                                                 {40, 1},
                                                 {2000, 1},
                                                 {0, 0.9},
                                                 {0, 0.5},
                                                 {0, 1e-9},
                                                 {0, 1 - 1e-12},
                                                 {40, 0.5},
                                                 {3, 1 - 1e-12},
                                                 {4, 0.8, p_first},
                                                 {40, 0.999, p_first},
                                                 {2000, 0.3, p_first}};

TEST_CASE_TEMPLATE("filtered rows: the CPU's bits", Logit, float, bfloat16) {
    const unsigned seed = 17;
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (const std::size_t size : {1, 2, 5, 33, 1000, 1024, 1025, 3003}) {
        CAPTURE(size);
        const rows<Logit> given(size, size + 1, all_shapes, random);
        const int suppressed = static_cast<int>(random() % (size + 1)) - 1;
        CAPTURE(suppressed);
        for (const detail::token_filter& filter : many_filters) {
            CAPTURE(filter.top_k);
            CAPTURE(filter.top_p);
            const auto& rule = random() % 3 == 0 ? greedily : random() % 2 == 0 ? at_random : tempered;
            check_against_cpu(given, suppressed, rule, filter);
        }
    }
}

TEST_CASE_TEMPLATE("filters of rows of which a block can't list enough", Logit, float, bfloat16) {
    std::mt19937 random(18);
    const shape shapes[] = {shape::usual, shape::equal, shape::flat};
    const rows<Logit> given(40'000, 40'000, shapes, random);
    constexpr detail::token_filter filters[] = {{5, 1}, {7000, 1}, {0, 0.7}, {30'000, 0.8}};
    for (const detail::token_filter& filter : filters) {
        CAPTURE(filter.top_k);
        CAPTURE(filter.top_p);
        check_against_cpu(given, 11, tempered, filter);
    }
}

TEST_CASE("filters at every temperature") {
    std::mt19937 random(19);
    const rows<float> given(3000, 3000, std::vector<shape>{shape::usual, shape::peaked, shape::equal}, random);
    const std::vector<shape> ends{shape::extreme, shape::lowest};
    const rows<float> far_apart(3000, 3000, ends, random);
    for (const double temperature : {5e-324, 1e-37, 1e37, 1e38, 1e45, 1e308}) {
        CAPTURE(temperature);
        const auto rule = detail::row_rule::at_temperature(temperature);
        check_against_cpu(far_apart, 5, rule, {20, 1});
        check_against_cpu(far_apart, 5, rule, {0, 0.6});
        check_against_cpu(far_apart, 5, rule, {1500, 0.6});
    }
    for (const double temperature : {0.0, 1e-290, 0.01, 5.0, 1e10, 1e200}) {
        CAPTURE(temperature);
        const auto rule = detail::row_rule::at_temperature(temperature);
        check_against_cpu(given, 5, rule, {20, 1});
        check_against_cpu(given, 5, rule, {0, 0.6});
        check_against_cpu(given, 5, rule, {1500, 0.6});
    }
}

TEST_CASE("numbers at the edges of (0, 1)") {
    std::mt19937 random(14);
    rows<float> given(2500, 2500, std::vector<shape>(4, shape::usual), random);
    given.uniforms = {0x1p-53, 1 - 0x1p-53, 0.5, 0x1p-20};
    check_against_cpu(given, -1, at_random);
    check_against_cpu(given, -1, tempered);
}

TEST_CASE("only as many rows as the device says") {
    std::mt19937 random(15);
    const rows<float> given(1500, 1500, std::vector<shape>(6, shape::usual), random);
    const device_array<float> logits(given.logits);
    const device_array<double> uniforms(given.uniforms);
    const device_array<int> count(std::vector<int>{4});
    std::vector<detail::cuda::row_outcome> before(6);
    for (auto& each : before) {
        each.result.raw.best = -77;
    }
    const device_array<detail::cuda::row_outcome> outcomes(before);
    device_rows<float>::read(cuda_executor{}, view(static_cast<const float*>(logits.data()), 6, 1500), -1, count.data(),
                             at_random, uniforms.data(), outcomes.data());
    const auto got = outcomes.to_host();
    for (std::size_t row = 0; row < 4; ++row) {
        CHECK(same(got[row].result, given.expected(row, -1, at_random)));
    }
    CHECK(got[4].result.raw.best == -77);
    CHECK(got[5].result.raw.best == -77);
}

TEST_CASE_TEMPLATE("statistics_of a matrix in device memory", Logit, float, bfloat16) {
    std::mt19937 random(16);
    const rows<Logit> given(3000, 3008, all_shapes, random);
    const device_array<Logit> logits(given.logits);
    const device_array<row_statistics> results(std::vector<row_statistics>(given.count));
    tensor_view<const Logit, 2> matrix{logits.data(), {static_cast<index_t>(given.count), 3000}, {3008, 1}};
    device_rows<Logit>::statistics(cuda_executor{}, matrix, results.data());
    const auto got = results.to_host();
    for (std::size_t row = 0; row < given.count; ++row) {
        CAPTURE(row);
        const auto expected = statistics_of(std::span<const Logit>(given.logits).subspan(row * 3008, 3000));
        CHECK(got[row].best == expected.best);
        CHECK((expected.best < 0 || same(got[row], expected)));
    }

    const auto message = [&](const tensor_view<const Logit, 2>& wrong, row_statistics* to) {
        try {
            device_rows<Logit>::statistics(cuda_executor{}, wrong, to);
        } catch (const invalid_argument& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    matrix.strides[1] = 2;
    CHECK(message(matrix, results.data()) == "statistics_of: logits.strides[1] is 2, expected 1");
    matrix.strides[1] = 1;
    CHECK(message(matrix, nullptr) == "statistics_of: results is null, expected device memory");
    matrix.data = nullptr;
    CHECK(message(matrix, results.data()) == "statistics_of: logits.data is null, expected device memory");
    matrix.extents[1] = 0;
    CHECK(message(matrix, results.data()) == "statistics_of: logits.extents[1] is 0, expected in [1, 2^31 - 1025]");
    matrix.extents = {0, 5};
    CHECK(message(matrix, nullptr).empty());
}

} // namespace
