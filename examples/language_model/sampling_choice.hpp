// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

namespace language_model {

using unmask::index_t;

/// What a command line says of how to sample. Where it says nothing, a preset's published value holds, except that a
/// preset with a number of steps in all has one for each character, and llada blocks of 8.
struct sampling_choice {
    std::string preset = "llada";
    index_t masked = 0;                ///< characters to be written
    std::optional<index_t> steps{};    ///< in all; of a block in sdar, llada2 and llada21
    std::optional<index_t> block{};    ///< characters
    std::optional<double> threshold{}; ///< a probability
    double temperature = 0.7;          ///< of a character's draw, as the next two
    index_t top_k = 0;                 ///< 0: all
    std::optional<double> top_p{};
    double guidance = 0;        ///< LLaDA's scale; 0: none
    std::string cache = "none"; ///< or exact, prefix, dual
};

/// How a character is drawn, if a preset has this top-p.
inline unmask::categorical draw_of(const sampling_choice& choice, double top_p = 1.0) {
    return {.temperature = choice.temperature, .top_k = choice.top_k, .top_p = choice.top_p.value_or(top_p)};
}

using step_observer = std::function<bool(const unmask::sampler_step&)>;

/// A sampler and a model, the policies of which are known at run time only. Observers may end a run.
using text_sampler =
    std::function<unmask::statistics(unmask::canvas& page, std::uint64_t seed, const step_observer& observer)>;

/// One type for no cache, the prefix cache and the dual cache: every preset is then compiled once for all of them. A
/// cache that is always refreshed is none.
struct chosen_cache {
    static constexpr auto kind = unmask::policy_kind::cache;
    index_t refresh_every = 1;
    bool suffix = false; ///< what follows the block is run with it: the prefix cache

    [[nodiscard]] unmask::position_range recompute(const unmask::position_range& block, index_t length) const {
        return suffix ? unmask::prefix_cache{}.recompute(block, length) : unmask::dual_cache{}.recompute(block, length);
    }

    /// Of a name: none, prefix or dual.
    static chosen_cache of(const std::string& name) { return {name == "none" ? 1 : 0, name == "prefix"}; }
};

} // namespace language_model
