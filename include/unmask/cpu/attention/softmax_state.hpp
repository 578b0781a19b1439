// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/simd.hpp>

// nvcc passes the pragmas that unroll loops on to the host's compiler, but warns that it doesn't know them.
#if defined(__CUDACC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1675
#endif

UNMASK_NAMESPACE_BEGIN
namespace detail {

// What is known of the rows of a strip after some keys; attention_state for Lanes rows at once.
template <int Lanes>
struct softmax_state {
    float* largest; // [Lanes]
    float* sum;     // [Lanes], Σ exp(score − largest)
    float* output;  // [Lanes][width], not yet divided by sum

    // In memory of this many floats.
    static index_t size(index_t width) { return round_up((2 + width) * Lanes, 16); }
    explicit softmax_state(float* memory) : largest(memory), sum(memory + Lanes), output(memory + 2 * Lanes) {}

    // Nothing seen yet.
    void clear(index_t width) const {
        std::fill_n(largest, Lanes, minus_infinity);
        std::fill_n(sum, Lanes, 0.0F);
        std::fill_n(output, Lanes * width, 0.0F);
    }

    // Turns scores [keys][Lanes] into probabilities relative to the new largest score, in place, as Products wants
    // them; rescale[lane] is what the output so far has to be multiplied by. keys is a multiple of Products::depth.
    template <class Products>
    void absorb(float* scores, index_t keys, int vectors, float* rescale) const {
        int v = 0;
        for (; v + 2 <= vectors; v += 2) {
            absorb_vectors<Products, 2>(scores, keys, v * lanes, rescale);
        }
        if (v < vectors) {
            absorb_vectors<Products, 1>(scores, keys, v * lanes, rescale);
        }
    }

    // Joins the state of other keys.
    void merge(const softmax_state& other, index_t rows, index_t width) const {
        for (index_t row = 0; row < rows; ++row) {
            if (other.sum[row] == 0.0F) {
                continue;
            }
            const float top = std::max(largest[row], other.largest[row]);
            const vfloat mine = exp(broadcast(largest[row] - top));
            const vfloat others = exp(broadcast(other.largest[row] - top));
            for (index_t d = row * width; d < (row + 1) * width; d += lanes) {
                store(output + d, multiply_add(load(output + d), mine, load(other.output + d) * others));
            }
            sum[row] = multiply_add(sum[row], mine[0], other.sum[row] * others[0]);
            largest[row] = top;
        }
    }

    [[nodiscard]] float log_sum_exp(index_t row) const {
        return sum[row] == 0.0F ? minus_infinity : largest[row] + std::log(sum[row]);
    }

private:
    // The lanes from `lane` on, keys outermost: neighbouring registers are read one after another.
    template <class Products, int Vectors>
    void absorb_vectors(float* scores, index_t keys, index_t lane, float* rescale) const {
        vfloat top[Vectors];
        vfloat shift[Vectors];
        vfloat total[Vectors];
        for (int v = 0; v < Vectors; ++v) {
            top[v] = load(largest + lane + v * lanes);
        }
        for (index_t k = 0; k < keys; ++k) {
#pragma GCC unroll 2
            for (int v = 0; v < Vectors; ++v) {
                top[v] = larger(load(scores + k * Lanes + lane + v * lanes), top[v]);
            }
        }
        for (int v = 0; v < Vectors; ++v) {
            const index_t at = lane + v * lanes;
            shift[v] = select(is_minus_infinity(top[v]), vfloat{}, top[v]); // a row that has seen nothing yet
            const vfloat factor = exp(load(largest + at) - shift[v]);
            total[v] = load(sum + at) * factor;
            store(largest + at, top[v]);
            store(rescale + at, factor);
        }
        for (index_t k = 0; k < keys; k += Products::depth) {
#pragma GCC unroll 2
            for (int v = 0; v < Vectors; ++v) {
                const index_t at = lane + v * lanes;
                const vfloat probability = exp(load(scores + k * Lanes + at) - shift[v]);
                total[v] += probability;
                if constexpr (Products::depth == 1) {
                    store(scores + k * Lanes + at, probability);
                } else {
                    const vfloat next = exp(load(scores + (k + 1) * Lanes + at) - shift[v]);
                    total[v] += next;
                    const vint pair = pair_of(probability, next);
                    std::memcpy(scores + k / 2 * Lanes + at, &pair, sizeof pair);
                }
            }
        }
        for (int v = 0; v < Vectors; ++v) {
            store(sum + lane + v * lanes, total[v]);
        }
    }

    // Two probabilities as bfloat16, the first in the low half. NaN may become anything: the sum is NaN as well then.
    static vint pair_of(vfloat first, vfloat second) {
        const vint low = (std::bit_cast<vint>(first) + 0x8000) >> 16;
        const vint high = (std::bit_cast<vint>(second) + 0x8000) & ~0xffff;
        return low | high;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END

#if defined(__CUDACC__)
#pragma nv_diagnostic pop
#endif
