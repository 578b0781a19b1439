// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/exact_simd.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/tensor/float_types.hpp>

// A row is read a chunk at a time: once from memory for its highest logit, and then from the L1 cache for the weights.
// row_sums.hpp defines the order of sums.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Up to 1024 logits, in lines of one token per part; a single line may be shorter. Missing entries are −∞.
class chunk_lines {
public:
    static constexpr std::size_t full_count = chunk_size / chunk_parts;
    static constexpr std::size_t full_registers = chunk_parts / lanes;

    // Memory for a chunk that is not full.
    struct buffer {
        alignas(64) float logits[chunk_size];
    };

    // The logit of `suppressed`, if it is one of the tokens, counts as −∞.
    template <class Logit>
    chunk_lines(std::span<const Logit> logits, std::size_t suppressed, buffer& room)
        : count_((logits.size() + chunk_parts - 1) / chunk_parts),
          registers_(count_ == 1 ? (logits.size() + lanes - 1) / lanes : full_registers) {
        const std::size_t filled = count_ == 1 ? registers_ * lanes : count_ * chunk_parts;
        if constexpr (std::same_as<Logit, float>) {
            if (filled == logits.size() && suppressed >= filled) {
                first_ = logits.data();
                return;
            }
        }
        std::fill(std::copy(logits.begin(), logits.end(), room.logits), room.logits + filled, minus_infinity);
        if (suppressed < filled) {
            room.logits[suppressed] = minus_infinity;
        }
        first_ = room.logits;
    }

    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::size_t registers() const { return registers_; } // per line
    [[nodiscard]] std::size_t tokens() const { return count_ * registers_ * lanes; }
    [[nodiscard]] const float* at(std::size_t line, std::size_t k) const {
        return first_ + line * chunk_parts + k * lanes;
    }
    [[nodiscard]] bool any_bad() const {
        vint bad{};
        for (std::size_t line = 0; line < count_; ++line) {
            for (std::size_t k = 0; k < registers_; ++k) {
                const vint bits = std::bit_cast<vint>(load(at(line, k)));
                bad |= ((bits & 0x7fffffff) > 0x7f800000) | (bits == 0x7f800000);
            }
        }
        std::int32_t any = 0;
        for (int lane = 0; lane < lanes; ++lane) {
            any |= bad[lane];
        }
        return any != 0;
    }

private:
    const float* first_ = nullptr;
    std::size_t count_;
    std::size_t registers_;
};

// The highest logit of a chunk.
struct chunk_top {
    vfloat of_lanes; // highest logit in each lane
    float highest;
    bool bad; // a logit is NaN or +∞; NaN may show only in the sums

    // From the highest logits of lanes.
    [[gnu::always_inline]] chunk_top(vfloat lane_tops, const chunk_lines& logits)
        : of_lanes(lane_tops), highest(highest_folded(lane_tops)), bad(false) {
        if (is_forbidden(highest) || !sums_show_nan || is_bad_logit(highest)) {
            bad = logits.any_bad();
        }
    }
    [[gnu::always_inline]] explicit chunk_top(const chunk_lines& logits) : chunk_top(tops_of_lanes(logits), logits) {}

    // Whether the chunk adds nothing to sums.
    [[nodiscard]] bool nothing() const { return bad || is_forbidden(highest); }

    static vfloat tops_of_lanes(const chunk_lines& logits) {
        vfloat tops = broadcast(minus_infinity);
        for (std::size_t line = 0; line < logits.count(); ++line) {
            for (std::size_t k = 0; k < logits.registers(); ++k) {
                tops = higher_of(tops, load(logits.at(line, k)));
            }
        }
        return tops;
    }
};

// The first token with a chunk's highest logit, and its line with −∞ in place of that logit.
struct chunk_best {
    std::size_t line = 0;
    std::size_t in_line = 0;
    alignas(64) float without[chunk_parts];

    // Returns false if no token has it, because of NaN.
    [[nodiscard]] bool find(const chunk_lines& logits, float highest) {
        const vfloat wanted = broadcast(highest);
        for (line = 0; line < logits.count(); ++line) {
            std::uint32_t found = 0;
            for (std::size_t k = 0; k < logits.registers(); ++k) {
                found |= lanes_that_equal(load(logits.at(line, k)), wanted);
            }
            if (found != 0) {
                take(logits, wanted);
                return true;
            }
        }
        return false;
    }

    [[nodiscard]] std::size_t token() const { return line * chunk_parts + in_line; }
    [[nodiscard]] const float* at(const chunk_lines& logits, std::size_t i, std::size_t k) const {
        return i == line ? without + k * lanes : logits.at(i, k);
    }

private:
    void take(const chunk_lines& logits, vfloat wanted) {
        vfloat values[chunk_lines::full_registers];
        for (std::size_t k = 0; k < logits.registers(); ++k) {
            values[k] = load(logits.at(line, k));
            store(without + k * lanes, values[k]);
        }
        in_line = first_that_equals(values, logits.registers(), wanted);
        without[in_line] = minus_infinity;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
