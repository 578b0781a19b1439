// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <limits>

#include "handlers.hpp"
#include "lane_function.hpp"

// Functions that a GPU only approximates: the nearest number here, or, if settings say so, now and then a unit beside
// it, as the bits of operand and result decide. 1 stays 1.
namespace ptx {
namespace {

enum class shape { ex2, lg2, rcp, sqrt, rsqrt, sin, cos, tanh, div };

double exactly(shape which, double a, double b) {
    switch (which) {
    case shape::ex2:
        return std::exp2(a);
    case shape::lg2:
        return std::log2(a);
    case shape::rcp:
        return 1 / a;
    case shape::sqrt:
        return std::sqrt(a);
    case shape::rsqrt:
        return 1 / std::sqrt(a);
    case shape::sin:
        return std::sin(a);
    case shape::cos:
        return std::cos(a);
    case shape::tanh:
        return std::tanh(a);
    default:
        return a / b;
    }
}

float displaced(float result, float operand) {
    if (!std::isfinite(result) || result == 0 || result == 1) {
        return result;
    }
    std::uint32_t hash = std::bit_cast<std::uint32_t>(result) * 0x9e3779b9U;
    hash = (hash ^ std::bit_cast<std::uint32_t>(operand)) * 0x85ebca6bU;
    hash ^= hash >> 15;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    return hash % 3 == 0 ? result : std::nextafter(result, hash % 3 == 1 ? infinity : -infinity);
}

template <shape Which, bool Flushes>
void approximation(warp& w, const instruction& i) {
    const bool displaces = w.block->launch->how.approximate;
    alignas(64) std::uint32_t results[lanes];
    const std::uint32_t* a = w.words(i.s[0]);
    const std::uint32_t* b = w.words(i.s[Which == shape::div ? 1 : 0]);
    for (int l = 0; l < lanes; ++l) {
        const float x = flushed<Flushes>(std::bit_cast<float>(a[l]));
        const float y = flushed<Flushes>(std::bit_cast<float>(b[l]));
        const auto nearest = static_cast<float>(exactly(Which, static_cast<double>(x), static_cast<double>(y)));
        const float result = displaces ? displaced(nearest, y) : nearest;
        results[l] = std::bit_cast<std::uint32_t>(flushed<Flushes>(settled(result)));
    }
    put(w, i.d[0], results, w.mask);
}

template <bool Flushes>
handler find_shape(const std::string& o) {
    return o == "ex2"     ? approximation<shape::ex2, Flushes>
           : o == "lg2"   ? approximation<shape::lg2, Flushes>
           : o == "rcp"   ? approximation<shape::rcp, Flushes>
           : o == "sqrt"  ? approximation<shape::sqrt, Flushes>
           : o == "rsqrt" ? approximation<shape::rsqrt, Flushes>
           : o == "sin"   ? approximation<shape::sin, Flushes>
           : o == "cos"   ? approximation<shape::cos, Flushes>
           : o == "tanh"  ? approximation<shape::tanh, Flushes>
           : o == "div"   ? approximation<shape::div, Flushes>
                          : nullptr;
}

} // namespace

handler find_approximate(const wanted& what) {
    if (what.type() != "f32" || !(what.s.has("approx") || what.s.has("full"))) {
        return nullptr;
    }
    return what.flushes() ? find_shape<true>(what.opcode()) : find_shape<false>(what.opcode());
}

} // namespace ptx
