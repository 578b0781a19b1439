// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <unmask/sampler/presets.hpp>

#include "models.hpp"
#include "preset_run.hpp"
#include "pseudo_code.hpp"

// Presets that commit as many tokens as are sure enough against their published pseudo-code, and by hand.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 9, .mask = 4, .end = {}};

// A masked position of the block, and what a decoder knows of it.
struct proposal {
    std::size_t position;
    token_t token;
    double confidence;      // of the token, before temperature
    scalar::distribution q; // before temperature
    bool commit = false;
};
using proposals = std::vector<proposal>;
using logits_row = std::vector<double>;

// Blocks from left to right, each until it is full. `shape(position, row)` may change logits; `decode(proposals, step)`
// says what a call commits.
template <class Shape, class Decode>
generation by_blocks(const any_logits& logits, const std::vector<token_t>& prompt, std::size_t masks,
                     std::size_t block_length, double temperature, std::uint64_t seed, Shape shape, Decode decode) {
    generation result;
    std::vector<token_t>& x = result.text;
    x = prompt;
    x.resize(prompt.size() + masks, tokens.mask);
    for (std::size_t begin = prompt.size(); begin < x.size(); begin += block_length) {
        const std::size_t end = std::min(x.size(), begin + block_length);
        for (std::size_t step = 0;; ++step) {
            proposals block;
            for (std::size_t l = begin; l < end; ++l) {
                if (x[l] == tokens.mask) {
                    logits_row values;
                    for (token_t v = 0; v < tokens.size; ++v) {
                        values.push_back(v == tokens.mask ? -INFINITY : logits(x, static_cast<index_t>(l), v));
                    }
                    shape(l, values);
                    const auto q = scalar::softmax(values, 1);
                    const double u = numbers(seed, l, static_cast<std::uint32_t>(result.calls)).token;
                    const token_t token =
                        temperature > 0 ? draw_from(scalar::softmax(values, temperature), u) : argmax(q);
                    block.push_back({l, token, entry(q, token), q});
                }
            }
            if (block.empty()) {
                break;
            }
            decode(block, step);
            for (const proposal& one : block) {
                if (one.commit) {
                    x[one.position] = one.token;
                    result.trace.push_back({result.calls, static_cast<index_t>(one.position), one.token});
                }
            }
            ++result.calls;
        }
    }
    return result;
}

void as_it_is(std::size_t /*position*/, logits_row& /*logits*/) {}

template <class Key>
std::vector<std::size_t> by_falling(const proposals& block, Key key) {
    std::vector<std::size_t> order(block.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return key(block[a]) > key(block[b]); });
    return order;
}
double confidence_of(const proposal& one) {
    return one.confidence;
}
double minus_entropy(const proposal& one) {
    return -scalar::entropy(one.q);
}
double top1_minus_top2(const proposal& one) {
    const auto order = scalar::by_probability(one.q);
    return one.q[order[0]] - one.q[order[1]];
}

// A model that has mostly made up its mind: what the canvas holds moves its logits by little.
struct calm_logits {
    std::uint64_t seed;

    float operator()(std::span<const token_t> all, index_t position, token_t token) const {
        const auto at = static_cast<std::uint64_t>(position);
        const double restless = mix(seed ^ (at + 77)) % 3 == 0 ? 0.3 : 0.02;
        return random_logits{seed, 8, 0}({}, position, token) +
               random_logits{seed + 1, restless, 0}(all, position, token);
    }
};

// A random case: half of the models are calm, half of the draws are at a temperature.
struct example {
    std::uint64_t seed;
    std::vector<token_t> prompt = std::vector<token_t>(seed % 4, 7);
    std::size_t block = 3 + seed % 5;
    std::size_t masks = block * (1 + seed % 3);
    double temperature = seed % 4 < 2 ? 0 : 0.8;
    any_logits logits = seed % 2 == 0 ? any_logits(random_logits{seed, 6}) : any_logits(calm_logits{seed});

