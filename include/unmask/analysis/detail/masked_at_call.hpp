// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Which positions were masked when the model was called. An observer is told of a step when the canvas has changed;
// what the model saw is the canvas after the step before, or, for the first one, what is left if its changes are taken
// back.
class masked_at_call {
public:
    // The next call is the first one of a run.
    void forget() { before_.reset(); }

    // The next call sees this canvas.
    void remember(const canvas& page) {
        before_.emplace();
        for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
            append_masked(page, sequence, *before_);
        }
    }

    // 1 where a position of the sequence was masked, and one element for each.
    [[nodiscard]] std::vector<std::uint8_t> operator()(const sampler_step& step, index_t sequence) const {
        std::vector<std::uint8_t> masked;
        if (before_) {
            const auto first = before_->begin() + step.canvas.offset(sequence);
            masked.assign(first, first + step.canvas.length(sequence));
        } else {
            append_masked(step.canvas, sequence, masked);
        }
        // A position's changes come in their order: the first one tells what it was.
        for (std::size_t i = step.commitments.size(); i-- > 0;) {
            const commitment& what = step.commitments[i];
            if (what.where.sequence != sequence) {
                continue;
            }
            std::uint8_t& was = masked[static_cast<std::size_t>(what.where.position)];
            if (what.change == change::commit || what.change == change::renoise) {
                was = 1; // also what had been masked again since the step before
            } else if (!before_) {
                was = what.change == change::fill ? 1 : 0;
            }
        }
        return masked;
    }

private:
    static void append_masked(const canvas& page, index_t sequence, std::vector<std::uint8_t>& to) {
        for (const position_state state : page.states(sequence)) {
            to.push_back(state == position_state::masked ? 1 : 0);
        }
    }

    std::optional<std::vector<std::uint8_t>> before_; // of the whole canvas
};

} // namespace detail
UNMASK_NAMESPACE_END
