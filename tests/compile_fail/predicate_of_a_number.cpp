// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask::predicate: needs a function bool\(index_t q, index_t k\), or a type with bool visible
#include <unmask/mask/predicate.hpp>

const unmask::predicate<int> misuse(3);
