// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <random>

#include <unmask/random/philox.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/vocabulary_shard.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

std::vector<float> random_row(std::mt19937& random, token_t size) {
    std::normal_distribution<float> normal(0, 2);
    std::vector<float> logits(static_cast<std::size_t>(size));
    for (float& logit : logits) {
        logit = random() % 16 == 0 ? -infinity : normal(random);
    }
    logits.back() = 1;
    return logits;
}

// Writes a row in tiles of 1024 to 3072 tokens.
template <class Logit>
void write_all(logits_stream& stream, index_t row, std::span<const Logit> logits, std::mt19937& random) {
    for (std::size_t begin = 0; begin < logits.size();) {
        const std::size_t size = std::min<std::size_t>(1024 * (1 + random() % 3), logits.size() - begin);
        stream.write(row, static_cast<index_t>(begin), logits.subspan(begin, size));
        begin += size;
    }
}

void require_same(const row_statistics& a, const row_statistics& b) {
    REQUIRE(a.best == b.best);
    REQUIRE(a.second == b.second);
    REQUIRE(a.log_sum == b.log_sum);
    REQUIRE(a.entropy == b.entropy);
}

} // namespace

TEST_CASE("a streamed row gives what the stored row gives, bit for bit, in whatever tiles it comes") {
    std::mt19937 random(11);
    draw_scratch scratch;
    for (const token_t size : {1, 32, 1000, 1024, 1025, 4096, 10000}) {
        for (const token_t mask : {0, size / 2, size - 1, size}) {
            if (size == 1 && mask == 0) {
                continue;
            }
            logits_stream stream({size, mask});
            stream.reset(6);
            CHECK(stream.rows() == 6);
            CHECK(stream.row_size() == size);
            for (const double temperature : {0.0, 1.0, 0.6}) {
                CAPTURE(size);
                CAPTURE(mask);
                CAPTURE(temperature);
                const categorical draw{temperature};
                std::vector<float> row = random_row(random, size);
                std::vector<bfloat16> halves;
                for (float& logit : row) {
                    logit = halves.emplace_back(bfloat16(logit));
                }
                if (mask < size) { // whatever is there must not matter
                    row[static_cast<std::size_t>(mask)] = temperature == 1 ? 50 : std::nanf("");
                    halves[static_cast<std::size_t>(mask)] = bfloat16(infinity);
                }
                const double uniform = uniform_open(static_cast<std::uint32_t>(random()), 0);
                const auto held = static_cast<token_t>(random() % static_cast<unsigned>(size));
                for (const index_t i : {4, 2}) {
                    stream.expect(i, draw, uniform, held);
                }
                write_all(stream, 4, std::span<const float>(row), random);
                write_all(stream, 2, std::span<const bfloat16>(halves), random);

                if (mask < size) {
                    row[static_cast<std::size_t>(mask)] = -infinity;
                }
                const auto expected = detail::reduce_row(draw, std::span<const float>(row), uniform, scratch);
                const auto log_probability = [&](token_t token) {
                    const auto logit = [&](token_t at) {
                        return static_cast<double>(row[static_cast<std::size_t>(at)]);
                    };
                    return logit(token) - logit(expected.raw.best) - expected.raw.log_sum;
                };
                for (const index_t i : {4, 2}) {
                    REQUIRE(stream.fault(i).empty());
                    const auto actual = stream.result(i);
                    require_same(actual.result.raw, expected.raw);
                    require_same(actual.result.draw.shaped, expected.draw.shaped);
                    REQUIRE(actual.result.draw.token == expected.draw.token);
                    REQUIRE(actual.result.draw.log_probability == expected.draw.log_probability);
                    REQUIRE(actual.drawn_log_probability == log_probability(expected.draw.token));
                    REQUIRE(actual.held_log_probability == log_probability(held));
                }
            }
        }
    }
}

TEST_CASE("faults of streamed rows are named, and rows don't disturb each other") {
    logits_stream stream({3000, 7});
    stream.reset(5);
    const std::vector<float> good(3000, 1.0F);
    std::vector<float> bad(good);
    bad[7] = std::nanf(""); // the mask's
    bad[2500] = std::nanf("");
    bad[2600] = infinity;
    std::vector<float> infinite(good);
    infinite[2] = infinity;
    const std::vector<float> none(3000, -infinity);
    index_t i = 0;
    for (const std::span<const float> row : {std::span<const float>(good), {bad}, {infinite}, {none}}) {
        stream.expect(i, categorical{0.5}, 0.25);
        stream.write(i++, 0, row);
    }
    stream.expect(4, greedy{}, 0.5);
    CHECK(stream.fault(0).empty());
    CHECK(stream.fault(1) == "NaN at token 2500");
    CHECK(stream.fault(2) == "+infinity at token 2");
    CHECK(stream.fault(3) == "-infinity for every token");
    CHECK(stream.fault(4) == "missing from token 0 on");
    stream.write(4, 0, std::span<const float>(good).first(2048));
    CHECK(stream.fault(4) == "missing from token 2048 on");
    CHECK(stream.result(0).result.raw.log_sum == doctest::Approx(std::log(2999.0)));
    CHECK(stream.result(1).result.raw.best == -1);
}

