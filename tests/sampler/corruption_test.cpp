// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <numeric>

#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"
#include "pseudo_code.hpp"

// Remasking, uniform noise, editing and verification against their published loops; and what no corruption can do.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 7, .mask = 3, .end = {}};
constexpr std::size_t length = 10;

struct outcome {
    std::vector<token_t> text;
    statistics result;
};

template <class Sampler, class Model>
outcome run(const Sampler& sampler, Model& model, std::uint64_t seed, std::size_t prompt = 0) {
    canvas page(model.tokens);
    page.add(std::vector<token_t>(prompt, 5), static_cast<index_t>(length - prompt));
    const statistics result = sampler(cpu_executor{1}, model, page, seed);
    REQUIRE(page.masked() == 0);
    return {to_vector(page.tokens(0)), result};
}

// sample.py of ReMDM, with the draws of our sampler: alpha(t) and sigma(position) are the strategy's.
template <class Logits, class Rates>
std::vector<token_t> remdm_sample(const Logits& logits, std::uint64_t seed, std::size_t steps, double top_p,
                                  std::size_t prompt, const Rates& rates) {
    std::vector<token_t> x(length, tokens.mask);
    std::fill_n(x.begin(), prompt, 5);
    std::vector<double> conf(length, INFINITY);
    for (std::size_t i = 0; i < steps; ++i) {
        const double t = 1 - static_cast<double>(i) / static_cast<double>(steps);
        const double s = i + 1 == steps ? 0 : 1 - static_cast<double>(i + 1) / static_cast<double>(steps);
        std::vector<token_t> next = x;
        std::vector<double> next_conf = conf;
        for (std::size_t l = prompt; l < length; ++l) {
            const numbers u(seed, l, static_cast<std::uint32_t>(i));
            const auto [alpha_t, alpha_s, sigma] = rates(t, s, l, conf);
            if (x[l] == tokens.mask) {
                if (u.order < (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)) {
                    const auto p = scalar::keep_top_p(row_of(logits, tokens, x, l), top_p);
                    next[l] = draw_from(p, u.token);
                    next_conf[l] = entry(p, next[l]);
                }
            } else if (u.order < sigma) {
                next[l] = tokens.mask;
                next_conf[l] = INFINITY;
            }
        }
        x = next;
        conf = next_conf;
    }
    return x;
}

struct rates {
    double alpha_t;
    double alpha_s;
    double sigma;
};

} // namespace

TEST_CASE("remdm: cap, rescale, conf and loop are the published steps") {
    constexpr double top_p = 0.9;
    index_t remasked[4] = {};
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const random_logits logits{seed, 2};
        const std::size_t steps = 2 + seed % 20;
        const std::size_t prompt = seed % 3;
        const presets::remdm_options options{.steps = static_cast<index_t>(steps), .top_p = top_p};
        const auto largest = [](double t, double s) { return t < 1 ? std::min(1.0, s / (1 - t)) : 1.0; };
        const auto check = [&](int which, const auto& remasking, const auto& rates_of) {
            auto model = make_model(tokens, logits);
            const auto [text, result] = run(presets::remdm(options, remasking), model, seed, prompt);
            REQUIRE(text == remdm_sample(logits, seed, steps, top_p, prompt, rates_of));
            REQUIRE(result.calls <= static_cast<index_t>(steps));
            REQUIRE(result.committed - result.remasked == static_cast<index_t>(length - prompt));
            remasked[which] += result.remasked;
        };
        check(0, remdm_cap{0.2}, [&](double t, double s, std::size_t, const auto&) {
            return rates{1 - t, 1 - s, std::min(0.2, largest(t, s))};
        });
        check(1, remdm_rescale{0.3},
              [&](double t, double s, std::size_t, const auto&) { return rates{1 - t, 1 - s, 0.3 * largest(t, s)}; });
        check(2, remdm_conf{}, [&](double t, double s, std::size_t l, const std::vector<double>& conf) {
            double sum = 0;
            for (const double each : conf) {
                sum += std::exp(-each);
            }
            const double eta = sum > 0 ? std::exp(-conf[l]) / sum : 0;
            return rates{1 - t, 1 - s, eta * largest(t, s)};
        });
        const remdm_loop loop{.eta = 0.3, .t_on = 0.6, .t_off = 0.2, .alpha_on = 0.8};
        check(3, loop, [&](double t, double s, std::size_t, const auto&) {
            if (t > 0.6) {
                return rates{(1 - t) * 0.8 / 0.4, s == 0 ? 1 : (1 - s) * 0.8 / 0.4, 0};
            }
            if (t > 0.2 && s > 0) {
                return rates{0.8, 0.8, 0.3};
            }
            return rates{1 - t * 0.2 / 0.2, 1 - s * 0.2 / 0.2, 0};
        });
    }
    for (const index_t count : remasked) {
        CHECK(count > 20); // there was something to test
    }
}

