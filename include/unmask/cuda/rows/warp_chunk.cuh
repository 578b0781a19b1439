// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/tensor/float_types.hpp>

// A chunk of a row of logits in the registers of a warp, summed in the order that row_sums.hpp defines.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// A matrix of logits with `size` logits in a row. The logit of token `suppressed`, if there is one, and those of all
// tokens that a filter drops count as −∞.
template <class Logit>
struct logit_rows {
    const Logit* data;
    index_t stride;
    int size;
    int suppressed;
    const token_floor* floors = nullptr; // of each row; no filter if null

    [[nodiscard]] UNMASK_HOST_DEVICE constexpr int chunks() const {
        constexpr int chunk = static_cast<int>(chunk_size);
        return size / chunk + (size % chunk != 0 ? 1 : 0);
    }
    [[nodiscard]] UNMASK_DEVICE const Logit* row(index_t row) const { return data + row * stride; }
};

// eighth_powers[i % 8]. Device code can't index the table.
template <int Entry = 7>
UNMASK_DEVICE std::uint32_t eighth_power(int i) {
    constexpr std::uint32_t entry = eighth_powers[Entry];
    if constexpr (Entry == 0) {
        return entry;
    } else {
        return i % 8 == Entry ? entry : eighth_power<Entry - 1>(i);
    }
}

// weight_of, in each lane of a warp.
class warp_weights {
public:
    UNMASK_DEVICE warp_weights() : power_(eighth_power(device::lane())) {}

    // Collective.
    UNMASK_DEVICE float operator()(float distance, const weight_rule& rule) const {
        const auto exponent = weight_exponent::of(distance, rule);
        const float weight = exponent.power(device::shuffle(power_, exponent.eighths));
        return distance < rule.farthest ? 0.0F : weight;
    }

private:
    std::uint32_t power_; // lane l has the power of l/8: the lowest five bits of a number select the lane
};

// The tokens of a chunk: lane l has 4 l … 4 l + 3 of each line of 128. Element [line][i] belongs to part 4 l + i.
struct warp_chunk {
    static constexpr int width = 4;
    static constexpr int lines = static_cast<int>(chunk_size / chunk_parts);
    static_assert(device::warp_size * width == static_cast<int>(chunk_parts));

    float logits[lines][width];

    // Loads the tokens of a row from `first` on. Missing entries are −∞.
    template <class Logit>
    UNMASK_DEVICE void load(const logit_rows<Logit>& rows, index_t row, int first) {
        const Logit* const from = rows.row(row) + first;
        const int count = rows.size - first;
        const auto address = reinterpret_cast<std::uintptr_t>(from);
        if (count >= static_cast<int>(chunk_size) && address % (width * sizeof(Logit)) == 0) {
            UNMASK_UNROLL
            for (int line = 0; line < lines; ++line) {
                const auto four = device::load_once<Logit, width>(from + place(line, 0));
                UNMASK_UNROLL
                for (int i = 0; i < width; ++i) {
                    logits[line][i] = static_cast<float>(four.elements[i]);
                }
            }
        } else {
            load_from(from, count);
        }
        suppress(rows.suppressed - first);
        if (rows.floors != nullptr) {
            keep(rows.floors[row], first);
        }
    }

