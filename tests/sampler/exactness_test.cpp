// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <unmask/cpu/rows/chunk_draw.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/detail/step/choose.hpp>
#include <unmask/sampler/detail/step/random_words.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

#include "models.hpp"

// Draws at the size of real vocabularies, a million of each kind of distribution: chi-square.

using namespace sampler_test;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#else
constexpr bool sanitized = false;
#endif

struct uniform_numbers {
    std::uint64_t seed;

    double operator()(std::uint32_t i) const {
        const auto words = detail::random_words(seed, 5, i, 3);
        return uniform_open(words[0], words[1]);
    }
};

// Draws many tokens of one row: what the library does with each chunk while it reads is done once.
class many_draws {
public:
    many_draws(std::span<const float> logits, double temperature)
        : logits_(logits), how_(detail::row_draw::at_temperature(temperature)) {
        detail::row_reduction row;
        const detail::chunk_adder<true> adder(how_.rule);
        for (std::size_t begin = 0; begin < logits.size(); begin += detail::chunk_size) {
            const auto chunk = logits.subspan(begin, std::min(detail::chunk_size, logits.size() - begin));
            detail::chunk_lines::buffer room;
            const detail::chunk_lines lines(chunk, detail::no_token, room);
            const float highest = detail::chunk_top(lines).highest;
            if (highest == -std::numeric_limits<float>::infinity()) {
                continue;
            }
            detail::row_reduction alone;
            how_.read(alone, chunk, 0, detail::no_token);
            offer one{begin, highest, 0, adder.of(lines, highest).shaped.weight};
            if (!offers_.empty()) {
                const double distance = static_cast<double>(highest) - static_cast<double>(row.part.highest);
                const double factor = exact::exp_nonpositive(exact::rounded(-std::abs(distance) * how_.rule.scale));
                one.earlier = how_.sums_of(row.part).with_best().weight;
                if (distance > 0) {
                    one.earlier *= factor;
                    one.offered = how_.sums_of(alone.part).with_best().weight;
                } else {
                    one.offered *= factor;
                }
            }
            offers_.push_back(one);
            how_.read(row, chunk, begin, detail::no_token);
        }
        trees_.resize(logits.size() / detail::chunk_size + 1);
    }

    token_t operator()(double uniform) {
        detail::part_choice choice{uniform};
        for (const offer& one : offers_) {
            choice.offer(one.earlier, one.offered, one.begin, one.highest);
        }
        auto& tree = trees_[choice.first / detail::chunk_size];
        if (!tree) {
            detail::chunk_lines::buffer room;
            const auto chunk = logits_.subspan(choice.first);
            const detail::chunk_lines lines(chunk.first(std::min(detail::chunk_size, chunk.size())), detail::no_token,
                                            room);
            tree = std::make_unique<detail::chunk_draw>(lines, choice.highest, how_.rule);
        }
        return static_cast<token_t>(choice.first + (*tree)(choice.uniform));
    }

private:
    struct offer {
        std::size_t begin;
        float highest;
        double earlier;
        double offered;
    };

    std::span<const float> logits_;
    detail::row_draw how_;
    std::vector<offer> offers_;
    std::vector<std::unique_ptr<detail::chunk_draw>> trees_;
};

// A row with −∞ in place of what the library's filters drop.
std::vector<float> kept(std::vector<float> logits, const categorical& draw) {
    draw_scratch scratch;
    detail::row_reduction row;
    const auto how = detail::row_draw::at_temperature(draw.temperature);
    const detail::row_filter filter{draw.filter()};
    const auto last = filter.read(how, std::span<const float>(logits), row, scratch);
    for (std::size_t token = 0; token < logits.size(); ++token) {
        if (!last.keeps(logits[token], static_cast<token_t>(token))) {
            logits[token] = -std::numeric_limits<float>::infinity();
        }
    }
    return logits;
}