TEST_CASE("duo: stay, take the model's token, or noise, in the posterior's proportions") {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const random_logits logits{seed, 2};
        const std::size_t steps = 1 + seed % 12;
        const bool greedy_tail = seed % 2 == 0;
        const double size = tokens.size - 1; // the mask is no token here
        const auto noise = [&](std::uint32_t high, std::uint32_t low) {
            const auto v = static_cast<token_t>(uniform_open(high, low) * size);
            return v < tokens.mask ? v : v + 1;
        };
        std::vector<token_t> x(length);
        for (std::size_t l = 0; l < length; ++l) {
            const numbers u(seed, l, 0xffffffffU);
            x[l] = noise(u.words[0], u.words[1]);
        }
        for (std::size_t i = 0; i < steps; ++i) {
            const double a_t = static_cast<double>(i) / static_cast<double>(steps);
            const double a_s = static_cast<double>(i + 1) / static_cast<double>(steps);
            std::vector<token_t> next = x;
            for (std::size_t l = 0; l < length; ++l) {
                const auto x0 = row_of(logits, tokens, x, l);
                const numbers u(seed, l, static_cast<std::uint32_t>(i));
                if (i + 1 == steps) {
                    next[l] = greedy_tail ? argmax(x0) : draw_from(x0, u.token);
                    continue;
                }
                const double a_ts = a_t / a_s;
                const double q = entry(x0, x[l]);
                const double total = a_t * size * q + 1 - a_t; // the posterior's denominator
                const double stay = (a_t * size * q + a_ts - a_t) / total;
                const double clean = (a_s - a_t) / total;
                REQUIRE(stay + clean + (1 - a_ts) * (1 - a_s) / total == doctest::Approx(1));
                if (u.order >= stay + clean) {
                    next[l] = noise(u.words[0], u.words[1]);
                } else if (u.order >= stay) {
                    next[l] = draw_from(x0, u.token);
                }
            }
            x = next;
        }
        function_model<random_logits, false, true> model{tokens, logits, false, 0, 0};
        const auto [text, result] =
            run(presets::duo({.steps = static_cast<index_t>(steps), .greedy_tail = greedy_tail}), model, seed);
        REQUIRE(text == x);
        REQUIRE(result.calls == static_cast<index_t>(steps));
    }
}

namespace {

// Some models are sure of everything and look at nothing: what they predict settles.
struct calm_or_random_logits {
    random_logits random;
    bool calm;

    float operator()(std::span<const token_t> all, index_t position, token_t token) const {
        return random(calm ? std::span<const token_t>() : all, position, token);
    }
};

} // namespace

