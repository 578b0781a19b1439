// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// The sampler again, for one sequence, as plain loops over probabilities in double: written from the definitions, to
/// judge the library's. It shares Philox with it and nothing else.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include <unmask/random/philox.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/vocabulary.hpp>

namespace scalar {

using unmask::index_t;
using unmask::token_t;

enum class schedule { linear, cosine, timesteps };
enum class score { confidence, margin, negative_entropy, random_order };
enum class selector { top_k, threshold, ancestral };

struct policies {
    scalar::schedule schedule = schedule::linear;
    index_t steps = 1;
    double epsilon = 0;
    index_t block_length = 1;
    scalar::score score = score::confidence;
    bool shaped = false; // score and threshold look at the shaped probabilities
    scalar::selector selector = selector::top_k;
    double threshold = 1;
    double temperature = 0;
    index_t top_k = 0;
    double top_p = 1;
    bool top_p_first = false;
    bool stop_at_end = true;
};

struct sequence {
    std::vector<token_t> tokens;
    std::vector<unmask::position_state> states;
    std::uint64_t id = 0;
};

struct outcome {
    std::vector<token_t> tokens;
    index_t calls = 0;
    index_t committed = 0;
};

using distribution = std::vector<double>;

inline distribution softmax(std::vector<double> logits, double temperature) {
    double highest = -INFINITY;
    for (const double logit : logits) {
        highest = std::max(highest, logit);
    }
    double sum = 0;
    for (double& logit : logits) {
        logit = std::exp((logit - highest) / temperature);
        sum += logit;
    }
    for (double& logit : logits) {
        logit /= sum;
    }
    return logits;
}

inline distribution renormalised(distribution p) {
    double sum = 0;
    for (const double value : p) {
        sum += value;
    }
    for (double& value : p) {
        value /= sum;
    }
    return p;
}

// Tokens from the most likely one down; of equals, the lowest first.
inline std::vector<std::size_t> by_probability(const distribution& p) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < p.size(); ++i) {
        order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
    return order;
}

inline distribution keep_top_k(distribution p, index_t k) {
    const auto order = by_probability(p);
    for (std::size_t rank = 0; rank < order.size(); ++rank) {
        p[order[rank]] = k == 0 || rank < static_cast<std::size_t>(k) ? p[order[rank]] : 0;
    }
    return renormalised(p);
}

inline distribution keep_top_p(distribution p, double bound) {
    double sum = 0;
    for (const std::size_t token : by_probability(p)) {
        const bool reached = bound < 1 && sum >= bound;
        sum += p[token];
        p[token] = reached ? 0 : p[token];
    }
    return renormalised(p);
}

inline double entropy(const distribution& p) {
    double sum = 0;
    for (const double value : p) {
        sum -= value > 0 ? value * std::log(value) : 0;
    }
    return sum;
}

// A position that could be committed.
struct option {
    std::size_t position;
    token_t token;
    double score;
    double probability; // of the token, as the threshold sees it
};

inline double masked_share(const policies& how, index_t step, index_t steps) {
    const double x = static_cast<double>(step) / static_cast<double>(steps);
    if (step == steps) {
        return 0;
    }
    switch (how.schedule) {
    case schedule::linear:
        return 1 - x;
    case schedule::cosine:
        return std::cos(std::acos(0.0) * x);
    case schedule::timesteps:
        return 1 + x * (how.epsilon - 1);
    }
    return 0;
}

inline index_t quota(const policies& how, index_t step, index_t steps, index_t total, index_t masked) {
    if (step == steps - 1) {
        return masked;
    }
    if (how.schedule == schedule::linear) {
        return std::min(masked, total / steps + (step < total % steps ? 1 : 0));
    }
    const double wanted = std::round(static_cast<double>(total) * masked_share(how, step + 1, steps));
    index_t result = masked - static_cast<index_t>(wanted);
    while (masked - result < steps - step - 1 && result > 1) {
        --result; // leave one for each later step
    }
    return std::max<index_t>(result, 1);
}

template <class Logits>
option consider(const Logits& logits_of, const unmask::vocabulary& vocabulary, const policies& how,
                const std::vector<token_t>& tokens, std::size_t position, double uniform, double random) {
    std::vector<double> logits;
    for (token_t token = 0; token < vocabulary.size; ++token) {
        const double logit = logits_of(tokens, static_cast<index_t>(position), token);
        logits.push_back(token == vocabulary.mask ? -INFINITY : logit);
    }
    const distribution raw = softmax(logits, 1);
    distribution shaped = softmax(logits, how.temperature > 0 ? how.temperature : 1);
    shaped = how.top_p_first ? keep_top_k(keep_top_p(shaped, how.top_p), how.top_k)
                             : keep_top_p(keep_top_k(shaped, how.top_k), how.top_p);
    std::size_t token = by_probability(raw)[0];
    if (how.temperature > 0) {
        double sum = 0;
        for (std::size_t i = 0; i < shaped.size() && sum <= uniform; ++i) {
            sum += shaped[i];
            token = shaped[i] > 0 ? i : token;
        }
    }
    const distribution& p = how.shaped ? shaped : raw;
    const auto order = by_probability(p);
    double score = 0;
    switch (how.score) {
    case score::confidence:
        score = std::log(p[token]);
        break;
    case score::margin:
        score = p[order[0]] - (order.size() > 1 ? p[order[1]] : 0);
        break;
    case score::negative_entropy:
        score = -entropy(p);
        break;
    case score::random_order:
        score = random;
        break;
    }
    return {position, static_cast<token_t>(token), score, p[token]};
}