    // Loads `count` tokens from any memory, or as many as the chunk holds.
    template <class Logit>
    UNMASK_DEVICE void load_from(const Logit* from, int count) {
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                logits[line][i] = place(line, i) < count ? static_cast<float>(from[place(line, i)]) : minus_infinity;
            }
        }
    }

    // Stores `count` tokens, or as many as the chunk holds.
    UNMASK_DEVICE void store_to(float* to, int count) const {
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                if (place(line, i) < count) {
                    to[place(line, i)] = logits[line][i];
                }
            }
        }
    }

    // Replaces the logit of a token by −∞ if it is in the chunk.
    UNMASK_DEVICE void suppress(int at) {
        if (at >= 0 && at < static_cast<int>(chunk_size)) {
            remove(at);
        }
    }

    // Replaces logits that a filter drops by −∞; `first` is the chunk's first token.
    UNMASK_DEVICE void keep(const token_floor& floor, int first) {
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                const bool kept = floor.keeps(logits[line][i], first + place(line, i));
                logits[line][i] = kept ? logits[line][i] : minus_infinity;
            }
        }
    }

    // Replaces the logit of a token by −∞.
    UNMASK_DEVICE void remove(int at) {
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                logits[line][i] = place(line, i) == at ? minus_infinity : logits[line][i];
            }
        }
    }

    // The highest logit, ignoring NaN. Collective.
    [[nodiscard]] UNMASK_DEVICE float highest() const {
        float result = minus_infinity;
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                result = device::largest(result, logits[line][i]);
            }
        }
        UNMASK_UNROLL
        for (int mask = device::warp_size / 2; mask > 0; mask /= 2) {
            result = device::largest(result, device::shuffle_xor(result, mask));
        }
        return result;
    }

    // Whether a logit is NaN or +∞. Collective.
    [[nodiscard]] UNMASK_DEVICE bool any_bad() const {
        bool bad = false;
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                bad = bad || is_bad_logit(logits[line][i]);
            }
        }
        return device::ballot(bad) != 0;
    }

    // The first token with this logit, which must exist. Collective.
    [[nodiscard]] UNMASK_DEVICE int first_with(float logit) const {
        int result = static_cast<int>(chunk_size);
        UNMASK_UNROLL
        for (int line = lines; line-- > 0;) {
            UNMASK_UNROLL
            for (int i = width; i-- > 0;) {
                result = logits[line][i] == logit ? place(line, i) : result;
            }
        }
        UNMASK_UNROLL
        for (int mask = device::warp_size / 2; mask > 0; mask /= 2) {
            const int other = device::shuffle_xor(result, mask);
            result = other < result ? other : result;
        }
        return result;
    }

    // The sums of weights relative to the highest logit: at temperature 1 and, if Tempered, also by `shaped`, whose
    // moment has that rule's unit, as it would be no float in logits. Collective.
    template <bool Tempered>
    [[nodiscard]] UNMASK_DEVICE chunk_sums sums(float from, const warp_weights& weights,
                                                const weight_rule& shaped) const {
        chunk_sums result{sums_by(weight_rule(1), from, weights), {}};
        if constexpr (Tempered) { // one after the other: there are not registers enough for both
            result.shaped = sums_by(shaped, from, weights);
        }
        return result;
    }

    // Σ w (p − q), where p and q are these logits and those of another row, minus the highest of their row, and w =
    // exp(p). Collective.
    [[nodiscard]] UNMASK_DEVICE float divergence(float highest, const warp_chunk& other, float other_highest,
                                                 const warp_weights& weights) const {
        const weight_rule rule(1);
        float sums[width]{};
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                const float distance = logits[line][i] - highest;
                const float weight = weights(distance, rule);
                const float apart = distance - (other.logits[line][i] - other_highest); // NaN where both are −∞
                sums[i] = weight > 0 ? fused(weight, apart, sums[i]) : sums[i];
            }
        }
        return folded(sums);
    }

private:
    UNMASK_DEVICE weight_sums sums_by(const weight_rule& rule, float from, const warp_weights& weights) const {
        parts sums{};
        UNMASK_UNROLL
        for (int line = 0; line < lines; ++line) {
            UNMASK_UNROLL
            for (int i = 0; i < width; ++i) {
                const float distance = rule.distance(logits[line][i], from);
                sums.add(i, weights(distance, rule), distance, rule);
            }
        }
        return sums.fold();
    }

    struct parts {
        float weight[width];
        float moment[width];

        UNMASK_DEVICE void add(int i, float added, float distance, const weight_rule& rule) {
            weight[i] = rounded(weight[i] + added);
            moment[i] = distance < rule.farthest ? moment[i] : fused(added, distance, moment[i]);
        }
        [[nodiscard]] UNMASK_DEVICE weight_sums fold() const { return {folded(weight), folded(moment)}; }
    };

    // The index of an element in the chunk.
    static UNMASK_DEVICE int place(int line, int i) {
        return line * static_cast<int>(chunk_parts) + width * device::lane() + i;
    }

    static UNMASK_DEVICE float added(float mine, float given, int mask) {
        return rounded(mine + device::shuffle_xor(given, mask));
    }

    // Folds all parts by halves. In the first two steps, lanes exchange halves of their parts. Collective.
    static UNMASK_DEVICE float folded(const float (&each)[width]) {
        const bool upper = (device::lane() & 16) != 0; // keeps parts 2 and 3 of its four
        const bool odd = (device::lane() & 8) != 0;    // and of these the second
        const float first = added(upper ? each[2] : each[0], upper ? each[0] : each[2], 16); // 0 with 64, …
        const float second = added(upper ? each[3] : each[1], upper ? each[1] : each[3], 16);
        float sum = added(odd ? second : first, odd ? first : second, 8); // 0 with 32, …
        sum = added(sum, sum, 4);                                         // 0 with 16
        sum = added(sum, sum, 2);                                         // 0 with 8
        sum = added(sum, sum, 1);                                         // 0 with 4
        sum = added(sum, sum, 16);                                        // 0 with 2
        return added(sum, sum, 8);                                        // 0 with 1
    }
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