TEST_CASE("diffusion_gemma: accept by entropy, renoise the rest, stop when settled") {
    index_t early = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        CAPTURE(seed);
        const bool calm = seed % 4 == 0;
        const calm_or_random_logits logits{{seed, calm ? 200.0 : 4.0}, calm};
        constexpr std::size_t steps = 6;
        const double bound = 0.5;
        const auto noise = [&](std::uint32_t high, std::uint32_t low) {
            const auto v = static_cast<token_t>(uniform_open(high, low) * (tokens.size - 1));
            return v < tokens.mask ? v : v + 1;
        };
        std::vector<token_t> x(length);
        for (std::size_t l = 0; l < length; ++l) {
            const numbers u(seed, l, 0xffffffffU);
            x[l] = noise(u.words[0], u.words[1]);
        }
        std::vector<token_t> before;
        std::vector<token_t> best(length);
        std::size_t calls = 0;
        for (std::size_t i = 0; i < steps; ++i) {
            ++calls;
            const double temperature = 0.4 + 0.4 * static_cast<double>(steps - i) / static_cast<double>(steps);
            std::vector<double> entropies(length);
            std::vector<token_t> drawn(length);
            for (std::size_t l = 0; l < length; ++l) {
                const auto p = row_of(logits, tokens, x, l, temperature);
                entropies[l] = scalar::entropy(p);
                best[l] = argmax(p);
                drawn[l] = draw_from(p, numbers(seed, l, static_cast<std::uint32_t>(i)).token);
            }
            const double mean = std::accumulate(entropies.begin(), entropies.end(), 0.0) / length;
            if (best == before && mean < 0.005) {
                break;
            }
            before = best;
            std::vector<std::size_t> order(length);
            std::iota(order.begin(), order.end(), std::size_t{0});
            std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return entropies[a] < entropies[b]; });
            double sum = 0;
            for (const std::size_t l : order) {
                sum += entropies[l];
                const numbers u(seed, l, static_cast<std::uint32_t>(i));
                x[l] = sum - entropies[l] <= bound ? drawn[l] : noise(u.words[2], u.words[3]);
            }
        }
        early += calls < steps ? 1 : 0;
        function_model<calm_or_random_logits, false, true> model{tokens, logits, false, 0, 0};
        const auto [text, result] =
            run(presets::diffusion_gemma({.steps = steps, .entropy_bound = bound}), model, seed);
        REQUIRE(text == best);
        REQUIRE(result.calls == static_cast<index_t>(calls));
    }
    CHECK(early > 0);
}

TEST_CASE("llada21: edits while masks are left, then rounds that only edit until one changes nothing") {
    // What the model wants at a position changes with the number of masks, so that committed tokens become wrong.
    const auto wants = [](std::span<const token_t> all, index_t position, token_t token) {
        const auto masks = std::count(all.begin(), all.end(), token_t{3});
        const auto sum = std::accumulate(all.begin(), all.end(), token_t{0});
        const token_t wanted = masks > 0 ? static_cast<token_t>((masks + position) % 3) : (sum % 2 == 0 ? 4 : 5);
        return token == wanted ? 6.0F + 0.1F * static_cast<float>(position) : 0.0F;
    };
    auto model = make_model(tokens, wants);
    model.may_ask_committed = true;
    canvas page(tokens);
    page.add(std::vector<token_t>{6}, 4); // the prompt shares the block and is never edited
    trace recorded;
    const statistics result = presets::llada21({.steps = 4, .block_length = 8, .threshold = 0.999, .edit_rounds = 3})(
        cpu_executor{1}, model, page, 1, recorded);
    // Four masks, surest (rightmost) first, one a call. Each call, what is committed becomes (masks + position) % 3.
    //   call 0: 4 masks: 4 -> 2            call 1: 3 masks: 3 -> 0, 4 -> 1      call 2: 2 masks: 2 -> 1, 3 -> 2, 4 -> 0
    //   call 3: 1 mask:  1 -> 2, 2 -> 0, 3 -> 1, 4 -> 2
    //   then 6 + 2 + 0 + 1 + 2 = 11 is odd: all 5, a sum of 26: all 4, a sum of 22, nothing to edit.
    REQUIRE(to_vector(page.tokens(0)) == std::vector<token_t>{6, 4, 4, 4, 4});
    CHECK(result.calls == 4 + 3);
    CHECK(result.wasted == 1);
    CHECK(result.committed == 4);
    CHECK(result.edited == 1 + 2 + 3 + 4 + 4);
    CHECK(page.state(0, 0) == position_state::prompt);
    CHECK(recorded.entries[1].call == 1);
    CHECK(recorded.entries[1].what.change == change::commit);
    CHECK(recorded.entries[2].what.change == change::edit);
}

