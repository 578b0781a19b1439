// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sampler/exact_math.hpp>
#include <unmask/sampler/exact_simd.hpp>
#include <unmask/tensor/base_2.hpp>
#include <unmask/tensor/float_types.hpp>

// A row is read a chunk at a time: once from memory for its highest logit, and then from the first cache for the weights.
// The order of additions is part of the result: token e of a chunk belongs to part e mod 128, each part adds its tokens in
// rising order, and the parts are folded by halves. It fits registers of any width and a GPU's warps.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::size_t chunk_size = 1024;
inline constexpr std::size_t chunk_parts = 128;

// NaN or +∞, from the bits: -ffast-math folds comparisons away.
UNMASK_HOST_DEVICE inline bool is_bad_logit(float logit) {
    const auto bits = bits_as<std::uint32_t>(logit);
    return (bits << 1) > 0xff000000U || bits == 0x7f800000U;
}

// Of some tokens but one, the most likely, whose weight is 1: added to 1, small ones would be lost.
struct weight_sums {
    double others = 0; // Σ w, w = exp((logit − the highest) / temperature)
    double moment = 0; // Σ w · (logit − the highest)

    [[nodiscard]] UNMASK_HOST_DEVICE double total() const { return rounded(1 + others); }
    // What a chunk's sums are if one of its logits is NaN.
    [[nodiscard]] bool bad() const { return sums_show_nan && is_bad_logit(static_cast<float>(moment)); }
};

// Up to 1024 logits, in lines of one token of each part; a single line may be shorter. −∞ fills up what there is not.
class chunk_lines {
public:
    static constexpr std::size_t full_count = chunk_size / chunk_parts;
    static constexpr std::size_t full_registers = chunk_parts / lanes;

    // Room for a chunk that is not full.
    struct buffer {
        alignas(64) float logits[chunk_size];
    };

    // `suppressed`, if it is one of the tokens, counts as −∞.
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
    [[nodiscard]] std::size_t registers() const { return registers_; } // of each line
    [[nodiscard]] const float* at(std::size_t line, std::size_t k) const {
        return first_ + line * chunk_parts + k * lanes;
    }
    [[nodiscard]] bool any_bad() const {
        bool bad = false;
        for (std::size_t line = 0; line < count_; ++line) {
            for (std::size_t i = 0; i < registers_ * lanes; ++i) {
                bad |= is_bad_logit(at(line, 0)[i]);
            }
        }
        return bad;
    }

private:
    const float* first_ = nullptr;
    std::size_t count_;
    std::size_t registers_;
};

// The highest logit of a chunk, its first token, and that token's line without it.
struct chunk_peak {
    float highest;
    bool bad; // a logit is NaN or +∞; the sums may be first to show it
    std::size_t line;
    std::size_t in_line;
    alignas(64) float without[chunk_parts];
    vfloat of_lines[chunk_lines::full_count]; // the highest of the tokens in each lane of a line
    vfloat of_lanes;                          // and of all lines

    [[nodiscard]] std::size_t token() const { return line * chunk_parts + in_line; }
    // There is nothing to add.
    [[nodiscard]] bool nothing() const { return bad || is_minus_infinity(highest); }

    // The highest logit of the other tokens.
    [[nodiscard]] float second(const chunk_lines& logits) const {
        vfloat result = broadcast(minus_infinity);
        for (std::size_t i = 0; i < logits.count(); ++i) {
            for (std::size_t k = 0; k < logits.registers(); ++k) {
                result = higher_of(result, load(i == line ? without + k * lanes : logits.at(i, k)));
            }
        }
        return highest_folded(result);
    }

    template <bool Full>
    [[gnu::always_inline]] void find_lines(const chunk_lines& logits) {
        for (std::size_t i = 0; i < (Full ? chunk_lines::full_count : logits.count()); ++i) {
            of_lines[i] = load(logits.at(i, 0));
            for (std::size_t k = 1; k < (Full ? chunk_lines::full_registers : logits.registers()); ++k) {
                of_lines[i] = higher_of(of_lines[i], load(logits.at(i, k)));
            }
        }
    }

    // The rest, once of_lines is known.
    template <bool Full>
    [[gnu::always_inline]] void find(const chunk_lines& logits) {
        const std::size_t count = Full ? chunk_lines::full_count : logits.count();
        const std::size_t registers = Full ? chunk_lines::full_registers : logits.registers();
        of_lanes = of_lines[0];
        for (std::size_t i = 1; i < count; ++i) {
            of_lanes = higher_of(of_lanes, of_lines[i]);
        }
        highest = highest_folded(of_lanes);
        const vfloat top = broadcast(highest);
        line = first_that_equals(of_lines, count, top) / lanes;
        bad = false;
        if (nothing() || line >= count || !sums_show_nan || is_bad_logit(highest)) {
            bad = logits.any_bad();
            if (nothing()) {
                return;
            }
        }
        vfloat values[chunk_lines::full_registers];
        for (std::size_t k = 0; k < registers; ++k) {
            values[k] = load(logits.at(line, k));
            store(without + k * lanes, values[k]);
        }
        in_line = first_that_equals(values, registers, top);
        float* place = without + in_line / lanes * lanes;
        store(place, with_lane(load(logits.at(line, in_line / lanes)), in_line % lanes, minus_infinity));
    }
};