    template <class Sampler>
    generation ours(const Sampler& sampler) const {
        return generate(sampler, logits, tokens, prompt, masks, seed);
    }
    template <class Decode>
    generation theirs(Decode decode) const {
        return by_blocks(logits, prompt, masks, block, temperature, seed, as_it_is, decode);
    }
    [[nodiscard]] index_t length() const { return static_cast<index_t>(block); }
};
constexpr std::uint64_t examples = 48;

} // namespace

TEST_CASE("fast_dllm: a trace worked out by hand") {
    // Block 1..3 has p 0.5 0.9 0.7: 2 reaches 0.75; then nothing does, and the surest is taken: 3, then 1.
    // Block 4..6 has 0.6 0.95 0.8: 5 and 6, then 4.
    const std::vector<event> expected{{0, 2, 1}, {1, 3, 2}, {2, 1, 0}, {3, 5, 1}, {3, 6, 2}, {4, 4, 0}};
    const auto actual = generate(presets::fast_dllm({.threshold = 0.75, .block_length = 3}), six_rows(), three, {2}, 6);
    CHECK(actual.trace == expected);
    CHECK(actual.calls == 5);
}

TEST_CASE("fast_dllm is its get_transfer_index with a threshold") {
    int other_threshold = 0;
    for (std::uint64_t seed = 0; seed < examples; ++seed) {
        CAPTURE(seed);
        const example one{seed};
        const double threshold = 0.6 + 0.05 * static_cast<double>(seed % 7);
        const auto decode = [](double bound) {
            return [bound](proposals& block, std::size_t /*step*/) {
                const auto select_index = by_falling(block, confidence_of);
                for (std::size_t k = 0; k < select_index.size(); ++k) {
                    block[select_index[k]].commit = k < 1 || !(block[select_index[k]].confidence < bound);
                }
            };
        };
        const auto ours = one.ours(
            presets::fast_dllm({.threshold = threshold, .block_length = one.length(), .temperature = one.temperature}));
        REQUIRE(ours == one.theirs(decode(threshold)));
        other_threshold += ours == one.theirs(decode(threshold - 0.2)) ? 0 : 1;
    }
    CHECK(other_threshold > 10);
}

TEST_CASE("fast_dllm_factor: a trace worked out by hand") {
    // By falling p: 0.95 0.9 0.8 0.7 …, so (n + 1)(1 - p) is 0.1 0.3 0.8 1.5: three are below 1. Of 0.7 0.6 0.5 the
    // second has 3 * 0.4: one. Of 0.6 0.5 the second has 3 * 0.5: one, and not both, as the original's loop would.
    const std::vector<event> expected{{0, 2, 1}, {0, 5, 1}, {0, 6, 2}, {1, 3, 2}, {2, 4, 0}, {3, 1, 0}};
    CHECK(generate(presets::fast_dllm_factor({.factor = 1}), six_rows(), three, {2}, 6).trace == expected);
}

TEST_CASE("fast_dllm_factor is its get_transfer_index_dynamic, but for the last position") {
    int original_differs = 0;
    for (std::uint64_t seed = 0; seed < examples; ++seed) {
        CAPTURE(seed);
        const example one{seed};
        const double factor = 0.3 + 0.2 * static_cast<double>(seed % 6);
        const auto decode = [&](bool original) {
            return [=](proposals& block, std::size_t /*step*/) {
                const auto order = by_falling(block, confidence_of);
                std::vector<double> threshs;
                for (std::size_t n = 1; n <= order.size(); ++n) {
                    threshs.push_back(n == 1 ? -1 : 1 - factor / static_cast<double>(n + 1));
                }
                std::size_t top_i = 0;
                while (top_i < order.size() && !(block[order[top_i]].confidence < threshs[top_i])) {
                    ++top_i;
                }
                // The original can't tell a loop that ended from one that broke at the last position, and takes all.
                top_i += original && top_i + 1 == order.size() ? 1 : 0;
                for (std::size_t k = 0; k < top_i; ++k) {
                    block[order[k]].commit = true;
                }
            };
        };
        const auto ours = one.ours(presets::fast_dllm_factor(
            {.factor = factor, .block_length = one.length(), .temperature = one.temperature}));
        REQUIRE(ours == one.theirs(decode(false)));
        original_differs += ours == one.theirs(decode(true)) ? 0 : 1;
    }
    CHECK(original_differs > 10);
}