// Probabilities from the definitions.
std::vector<double> plain(std::span<const float> logits, const categorical& draw) {
    const float highest = *std::max_element(logits.begin(), logits.end());
    std::vector<double> p;
    for (const float logit : logits) {
        p.push_back(std::exp((static_cast<double>(logit) - static_cast<double>(highest)) / draw.temperature));
    }
    if (draw.top_k > 0 || draw.top_p < 1) {
        std::vector<std::size_t> order(p.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
        const double share = draw.top_p * std::accumulate(p.begin(), p.end(), 0.0);
        double sum = 0;
        for (std::size_t rank = 0; rank < order.size(); ++rank) {
            const bool out = draw.top_k > 0 ? rank >= static_cast<std::size_t>(draw.top_k) : sum >= share;
            sum += p[order[rank]];
            p[order[rank]] = out ? 0 : p[order[rank]];
        }
    }
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    std::transform(p.begin(), p.end(), p.begin(), [&](double each) { return each / sum; });
    return p;
}

// Compares counts in the classes that bin(token) makes, neighbours joined until 25 are expected.
template <class Bin>
void check_chi_square(const std::vector<int>& counts, const std::vector<double>& p, double draws, const Bin& bin) {
    std::vector<double> expected;
    std::vector<double> counted;
    for (std::size_t token = 0; token < p.size(); ++token) {
        const std::size_t at = bin(token);
        expected.resize(std::max(expected.size(), at + 1));
        counted.resize(expected.size());
        expected[at] += p[token] * draws;
        counted[at] += counts[token];
    }
    double statistic = 0;
    double freedom = -1;
    double many = 0;
    double found = 0;
    for (std::size_t at = 0; at < expected.size(); ++at) {
        many += expected[at];
        found += counted[at];
        if (many >= 25) {
            statistic += (found - many) * (found - many) / many;
            freedom += 1;
            many = 0;
            found = 0;
        }
    }
    CAPTURE(statistic);
    CAPTURE(freedom);
    if (freedom >= 1) { // wrong once in ten thousand, of a thousand
        REQUIRE(statistic < freedom + 4.5 * std::sqrt(2 * freedom) + 8);
        REQUIRE(statistic > freedom - 4.5 * std::sqrt(2 * freedom));
    }
}

std::vector<float> zipf(std::size_t size) {
    std::vector<float> logits(size);
    for (std::size_t i = 0; i < size; ++i) { // ranks spread over the vocabulary: 7919 is prime to both sizes
        logits[i * 7919 % size] = static_cast<float>(-std::log(1.0 + static_cast<double>(i)));
    }
    return logits;
}

std::vector<float> spiked(std::size_t size) {
    std::vector<float> logits(size);
    for (std::size_t i = 0; i < size; ++i) {
        logits[i] = -0.001F * static_cast<float>(i % 1000);
    }
    logits[size / 3] = 11; // about a third of the weight
    logits[size - 1] = 10;
    return logits;
}

void check_draws(std::vector<float> (*make)(std::size_t), std::uint64_t seed) {
    const std::uint32_t draws = sanitized ? 2000 : 56000; // of each of 18
    const std::uint32_t whole = sanitized ? 1 : 8;        // of these, read from the row
    draw_scratch scratch;
    for (const std::size_t size : {50257U, 126464U}) {
        const std::vector<float> logits = make(size);
        for (const double temperature : {0.1, 1.0, 2.0}) {
            for (const categorical draw :
                 {categorical{temperature}, categorical{temperature, 50}, categorical{temperature, 0, 0.9}}) {
                CAPTURE(size);
                CAPTURE(temperature);
                CAPTURE(draw.top_k);
                CAPTURE(draw.top_p);
                const std::vector<double> p = plain(logits, draw);
                const bool filtered = draw.top_k > 0 || draw.top_p < 1;
                const std::vector<float> drawn_from = filtered ? kept(logits, draw) : logits;
                many_draws of(drawn_from, temperature);
                std::vector<int> counts(size);
                const uniform_numbers numbers{++seed};
                for (std::uint32_t i = 0; i < draws; ++i) {
                    const double uniform = numbers(i);
                    const token_t token = of(uniform);
                    ++counts[static_cast<std::size_t>(token)];
                    if (i < whole) {
                        const auto row = detail::reduce_row(draw, std::span<const float>(logits), uniform, scratch);
                        REQUIRE(row.draw.token == token);
                        const double expected = std::log(p[static_cast<std::size_t>(token)]);
                        REQUIRE(row.draw.log_probability == doctest::Approx(expected).epsilon(1e-5));
                    }
                }
                std::size_t impossible = 0; // a share that is met to rounding may have one token more
                for (std::size_t token = 0; token < size; ++token) {
                    impossible += p[token] == 0 && counts[token] > 0 ? 1 : 0;
                }
                REQUIRE(impossible <= (draw.top_p < 1 ? 1 : 0));
                check_chi_square(counts, p, draws, [](std::size_t token) { return token; });
                check_chi_square(counts, p, draws, [](std::size_t token) { return token % 128; });
                check_chi_square(counts, p, draws, [](std::size_t token) { return token / 1024; });
            }
        }
    }
}

} // namespace

TEST_CASE("a million draws from flat distributions") {
    check_draws([](std::size_t size) { return std::vector<float>(size, -1.5F); }, 100);
}

TEST_CASE("a million draws from Zipf's distribution") {
    check_draws(zipf, 200);
}

TEST_CASE("a million draws from distributions with spikes") {
    check_draws(spiked, 300);
}

// MDLM's ancestral step, 1000 steps, half way: a masked position is revealed with probability 1 − s/t = 1/500, and its
// token has the model's distribution. With fp32 Gumbel noise it is 0.752 of that, and the mean −log p 6.24 instead of
// 7.566.
TEST_CASE("the ancestral step reveals as often as it should, and tokens as rare as they are") {
    constexpr std::size_t size = 50257;
    const std::vector<float> logits = zipf(size);
    const std::vector<double> p = plain(logits, categorical{});
    double entropy = 0;
    for (const double each : p) {
        entropy -= each * std::log(each);
    }
    REQUIRE(entropy == doctest::Approx(7.566).epsilon(1e-3));

    const double probability = detail::share_of(steps{1000}, schedule_step{500, 1000, 1024, 512}).probability;
    REQUIRE(probability == doctest::Approx(0.002));
    const std::uint32_t positions = sanitized ? 200'000 : 40'000'000;
    const double tolerance = sanitized ? 0.15 : 0.005;
    many_draws draw(logits, 1);
    double revealed = 0;
    double log_probability = 0;
    for (std::uint32_t i = 0; i < positions; ++i) {
        const auto words = detail::random_words(2, 0, i, 500);
        if (uniform_open(words[2], words[3]) < probability) {
            revealed += 1;
            log_probability += std::log(p[static_cast<std::size_t>(draw(uniform_open(words[0], words[1])))]);
        }
    }
    CHECK(revealed / positions == doctest::Approx(probability).epsilon(tolerance));
    CHECK(-log_probability / revealed == doctest::Approx(entropy).epsilon(tolerance));
    if (sanitized) {
        MESSAGE("few draws, because of the sanitizer");
    }
}