TEST_CASE("llada21: rounds that only edit are counted, however few calls the masks took") {
    const auto never_content = [](std::span<const token_t> all, index_t position, token_t token) {
        return token == (all[static_cast<std::size_t>(position)] == 4 ? 5 : 4) ? 9.0F : 0.0F;
    };
    for (const index_t rounds : {0, 1, 2, 5}) {
        auto model = make_model(tokens, never_content);
        model.may_ask_committed = true;
        canvas page(tokens);
        page.add({}, 6);
        const statistics result = presets::llada21(
            {.steps = 6, .block_length = 6, .threshold = 0.5, .edit_rounds = rounds})(cpu_executor{1}, model, page, 1);
        CHECK(result.calls == 1 + rounds);
        CHECK(result.edited == 6 * rounds);
        CHECK(page.token(0, 0) == (rounds % 2 == 0 ? 4 : 5));
    }
}

namespace {

// Shadow rows predict with the tokens of the block, but each without its own.
struct shadow_model {
    unmask::vocabulary tokens;
    random_logits logits;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) const {
        denoise(page, rows, std::span<const position_range>(), out);
    }
    void denoise(const canvas& page, std::span<const row> rows, std::span<const position_range> verified,
                 tensor_view<float, 2> out) const {
        index_t at = 0;
        const auto write = [&](std::span<const token_t> all, index_t position) {
            for (token_t token = 0; token < tokens.size; ++token) {
                out(at, token) = logits(all, position, token);
            }
            ++at;
        };
        for (const row& each : rows) {
            write(page.tokens(each.sequence), each.position);
        }
        for (const position_range& range : verified) {
            for (index_t position = range.begin; position < range.end; ++position) {
                auto all = to_vector(page.tokens(range.sequence));
                all[static_cast<std::size_t>(position)] = tokens.mask;
                write(all, position);
            }
        }
    }
};

} // namespace

TEST_CASE("wino: wide in, narrow out, as published") {
    index_t remasked = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        CAPTURE(seed);
        const std::size_t n = 12 + 3 * (seed % 6);
        const std::size_t block = seed % 2 == 0 ? n : 8;
        shadow_model model{tokens, {seed, 5}};
        std::vector<token_t> x(n, tokens.mask);
        index_t calls = 0;
        for (std::size_t begin = 0; begin < n; begin += block) {
            const std::size_t end = std::min(n, begin + block);
            while (std::count(x.begin() + static_cast<index_t>(begin), x.begin() + static_cast<index_t>(end), 3) > 0) {
                ++calls;
                std::vector<std::pair<double, std::size_t>> in; // −p, so that sorting puts the lowest of equals first
                std::vector<std::pair<double, std::size_t>> out;
                std::vector<token_t> next = x;
                for (std::size_t l = begin; l < end; ++l) {
                    if (x[l] == tokens.mask) {
                        const auto p = row_of(model.logits, tokens, x, l);
                        in.push_back({-entry(p, argmax(p)), l});
                        next[l] = argmax(p);
                    } else {
                        auto without = x;
                        without[l] = tokens.mask;
                        out.push_back({entry(row_of(model.logits, tokens, without, l), x[l]), l});
                    }
                }
                std::sort(in.begin(), in.end());
                std::sort(out.begin(), out.end());
                const auto most = static_cast<std::size_t>(
                    std::max(5, std::min(20, static_cast<int>(0.7 * static_cast<double>(in.size())))));
                std::size_t taken = 0;
                for (const auto& [p, l] : in) {
                    const bool take = taken == 0 || (taken < most && -p >= 0.6);
                    taken += take ? 1 : 0;
                    next[l] = take ? next[l] : tokens.mask;
                }
                for (std::size_t i = 0; i + 1 < taken && i < out.size() && out[i].first < 0.9; ++i) {
                    next[out[i].second] = tokens.mask;
                }
                x = next;
            }
        }
        canvas page(tokens);
        page.add({}, static_cast<index_t>(n));
        const statistics result =
            presets::wino({.block_length = static_cast<index_t>(block)})(cpu_executor{1}, model, page, seed);
        REQUIRE(to_vector(page.tokens(0)) == x);
        REQUIRE(result.calls == calls);
        REQUIRE(result.nfe.verify == calls);
        remasked += result.remasked;
    }
    CHECK(remasked > 20);
}
