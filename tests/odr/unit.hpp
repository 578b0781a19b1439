// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <string_view>

struct unit {
    std::string_view abi_namespace;
    std::array<float, 64> (*attention)();
};

extern const unit same_first;
extern const unit same_second;
extern const unit avx2;