TEST_CASE("dinfer_credit: a trace worked out by hand") {
    // The odds p : 1 - p become p (1 + C)^0.7 : 1 - p with C = c, 1.8 c, 2.44 c, … for c = p^0.2.
    //   p      c      call 0  1      2
    //   0.5    0.871  0.608   0.659  0.689
    //   0.6    0.903  0.702   0.747  0.772
    //   0.7    0.931  0.787   0.823
    //   0.8    0.956  0.865
    //   0.9    0.979  0.936
    //   0.95   0.990  0.968
    // At 0.775: 2 3 5 6, then the surest of 1 and 4, which are 0.659 and 0.747: 4; then 1.
    // At 0.79: 2 5 6, then 3 (0.823), then 4 (0.772, the surest), then 1.
    const auto run = [](double threshold) {
        return generate(presets::dinfer_credit({.threshold = threshold}), six_rows(), three, {2}, 6).trace;
    };
    CHECK(run(0.775) == std::vector<event>{{0, 2, 1}, {0, 3, 2}, {0, 5, 1}, {0, 6, 2}, {1, 4, 0}, {2, 1, 0}});
    CHECK(run(0.79) == std::vector<event>{{0, 2, 1}, {0, 5, 1}, {0, 6, 2}, {1, 3, 2}, {2, 4, 0}, {3, 1, 0}});
}

TEST_CASE("dinfer_credit is its CreditThresholdParallelDecoder, without the slack") {
    int no_credit = 0;
    int no_decay = 0;
    for (std::uint64_t seed = 0; seed < examples; ++seed) {
        CAPTURE(seed);
        const example one{seed};
        const double threshold = 0.7 + 0.05 * static_cast<double>(seed % 5);
        const auto decoder = [&](double alpha, double beta) {
            std::map<std::size_t, logits_row> matrix; // a row for every position
            const auto fuse = [&](std::size_t position, logits_row& logits) {
                logits_row& credits = matrix.try_emplace(position, logits.size(), 0.0).first->second;
                for (double& each : credits) {
                    each *= beta;
                }
                const auto q = scalar::softmax(logits, 1);
                const auto top1 = static_cast<std::size_t>(argmax(q));
                credits[top1] += std::pow(q[top1], 0.2);
                for (std::size_t v = 0; v < logits.size(); ++v) {
                    logits[v] += alpha * std::log(credits[v] + 1);
                }
            };
            const auto decode = [&](proposals& block, std::size_t /*step*/) {
                // The original's threshold is the highest confidence less 1e-5 if that is lower; ours has no slack.
                const double highest = block[by_falling(block, confidence_of)[0]].confidence;
                for (proposal& each : block) {
                    each.commit = each.confidence >= std::min(threshold, highest);
                }
            };
            return by_blocks(one.logits, one.prompt, one.masks, one.block, one.temperature, seed, fuse, decode);
        };
        const auto ours = one.ours(presets::dinfer_credit(
            {.threshold = threshold, .block_length = one.length(), .temperature = one.temperature}));
        REQUIRE(ours == decoder(0.7, 0.8));
        no_credit += ours == decoder(0, 0.8) ? 0 : 1;
        no_decay += ours == decoder(0.7, 1) ? 0 : 1;
    }
    CHECK(no_credit > 10);
    CHECK(no_decay > 1); // rarely matters
}

