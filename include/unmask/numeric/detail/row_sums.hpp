// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/tensor/float_types.hpp>

// A row of logits, added up: what the CPU and the GPU have in common, so that both get the same bits.
//
// The order of additions is part of the result. A row is cut into chunks of 1024 tokens, whose weights are summed in
// float: token e of a chunk belongs to part e mod 128, each part adds its tokens in rising order, and the parts are
// folded by halves, 0 with 64 and so on. That fits registers of any width, and a GPU's warps. Chunks are joined in
// double, in rising order.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::size_t chunk_size = 1024;
inline constexpr std::size_t chunk_parts = 128;
inline constexpr std::size_t no_token = static_cast<std::size_t>(-1);

// NaN or +∞, from the bits: -ffast-math folds comparisons away.
UNMASK_HOST_DEVICE inline bool is_bad_logit(float logit) {
    const auto bits = bits_as<std::uint32_t>(logit);
    return (bits << 1) > 0xff000000U || bits == 0x7f800000U;
}

// −∞, likewise. The lowest finite number forbids nothing.
UNMASK_HOST_DEVICE inline bool is_forbidden(float logit) {
    return bits_as<std::uint32_t>(logit) == 0xff800000U;
}

// Sums over tokens, from some logit that none of them is above.
struct weight_sums {
    double weight = 0; // Σ w, w = exp((logit − that) / temperature)
    double moment = 0; // Σ w · (logit − that)

    // With the most likely token as well, if these are of the others: its weight is 1.
    [[nodiscard]] UNMASK_HOST_DEVICE weight_sums with_best() const { return {rounded(1 + weight), moment}; }
};

// The weights in a chunk, from its highest logit.
struct chunk_sums {
    weight_sums raw;
    weight_sums shaped; // at another temperature, if there is one
};

// What is known of some tokens of a row.
struct row_part {
    float highest = minus_infinity;
    float second = minus_infinity; // the highest logit of all but `best`
    token_t best = -1;             // of the tokens with the highest logit, the first; −1: all are −∞
    weight_sums raw;               // of all but `best`, as its weight is 1: added to that, small ones would be lost
    weight_sums shaped;            // the same at the draw's temperature, if that is not 1
};

// Brings sums from one logit to a higher one.
struct part_step {
    double distance; // at most 0
    double raw;      // what weights are multiplied by
    double shaped;   // the same at the draw's temperature

    template <bool Tempered>
    UNMASK_HOST_DEVICE static part_step between(float lower, float higher, double scale) {
        const double distance = static_cast<double>(lower) - static_cast<double>(higher);
        return {distance, exp_nonpositive(distance), Tempered ? exp_nonpositive(product_of(distance, scale)) : 0};
    }

    // Adds `lower` to sums from the higher logit.
    UNMASK_HOST_DEVICE weight_sums add(const weight_sums& higher, const weight_sums& lower, double factor) const {
        return {fused(factor, lower.weight, higher.weight),
                fused(factor, fused(distance, lower.weight, lower.moment), higher.moment)};
    }
    // Adds a part with the lower logit to one with the higher.
    template <bool Tempered>
    UNMASK_HOST_DEVICE void add_to(row_part& higher, const row_part& lower) const {
        higher.second = higher.second < lower.highest ? lower.highest : higher.second;
        higher.raw = add(higher.raw, lower.raw.with_best(), raw);
        if constexpr (Tempered) {
            higher.shaped = add(higher.shaped, lower.shaped.with_best(), shaped);
        }
    }
};

// A choice between parts that come one after the other, each with its share of the weight so far, by one number: of
// what chose, the rest is as random as before, and chooses again.
struct part_choice {
    double uniform = 0;             // in (0, 1)
    std::size_t first = no_token;   // the first token of the part that was chosen
    float highest = minus_infinity; // and its highest logit

    UNMASK_HOST_DEVICE void offer(double earlier, double offered, std::size_t token, float logit) {
        if (earlier > 0) {
            const double reached = product_of(uniform, rounded(earlier + offered));
            if (reached >= offered) {
                uniform = quotient(rounded(reached - offered), earlier);
                return;
            }
            uniform = quotient(reached, offered);
        }
        first = token;
        highest = logit;
    }
};

// Draws a leaf of a binary tree of sums by a number in (0, 1): inverts the cumulative distribution. Node i has the sum
// of its children 2i and 2i + 1; the leaves, a power of two, are last, and the one that is drawn has a weight.
UNMASK_HOST_DEVICE inline std::size_t drawn_leaf(const float* sums, std::size_t leaves, double uniform) {
    double left = product_of(uniform, static_cast<double>(sums[1]));
    std::size_t node = 1;
    while (node < leaves) {
        const double below = sums[2 * node];
        // Rounding may leave more than there is. Without a branch: nobody could predict it.
        const auto up = static_cast<unsigned>(left >= below) & static_cast<unsigned>(sums[2 * node + 1] > 0);
        left -= bits_as<double>(bits_as<std::uint64_t>(below) & (std::uint64_t{0} - up));
        node = 2 * node + up;
    }
    return node - leaves;
}

// Which results are wanted.
enum class row_reading {
    statistics,    // at temperature 1
    draw,          // and a draw
    tempered_draw, // at another temperature, whose statistics are wanted too
};

// The chunks of a row so far.
struct row_state {
    row_part part;
    part_choice choice;
    bool bad = false; // a logit was NaN or +∞

    // Whether a chunk with this highest logit, which is not −∞, has no token that is more likely than all before.
    [[nodiscard]] UNMASK_HOST_DEVICE bool leads(float chunk_highest) const {
        return part.best >= 0 && chunk_highest <= part.highest;
    }

    // Adds a chunk that the row leads: `step` is from the chunk's highest logit to the row's.
    template <row_reading Reading>
    UNMASK_HOST_DEVICE void add(std::size_t first, float chunk_highest, const chunk_sums& sums, const part_step& step) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        if constexpr (Reading == row_reading::draw) {
            choice.offer(part.raw.with_best().weight, product_of(step.raw, sums.raw.weight), first, chunk_highest);
        } else if constexpr (tempered) {
            choice.offer(part.shaped.with_best().weight, product_of(step.shaped, sums.shaped.weight), first,
                         chunk_highest);
        }
        part.second = part.second < chunk_highest ? chunk_highest : part.second;
        part.raw = step.add(part.raw, sums.raw, step.raw);
        if constexpr (tempered) {
            part.shaped = step.add(part.shaped, sums.shaped, step.shaped);
        }
    }

    // Adds any other chunk, which then leads: `step` is from the row's highest logit to its, if the row has one.
    template <row_reading Reading>
    UNMASK_HOST_DEVICE void add_leader(std::size_t first, row_part leader, const part_step& step) {
        constexpr bool tempered = Reading == row_reading::tempered_draw;
        if (part.best < 0) {
            choice.first = first;
            choice.highest = leader.highest;
        } else {
            if constexpr (Reading == row_reading::draw) {
                choice.offer(product_of(step.raw, part.raw.with_best().weight), leader.raw.with_best().weight, first,
                             leader.highest);
            } else if constexpr (tempered) {
                choice.offer(product_of(step.shaped, part.shaped.with_best().weight), leader.shaped.with_best().weight,
                             first, leader.highest);
            }
            step.template add_to<tempered>(leader, part);
        }
        part = leader;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
