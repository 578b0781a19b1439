// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/stop/stop.hpp>

UNMASK_NAMESPACE_BEGIN

/// Stops when the text repeats itself: when the last `window` tokens that were filled in before the first masked
/// position are so few different ones that the entropy of their frequencies is below a bound. The window is not kept
/// (BD3-LM, arXiv 2503.09573, whose numbers are the defaults). Prompt tokens don't count; a text with fewer tokens than
/// the window goes on.
///
/// With an end token, what is dropped and what is still masked become end tokens; without one the text stays, and the
/// sequence is not filled further. Use it with the end of the text: `stop_at_any{stop_at_end{}, stop_at_repetition{}}`.
/// Cost: the positions before the first masked one, and window · log(window), after every step.
struct stop_at_repetition {
    static constexpr auto kind = policy_kind::stop;
    index_t window = 256; ///< number of tokens, at least 2
    double entropy = 4;   ///< in nats; that of `window` different tokens is log(window)

    void check() const {
        if (window < 2) {
            throw invalid_argument("sampler", "stop_at_repetition.window", std::to_string(window), "at least 2");
        }
        const double most = std::log(static_cast<double>(window));
        if (!(entropy >= 0 && entropy <= most)) {
            throw invalid_argument("sampler", "stop_at_repetition.entropy", std::to_string(entropy),
                                   "in [0, log(window)] (" + std::to_string(most) + ")");
        }
    }
    std::optional<index_t> operator()(const canvas& page, index_t sequence) const {
        const auto states = page.states(sequence);
        const auto masked = std::find(states.begin(), states.end(), position_state::masked);
        auto place = static_cast<std::size_t>(masked - states.begin());
        std::vector<token_t> last;
        while (place > 0 && std::ssize(last) < window) {
            --place;
            if (states[place] == position_state::committed) {
                last.push_back(page.tokens(sequence)[place]);
            }
        }
        if (std::ssize(last) < window || entropy_of(last) >= entropy) {
            return {};
        }
        return static_cast<index_t>(place);
    }

private:
    static double entropy_of(std::vector<token_t>& tokens) {
        std::sort(tokens.begin(), tokens.end());
        const auto count = static_cast<double>(tokens.size());
        double sum = 0; // of n log n over the different tokens, n times each
        for (auto begin = tokens.begin(); begin != tokens.end();) {
            const auto end = std::upper_bound(begin, tokens.end(), *begin);
            const auto times = static_cast<double>(end - begin);
            sum += times * std::log(times);
            begin = end;
        }
        return std::log(count) - sum / count;
    }
};

UNMASK_NAMESPACE_END