TEST_CASE("dinfer_hierarchy: a trace worked out by hand") {
    // 2 and 5 are above 0.85. The runs that are left are 1 | 3 4 | 6: of each the best if above 0.55, so 3 and 6, as 1
    // has 0.5. Then 1 | 4: 4. Then 1, which is the surest of all, though not sure.
    const std::vector<event> expected{{0, 2, 1}, {0, 5, 1}, {1, 3, 2}, {1, 6, 2}, {2, 4, 0}, {3, 1, 0}};
    const auto sampler = presets::dinfer_hierarchy({.threshold = 0.85, .low_threshold = 0.55});
    CHECK(generate(sampler, six_rows(), three, {2}, 6).trace == expected);
}

TEST_CASE("dinfer_hierarchy is its HierarchyDecoder") {
    int no_runs = 0;
    for (std::uint64_t seed = 0; seed < examples; ++seed) {
        CAPTURE(seed);
        const example one{seed};
        const double low = 0.3 + 0.05 * static_cast<double>(seed % 7);
        const auto decode = [&](bool runs) {
            return [=](proposals& block, std::size_t /*step*/) {
                std::map<std::size_t, double>
                    seg_max; // by the segment's number: masks so far and positions passed differ
                std::vector<std::size_t> seg_id;
                for (std::size_t i = 0; i < block.size(); ++i) {
                    seg_id.push_back(block[i].position - i);
                    double& highest = seg_max[seg_id[i]];
                    highest = std::max(highest, block[i].confidence);
                }
                for (std::size_t i = 0; i < block.size(); ++i) {
                    const double c = block[i].confidence;
                    block[i].commit = (runs && c == seg_max[seg_id[i]] && c > low) || c > 0.85;
                }
                block[by_falling(block, confidence_of)[0]].commit = true;
            };
        };
        const auto ours = one.ours(presets::dinfer_hierarchy(
            {.threshold = 0.85, .low_threshold = low, .block_length = one.length(), .temperature = one.temperature}));
        REQUIRE(ours == one.theirs(decode(true)));
        no_runs += ours == one.theirs(decode(false)) ? 0 : 1;
    }
    CHECK(no_runs > 10);
}

TEST_CASE("eb: a trace worked out by hand") {
    // Entropies of p = 0.5 0.9 0.7 0.6 0.95 0.8: 0.693 0.325 0.611 0.673 0.199 0.500. In rising order, the sum without
    // its largest: 5: 0, 2: 0.199, 6: 0.524, 3: 1.024. Then 3: 0, 4: 0.611, 1: 1.284. Then 1.
    const std::vector<event> expected{{0, 2, 1}, {0, 5, 1}, {0, 6, 2}, {1, 3, 2}, {1, 4, 0}, {2, 1, 0}};
    CHECK(generate(presets::eb({.gamma = 0.65}), six_rows(), three, {2}, 6).trace == expected);
}

TEST_CASE("eb is its algorithm, for each of its error proxies") {
    int wrong_sign = 0;
    int whole_sum = 0;
    for (std::uint64_t seed = 0; seed < examples; ++seed) {
        CAPTURE(seed);
        const example one{seed};
        const double gamma = 0.05 * static_cast<double>(1 + seed % 20);
        const auto decode = [&](auto certainty, bool without_largest = true) {
            return [=](proposals& block, std::size_t /*step*/) {
                double sum = 0;
                double largest = 0;
                for (const std::size_t i : by_falling(block, certainty)) {
                    const double entropy = scalar::entropy(block[i].q);
                    sum += entropy;
                    largest = std::max(largest, entropy);
                    if (sum - (without_largest ? largest : 0) > gamma && sum > entropy) {
                        break;
                    }
                    block[i].commit = true;
                }
            };
        };
        const presets::eb_options options{.gamma = gamma, .block_length = one.length(), .temperature = one.temperature};
        const auto ours = one.ours(presets::eb(options));
        REQUIRE(ours == one.theirs(decode(minus_entropy)));
        REQUIRE(one.ours(presets::eb(options, confidence{})) == one.theirs(decode(confidence_of)));
        REQUIRE(one.ours(presets::eb(options, margin{})) == one.theirs(decode(top1_minus_top2)));
        const auto upside_down = one.theirs(decode([](const proposal& it) { return -minus_entropy(it); }));
        wrong_sign += ours.text == upside_down.text ? 0 : 1;
        whole_sum += ours == one.theirs(decode(minus_entropy, false)) ? 0 : 1;
    }
    CHECK(wrong_sign > 20); // another text, not only another order
    CHECK(whole_sum > 10);
}

