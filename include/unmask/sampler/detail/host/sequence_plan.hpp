// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One sequence's way through its blocks, and through the steps of each. Depends on that sequence alone.
class sequence_plan {
public:
    // `count` steps are shared by the blocks that have something masked, or each of them has so many.
    sequence_plan(const canvas& page, index_t sequence, const block_length& blocks, index_t count, bool per_block)
        : sequence_(sequence), length_(page.length(sequence)), size_(blocks.size), count_(count), per_block_(per_block),
          begin_(first_block(page, sequence, blocks)), end_(begin_) {
        for (index_t begin = begin_; begin < length_; begin = block_end(begin)) {
            blocks_ += masked_in(page, begin, block_end(begin)) > 0 ? 1 : 0;
        }
    }

    [[nodiscard]] index_t sequence() const { return sequence_; }
    // The current block.
    [[nodiscard]] index_t begin() const { return begin_; }
    [[nodiscard]] index_t end() const { return end_; }
    [[nodiscard]] const schedule_step& now() const { return now_; }
    [[nodiscard]] bool has_later_step() const { return now_.step + 1 < now_.steps; }
    // The number of blocks that have begun.
    [[nodiscard]] index_t block() const { return block_; }
    // The number of steps before this one: how often random numbers have been drawn for the sequence.
    [[nodiscard]] std::uint32_t visit() const { return visit_; }

    // Looks at the canvas, and moves on to the next block if the current one is full, unless it is to `stay`. False if
    // all are full.
    bool update(const canvas& page, bool stay = false) {
        now_.masked = masked_in(page, begin_, end_);
        while (now_.masked == 0 && !stay) {
            if (end_ >= length_) {
                return false;
            }
            begin_ = end_;
            end_ = block_end(begin_);
            const index_t masked = masked_in(page, begin_, end_);
            if (masked > 0) {
                const index_t share = per_block_ ? count_ : count_ / blocks_ + (block_ < count_ % blocks_ ? 1 : 0);
                now_ = {.step = 0, .steps = std::max<index_t>(share, 1), .total = masked, .masked = masked};
                ++block_;
            }
        }
        return true;
    }

    // Moves on to the next step. The last one repeats for a selector that has left something masked.
    void advance() {
        now_.step = std::min(now_.step + 1, now_.steps - 1);
        ++visit_;
    }

private:
    static index_t first_block(const canvas& page, index_t sequence, const block_length& blocks) {
        const index_t begin = page.generation_begin(sequence);
        return blocks.origin == block_origin::sequence ? begin / blocks.size * blocks.size : begin;
    }

    [[nodiscard]] index_t block_end(index_t begin) const { return size_ < length_ - begin ? begin + size_ : length_; }

    [[nodiscard]] index_t masked_in(const canvas& page, index_t begin, index_t end) const {
        const auto states =
            page.states(sequence_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
        return std::count(states.begin(), states.end(), position_state::masked);
    }

    index_t sequence_;
    index_t length_;
    index_t size_;
    index_t count_;
    bool per_block_;
    index_t blocks_ = 0; // that have something masked
    index_t block_ = 0;  // of those, how many have begun
    index_t begin_;
    index_t end_; // of the current block, which is empty at first
    schedule_step now_{};
    std::uint32_t visit_ = 0;
};

} // namespace detail
UNMASK_NAMESPACE_END
