// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string_view>

struct cuda_unit {
    std::string_view abi_namespace;
    void (*function)(); // an inline function of the library, cast
    void (*kernel)();   // the same of a kernel
};

extern const cuda_unit same_first;
extern const cuda_unit same_second;
extern const cuda_unit more_architectures;