TEST_CASE("klass: a trace worked out by hand") {
    // The distributions don't change, so from the third call on all are stable. Six steps: one token a call until then,
    // 5 and 2. Then those above 0.65, which are 3 and 6; then there are none: 4, then 1.
    const std::vector<event> expected{{0, 5, 1}, {1, 2, 1}, {2, 3, 2}, {2, 6, 2}, {3, 4, 0}, {4, 1, 0}};
    const auto sampler = presets::klass({.steps = 6, .block_length = 6, .confidence = 0.65});
    CHECK(generate(sampler, six_rows(), three, {2}, 6).trace == expected);
}

TEST_CASE("klass is its stable_confident_decode") {
    int any_divergence = 0;
    int one_divergence = 0;
    for (std::uint64_t seed = 1; seed < 2 * examples; seed += 2) { // calm models, or nothing is ever stable
        CAPTURE(seed);
        const example one{.seed = seed, .block = 9 + seed % 5};
        const std::size_t steps = one.block - seed % 6;
        const auto decoder = [&](double kl_threshold, std::size_t history_length) {
            std::map<std::size_t, scalar::distribution> p_prev;
            std::map<std::size_t, std::size_t> stable_steps; // in a row
            std::size_t total = 0;
            const auto decode = [&](proposals& block, std::size_t step) {
                total = step == 0 ? block.size() : total;
                bool any = false;
                for (proposal& each : block) {
                    // The original's history also has the steps of earlier blocks; ours begins with the block. Its very
                    // first divergence is from a distribution of zeros, and so large that it is as good as none.
                    if (const auto before = p_prev.find(each.position); before != p_prev.end()) {
                        double kl = 0;
                        for (std::size_t v = 0; v < each.q.size(); ++v) {
                            kl += each.q[v] > 0 ? each.q[v] * std::log(each.q[v] / before->second[v]) : 0;
                        }
                        stable_steps[each.position] = kl < kl_threshold ? stable_steps[each.position] + 1 : 0;
                    }
                    p_prev[each.position] = each.q;
                    each.commit = stable_steps[each.position] >= history_length && each.confidence > 0.8;
                    any = any || each.commit;
                }
                // Stable tokens can be fewer than scheduled, and the original may end with masks left. Ours takes all
                // that are left when the steps are over, and goes on as long as there are any.
                const std::size_t quota =
                    step + 1 < steps ? total / steps + (step < total % steps ? 1 : 0) : block.size();
                const auto order = by_falling(block, confidence_of);
                for (std::size_t k = 0; !any && k < std::min(quota, order.size()); ++k) {
                    block[order[k]].commit = true;
                }
            };
            return one.theirs(decode);
        };
        const presets::klass_options options{.steps = static_cast<index_t>(steps * (one.masks / one.block)),
                                             .block_length = one.length(),
                                             .confidence = 0.8,
                                             .divergence = 0.001,
                                             .temperature = one.temperature};
        const auto ours = one.ours(presets::klass(options));
        REQUIRE(ours == decoder(0.001, 2));
        any_divergence += ours == decoder(INFINITY, 2) ? 0 : 1;
        one_divergence += ours == decoder(0.001, 1) ? 0 : 1;
    }
    CHECK(any_divergence > 5);
    CHECK(one_divergence > 5);
}
