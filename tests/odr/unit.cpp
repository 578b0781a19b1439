// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compiled several times, with different flags and another name for UNIT.

#include <cmath>

#include <unmask/unmask.hpp>

#include "unit.hpp"

namespace {

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

std::array<float, 64> attention() {
    std::array<float, 64> input{};
    for (std::size_t i = 0; i < input.size(); ++i) {
        input[i] = std::sin(static_cast<float>(i));
    }
    std::array<float, 64> output{};
    const auto tensor = unmask::view(static_cast<const float*>(input.data()), 1, 4, 1, 16);
    unmask::attention_forward(unmask::cpu_executor{},
                              unmask::attention_tensors<float>{.query = tensor,
                                                               .key = tensor,
                                                               .value = tensor,
                                                               .output = unmask::view(output.data(), 1, 4, 1, 16),
                                                               .log_sum_exp = {}},
                              unmask::block{2});
    return output;
}

} // namespace

extern const unit UNIT{TEXT(UNMASK_ABI_NAMESPACE), attention};
