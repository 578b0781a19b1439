// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cmath>
#include <cstdio>

#include <unmask/unmask.hpp>

#include "unit.hpp"

namespace {

bool expect(bool condition, const char* what) {
    if (!condition) {
        std::fprintf(stderr, "failed: %s\n", what);
    }
    return condition;
}

float largest_difference(const std::array<float, 64>& a, const std::array<float, 64>& b) {
    float largest = 0.0F;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const float apart = std::fabs(a[i] - b[i]);
        largest = std::fmax(largest, std::isnan(apart) ? INFINITY : apart);
    }
    return largest;
}

} // namespace

int main() {
    bool good = expect(same_first.abi_namespace == same_second.abi_namespace, "same flags, same namespace");
    good &= expect(same_first.abi_namespace != avx2.abi_namespace, "other instruction set, other namespace");

    const std::array<float, 64> output = same_first.attention();
    good &= expect(output[63] != 0.0F, "attention wrote its output");
    good &= expect(output == same_second.attention(), "same flags, same bits");
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        good &= expect(largest_difference(output, avx2.attention()) < 1e-6F, "other instruction set, same numbers");
    } else {
        std::printf("skipped: this processor has no AVX2\n");
    }
    return good ? 0 : 1;
}
