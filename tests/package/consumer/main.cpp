// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What a project that uses the library may write: attention, and the sampler around a model of its own.

#include <cmath>
#include <cstdio>
#include <vector>

#include <unmask/unmask.hpp>

#if defined(EXPECTED_VERSION)
static_assert(UNMASK_VERSION == EXPECTED_VERSION, "the headers are those of the package");
#endif
#if defined(EXPECTED_OPENMP) && !defined(_OPENMP)
#error "OpenMP is here, but the library's target does not bring it"
#endif

namespace {

bool attention_works() {
    const std::vector<float> ones(4 * 8, 1.0F);
    std::vector<float> output(ones.size());
    const auto input = unmask::view(ones.data(), 1, 4, 1, 8);
    const unmask::attention_tensors<float> tensors{.query = input,
                                                   .key = input,
                                                   .value = input,
                                                   .output = unmask::view(output.data(), 1, 4, 1, 8),
                                                   .log_sum_exp = {}};
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::block{2});
    for (const float each : output) {
        if (std::abs(each - 1.0F) > 1e-6F) { // a mean of ones
            return false;
        }
    }
    return true;
}

} // namespace

int main() {
    if (!attention_works()) {
        std::printf("attention is wrong\n");
        return 1;
    }
    return 0;
}
