// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "addresses.hpp"
#include "handlers.hpp"
#include "lane_function.hpp"
#include "small_floats.hpp"

// ldmatrix and mma, by the maps of fragments of the PTX ISA.
namespace ptx {
namespace {

// count matrices of 8 × 8; mode 1: transposed. Lane 8 m + r names row r of matrix m. Lane l gets of each matrix the
// elements 2 (l % 4) and the next of row l / 4; transposed: of column l / 4.
void load_matrices(warp& w, const instruction& i) {
    constexpr std::uint64_t row_bytes = 16;
    std::uint64_t addresses[lanes];
    char* rows[lanes];
    addresses_of(w, i, i.s[0], addresses);
    w.mask = everyone >> (lanes - 8 * i.count); // those that name rows
    pointers_of(w, i, addresses, row_bytes, purpose::read, rows);
    w.mask = everyone;
    const auto element = [&](int matrix, int row, int column) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, rows[8 * matrix + row] + 2 * column, sizeof bits);
        return std::uint32_t{bits};
    };
    for (int m = 0; m < i.count; ++m) {
        alignas(64) std::uint32_t words[lanes];
        for (int l = 0; l < lanes; ++l) {
            const int across = l / 4;
            const int along = 2 * (l % 4);
            words[l] = i.mode == 0 ? element(m, across, along) | element(m, across, along + 1) << 16
                                   : element(m, along, across) | element(m, along + 1, across) << 16;
        }
        put(w, i.d[m], words, w.mask);
    }
    ++w.block->counted.matrix_loads;
}

// As tensor cores leave a sum: cut off behind the 24 bits of a float.
float cut_off(double x) {
    const auto nearest = static_cast<float>(x);
    if (!std::isfinite(nearest)) {
        return settled(nearest);
    }
    return std::fabs(static_cast<double>(nearest)) > std::fabs(x) ? std::nextafter(nearest, 0.0F) : nearest;
}

struct fragments {
    float a[16][16];
    double b[16][8], c[16][8];
};

// s: four registers of a, two of b, four of c. Lane l has, with g = l / 4 and t = l % 4,
// a: rows g, g + 8, g, g + 8; columns 2 t and the next, from the third register on 8 more
// b: rows 2 t and the next, then 8 more; column g
// c, d: columns 2 t and the next of row g, then of row g + 8
template <float (*ToFloat)(std::uint16_t)>
void gather(const warp& w, const instruction& i, fragments& to) {
    const auto value = [&](int operand, int lane, int half) {
        return ToFloat(static_cast<std::uint16_t>(w.words(i.s[operand])[lane] >> (16 * half)));
    };
    for (int l = 0; l < lanes; ++l) {
        const int g = l / 4;
        for (int half = 0; half < 2; ++half) {
            const int t = 2 * (l % 4) + half;
            for (int r = 0; r < 4; ++r) {
                to.a[g + 8 * (r % 2)][t + 8 * (r / 2)] = value(r, l, half);
            }
            for (int r = 0; r < 2; ++r) {
                to.b[t + 8 * r][g] = static_cast<double>(value(4 + r, l, half));
                const std::uint32_t sum = w.words(i.s[6 + 2 * r + half])[l];
                to.c[g + 8 * r][t] = static_cast<double>(std::bit_cast<float>(sum));
            }
        }
    }
}

// c += a · b: products are added a few at a time, and the sums rounded.
void multiply(fragments& f, bool exact) {
    const int step = exact ? 16 : 8;
    for (int begin = 0; begin < 16; begin += step) {
        for (int k = begin; k < begin + step; ++k) {
            for (int row = 0; row < 16; ++row) {
                const auto x = static_cast<double>(f.a[row][k]);
                for (int column = 0; column < 8; ++column) {
                    f.c[row][column] += x * f.b[k][column];
                }
            }
        }
        for (auto& row : f.c) {
            for (double& x : row) {
                x = static_cast<double>(exact ? settled(static_cast<float>(x)) : cut_off(x));
            }
        }
    }
}

template <float (*ToFloat)(std::uint16_t)>
void multiply_add(warp& w, const instruction& i) {
    alignas(64) fragments f;
    gather<ToFloat>(w, i, f);
    multiply(f, w.block->launch->how.exact_products);
    for (int r = 0; r < 4; ++r) {
        alignas(64) std::uint32_t words[lanes];
        for (int l = 0; l < lanes; ++l) {
            words[l] = std::bit_cast<std::uint32_t>(static_cast<float>(f.c[l / 4 + 8 * (r / 2)][2 * (l % 4) + r % 2]));
        }
        put(w, i.d[r], words, w.mask);
    }
    ++w.block->counted.multiply_adds;
}

} // namespace

handler find_matrix(const wanted& what, instruction& to) {
    const statement& s = what.s;
    if (what.opcode() == "ldmatrix" && s.has("m8n8") && s.has("b16")) {
        to.count = s.has("x4") ? 4 : s.has("x2") ? 2 : 1;
        to.mode = s.has("trans") ? 1 : 0;
        return load_matrices;
    }
    const std::vector<std::string>& types = what.types;
    const bool is_known = what.opcode() == "mma" && s.has("m16n8k16") && s.has("row") && s.has("col") &&
                          types.size() == 4 && types[0] == "f32" && types[1] == types[2] && types[3] == "f32";
    return !is_known            ? nullptr
           : types[1] == "bf16" ? multiply_add<bfloat_to_float>
           : types[1] == "f16"  ? multiply_add<half_to_float>
                                : nullptr;
}

} // namespace ptx