// A sum for each part.
template <std::size_t Registers>
struct part_sums {
    vfloat weight[Registers];
    vfloat moment[Registers];

    // Folds by halves the parts in the first `count` registers. What is not there would be 0, and change nothing.
    [[gnu::always_inline]] weight_sums fold(std::size_t count) {
        for (std::size_t half = Registers / 2; half > 0; half /= 2) {
            for (std::size_t i = 0; i < half && i + half < count; ++i) {
                weight[i] = rounded(weight[i] + weight[i + half]);
                moment[i] = rounded(moment[i] + moment[i + half]);
            }
        }
        return {sum_folded(weight[0]), sum_folded(moment[0])};
    }
};

// The sums over a chunk without the token of its peak.
struct chunk_sums {
    weight_sums raw;
    weight_sums shaped; // at the other temperature, if there is one
};

// Adds a chunk's weights at temperature 1 and, if Tempered, at another one as well.
template <bool Tempered>
class weight_adder {
public:
    explicit weight_adder(const weight_rule& shaped) : raw_(1), shaped_(shaped) {}

    // Finds the highest logits of the next chunk's lines meanwhile, if Full: so memory is read all the time, and in order.
    template <bool Full>
    [[gnu::always_inline]] chunk_sums sum(const chunk_lines& logits, const chunk_peak& peak, const chunk_lines& next,
                                          chunk_peak& next_peak) const {
        if (peak.nothing()) {
            if constexpr (Full) {
                next_peak.find_lines<true>(next);
            }
            return {};
        }
        const std::size_t registers = Full ? chunk_lines::full_registers : logits.registers();
        all_parts raw;
        all_parts shaped;
        std::size_t k = 0;
        for (; k + together <= registers; k += together) {
            add_registers<Full, together>(logits, k, peak, raw, shaped, next, next_peak);
        }
        if constexpr (!Full) {
            for (; k < registers; ++k) {
                add_registers<Full, 1>(logits, k, peak, raw, shaped, next, next_peak);
            }
        }
        chunk_sums result{raw.fold(registers), {}};
        if constexpr (Tempered) {
            result.shaped = shaped.fold(registers);
        }
        return result;
    }

private:
    using all_parts = part_sums<chunk_lines::full_registers>;

    // Registers whose sums are kept at once.
    static constexpr std::size_t together = (lanes == 16 ? 8 : 4) / (Tempered ? 2 : 1);

    // The weights in `Count` registers of every line.
    template <bool Full, std::size_t Count>
    [[gnu::always_inline]] void add_registers(const chunk_lines& logits, std::size_t first, const chunk_peak& peak,
                                              all_parts& raw, all_parts& shaped, const chunk_lines& next,
                                              chunk_peak& next_peak) const {
        vfloat weight[Count]{};
        vfloat moment[Count]{};
        vfloat shaped_weight[Count]{};
        vfloat shaped_moment[Count]{};
        const vfloat lowered = broadcast(-peak.highest);
        for (std::size_t line = 0; line < (Full ? chunk_lines::full_count : logits.count()); ++line) {
            const float* from = line == peak.line ? peak.without + first * lanes : logits.at(line, first);
            vfloat top = first == 0 || !Full ? broadcast(minus_infinity) : next_peak.of_lines[line];
            for (std::size_t k = 0; k < Count; ++k) {
                if constexpr (Full) {
                    top = higher_of(top, load(next.at(line, first + k)));
                }
                const vfloat distance = load(from + k * lanes) + lowered;
                weights_of(distance, raw_).add_to(weight[k], moment[k]);
                if constexpr (Tempered) {
                    weights_of(distance, shaped_).add_to(shaped_weight[k], shaped_moment[k]);
                }
            }
            if constexpr (Full) {
                next_peak.of_lines[line] = top;
            }
        }
        for (std::size_t k = 0; k < Count; ++k) {
            raw.weight[first + k] = weight[k];
            raw.moment[first + k] = moment[k];
            if constexpr (Tempered) {
                shaped.weight[first + k] = shaped_weight[k];
                shaped.moment[first + k] = shaped_moment[k];
            }
        }
    }

    weight_rule raw_;
    weight_rule shaped_;
};

} // namespace detail
UNMASK_NAMESPACE_END