// Whether the text is complete; what is after its end is then overwritten.
inline bool complete(sequence& page, const unmask::vocabulary& vocabulary, const policies& how) {
    if (how.stop_at_end && vocabulary.end) {
        for (std::size_t i = 0; i < page.tokens.size(); ++i) {
            if (page.states[i] == unmask::position_state::masked) {
                return false;
            }
            if (page.states[i] == unmask::position_state::committed && page.tokens[i] == *vocabulary.end) {
                for (std::size_t j = i + 1; j < page.tokens.size(); ++j) {
                    if (page.states[j] != unmask::position_state::prompt) {
                        page.states[j] = unmask::position_state::committed;
                        page.tokens[j] = *vocabulary.end;
                    }
                }
                return true;
            }
        }
    }
    return false;
}

/// Fills one sequence. logits_of(tokens, position, token) is the model.
template <class Logits>
outcome sample(sequence page, const Logits& logits_of, const unmask::vocabulary& vocabulary, const policies& how,
               std::uint64_t seed) {
    const auto is_masked = [&](std::size_t i) { return page.states[i] == unmask::position_state::masked; };
    std::size_t start = 0;
    while (start < page.states.size() && page.states[start] == unmask::position_state::prompt) {
        ++start;
    }
    std::vector<std::vector<std::size_t>> blocks; // their masked positions
    for (std::size_t i = start; i < page.states.size(); ++i) {
        if ((i - start) % static_cast<std::size_t>(how.block_length) == 0) {
            blocks.emplace_back();
        }
        if (is_masked(i)) {
            blocks.back().push_back(i);
        }
    }
    std::erase_if(blocks, [](const auto& block) { return block.empty(); });

    outcome result;
    std::uint32_t visit = 0;
    for (std::size_t b = 0; b < blocks.size(); ++b) {
        const auto count = static_cast<index_t>(blocks.size());
        const index_t extra = static_cast<index_t>(b) < how.steps % count ? 1 : 0;
        const index_t steps = std::max<index_t>(1, how.steps / count + extra);
        const auto total = static_cast<index_t>(blocks[b].size());
        auto left = blocks[b];
        for (index_t step = 0; !left.empty(); step = std::min(step + 1, steps - 1), ++visit) {
            if (complete(page, vocabulary, how)) {
                result.tokens = page.tokens;
                return result;
            }
            const double t = masked_share(how, step, steps);
            const double s = masked_share(how, step + 1, steps);
            std::vector<option> options;
            for (const std::size_t position : left) {
                const auto words =
                    unmask::philox{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}}(
                        {static_cast<std::uint32_t>(page.id), static_cast<std::uint32_t>(page.id >> 32),
                         static_cast<std::uint32_t>(position), visit});
                const double random = unmask::uniform_open(words[2], words[3]);
                if (how.selector != selector::ancestral || random < 1 - s / t) {
                    options.push_back(consider(logits_of, vocabulary, how, page.tokens, position,
                                               unmask::uniform_open(words[0], words[1]), random));
                }
            }
            auto quota_left =
                static_cast<std::size_t>(quota(how, step, steps, total, static_cast<index_t>(left.size())));
            if (options.empty() || (quota_left == 0 && how.selector != selector::ancestral)) {
                continue; // nothing would be committed: no call
            }
            ++result.calls;
            std::stable_sort(options.begin(), options.end(),
                             [](const option& a, const option& c) { return a.score > c.score; });
            for (std::size_t rank = 0; rank < options.size(); ++rank) {
                const bool chosen = how.selector == selector::top_k       ? rank < quota_left
                                    : how.selector == selector::threshold ? options[rank].probability >= how.threshold
                                                                          : true;
                if (chosen || (rank == 0 && std::none_of(options.begin(), options.end(), [&](const option& one) {
                                   return how.selector == selector::threshold && one.probability >= how.threshold;
                               }))) {
                    page.tokens[options[rank].position] = options[rank].token;
                    page.states[options[rank].position] = unmask::position_state::committed;
                    ++result.committed;
                    std::erase(left, options[rank].position);
                }
            }
        }
    }
    complete(page, vocabulary, how);
    result.tokens = page.tokens;
    return result;
}

} // namespace scalar
