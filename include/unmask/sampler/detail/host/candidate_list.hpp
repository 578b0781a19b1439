// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The candidates of a step. Those of the step before are used again: most of what is in them is still in the cache of
// the core that wrote it, where it will be written again.
class candidate_list {
public:
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<candidate> all() { return {candidates_.data(), size_}; }
    void clear() { size_ = 0; }

    // Another one, of which no more is known than this.
    candidate& add(const row& where, position_state state, token_t held) {
        if (size_ == candidates_.size()) {
            candidates_.emplace_back();
        }
        candidate& added = candidates_[size_++];
        added.where = where;
        added.state = state;
        added.held = held;
        added.chosen = false;
        added.change = change::none;
        return added;
    }

private:
    std::vector<candidate> candidates_;
    std::size_t size_ = 0;
};

} // namespace detail
UNMASK_NAMESPACE_END
