// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// How many positions of [begin, end) of a sequence are masked.
inline index_t masked_in(const canvas& page, index_t sequence, index_t begin, index_t end) {
    const auto states = page.states(sequence);
    return std::count(states.begin() + begin, states.begin() + end, position_state::masked);
}

// One sequence's way through its blocks, and through the steps of each, on every processor. Made on the host; depends
// on that sequence alone. The canvas that it moves over is asked by `masked_of(begin, end)`: how many positions are
// masked.
struct sequence_plan {
    index_t length = 0;
    index_t block_size = 0;
    index_t begin = 0; // of the current block, which is empty at first
    index_t end = 0;
    index_t steps = 0; // of a block, and one more in each of the first `longer`; each has at least one
    index_t longer = 0;
    index_t block = 0; // how many blocks have begun, of those that have something masked
    schedule_step now{};
    std::uint32_t visit = 0; // steps before this one: how often random numbers have been drawn for the sequence

    sequence_plan() = default;

    // `count` steps are shared by the blocks that have something masked, or each of them has this many.
    sequence_plan(const canvas& page, index_t sequence, const block_length& blocks, index_t count, bool per_block)
        : length(page.length(sequence)), block_size(std::min(blocks.size, length)),
          begin(first_block(page.generation_begin(sequence), blocks)), end(begin), steps(count) {
        if (!per_block) {
            index_t with_masked = 0;
            for_each_block([&](index_t first, index_t last) {
                with_masked += detail::masked_in(page, sequence, first, last) > 0 ? 1 : 0;
            });
            steps = with_masked > 0 ? count / with_masked : 0;
            longer = with_masked > 0 ? count % with_masked : 0;
        }
    }

    // Calls body(begin, end) for the current block and all after it.
    template <class Body>
    void for_each_block(const Body& body) const {
        for (index_t first = begin; first < length; first += block_size) {
            body(first, block_end(first));
        }
    }

    // Counts what is masked, and moves on to the next block if the current one is full, unless it is to `stay`. False
    // if all are full.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable // what masked_of calls decides where this can run
#endif
    template <class Masked>
    UNMASK_HOST_DEVICE bool update(const Masked& masked_of, bool stay = false) {
        now.masked = masked_of(begin, end);
        while (now.masked == 0 && !stay) {
            if (end >= length) {
                return false;
            }
            begin = end;
            end = block_end(begin);
            if (const index_t masked = masked_of(begin, end); masked > 0) {
                now = {.step = 0, .steps = steps_of(block < longer), .total = masked, .masked = masked};
                ++block;
            }
        }
        return true;
    }

    // Moves on to the next step. The last one repeats for a selector that has left something masked.
    UNMASK_HOST_DEVICE void advance() {
        now.step = smaller(now.step + 1, now.steps - 1);
        ++visit;
    }

    [[nodiscard]] bool has_later_step() const { return now.step + 1 < now.steps; }
    // The number of steps of one of the first blocks, which are longer, or of another.
    [[nodiscard]] UNMASK_HOST_DEVICE index_t steps_of(bool longer_block) const {
        return larger(index_t{1}, steps + (longer_block ? 1 : 0));
    }
    // The same for the current block.
    [[nodiscard]] UNMASK_HOST_DEVICE bool is_longer() const { return block <= longer; }

private:
    static index_t first_block(index_t generation, const block_length& blocks) {
        return blocks.origin == block_origin::sequence ? generation / blocks.size * blocks.size : generation;
    }
    [[nodiscard]] UNMASK_HOST_DEVICE index_t block_end(index_t first) const {
        return block_size < length - first ? first + block_size : length;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
