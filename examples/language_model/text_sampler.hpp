// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <unmask/sampler/cache/cache.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/statistics.hpp>

namespace language_model {

using unmask::index_t;

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