TEST_CASE("misuse of a stream throws and changes nothing") {
    logits_stream stream({5000, 0});
    stream.reset(1);
    stream.expect(0, greedy{}, 0.5);
    const std::vector<float> row(5000, 0.5F);
    const std::span<const float> all(row);
    const auto message = [&](auto&& call) {
        try {
            call();
        } catch (const invalid_argument& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    stream.write(0, 0, all.first(1024));
    CHECK(message([&] { stream.write(1, 1024, all.first(1024)); }) ==
          "logits_stream.write: row is 1, expected in [0, 1)");
    CHECK(message([&] { stream.write(0, 2048, all.first(1024)); }) ==
          "logits_stream.write: begin is 2048, expected where the row's last tile ended, 1024");
    for (const std::size_t size : {0U, 1U, 1023U, 3975U, 3977U, 4096U}) {
        CHECK(message([&] { stream.write(0, 1024, all.first(size)); }) ==
              "logits_stream.write: tile.size() is " + std::to_string(size) +
                  ", expected a multiple of 1024, or what the row lacks, 3976");
    }
    CHECK(message([&] { stream.expect(0, categorical{1, 5}, 0.5); }) ==
          "logits_stream.expect: categorical.top_k is 5, expected 0: no such filter");
    CHECK(message([&] { stream.expect(0, categorical{1, 0, 0.5}, 0.5); }) ==
          "logits_stream.expect: categorical.top_p is 0.500000, expected 1: no such filter");
    stream.write(0, 1024, all.last(3976));
    CHECK(stream.fault(0).empty());
    CHECK(message([&] { stream.write(0, 5000, all.first(1024)); }) ==
          "logits_stream.write: tile.size() is 1024, expected a multiple of 1024, or what the row lacks, 0");
    CHECK(stream.result(0).result.raw.log_sum == doctest::Approx(std::log(4999.0)));
}

TEST_CASE("shards of a vocabulary merge to the row's statistics, and to draws with its probabilities") {
    std::mt19937 random(12);
    const std::size_t size = 40;
    std::vector<float> logits(size);
    for (float& logit : logits) {
        logit = std::normal_distribution<float>(0, 1)(random);
    }
    for (const double temperature : {1.0, 0.5}) {
        const categorical draw{temperature};
        draw_scratch scratch;
        const auto whole = detail::reduce_row(draw, std::span<const float>(logits), 0.5, scratch);
        constexpr int draws = 200000;
        std::vector<double> counts(size);
        const philox generator{{17, 0}};
        for (std::uint32_t i = 0; i < draws; ++i) {
            const auto words = generator({i, 0, 0, 0});
            const auto others = generator({i, 1, 0, 0});
            const std::span<const float> all(logits);
            const vocabulary_shard low(draw, all.first(13), 0, uniform_open(words[0], words[1]));
            const vocabulary_shard high(draw, all.subspan(13), 13, uniform_open(words[2], words[3]));
            const vocabulary_shard both = low.merged(high, uniform_open(others[0], others[1]));
            const drawn result = both.draw();
            ++counts[static_cast<std::size_t>(result.token)];
            if (i < 100) {
                const row_statistics raw = both.statistics();
                REQUIRE(raw.best == whole.raw.best);
                REQUIRE(raw.second == whole.raw.second);
                REQUIRE(raw.log_sum == doctest::Approx(whole.raw.log_sum).epsilon(1e-6));
                REQUIRE(raw.entropy == doctest::Approx(whole.raw.entropy).epsilon(1e-6));
                REQUIRE(result.shaped.log_sum == doctest::Approx(whole.draw.shaped.log_sum).epsilon(1e-6));
                const double exponent = (static_cast<double>(logits[static_cast<std::size_t>(result.token)]) -
                                         static_cast<double>(logits[static_cast<std::size_t>(raw.best)])) /
                                        temperature;
                REQUIRE(result.log_probability == doctest::Approx(exponent - result.shaped.log_sum).epsilon(1e-6));
            }
        }
        double statistic = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const double distance =
                static_cast<double>(logits[i]) - static_cast<double>(logits[static_cast<std::size_t>(whole.raw.best)]);
            const double expected = draws * std::exp(distance / temperature - whole.draw.shaped.log_sum);
            statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
        }
        CAPTURE(statistic);
        CHECK(std::abs(statistic - 39) < 4 * std::sqrt(2 * 39.0));
    }
    const std::vector<float> none(5, -infinity);
    const vocabulary_shard empty(greedy{}, none, 40, 0.5);
    const vocabulary_shard full(greedy{}, logits, 0, 0.5);
    CHECK(empty.statistics().best == -1);
    CHECK(full.merged(empty, 0.5).draw().token == full.draw().token);
    CHECK(empty.merged(full, 0.5).draw().token == full.draw().token);
    const std::vector<float> bad{0, infinity};
    CHECK(full.merged(vocabulary_shard(greedy{}, bad, 40, 0.5), 0.5).statistics().best == -1);
}
