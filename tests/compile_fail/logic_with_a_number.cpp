// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: no match for 'operator&&'|invalid operands to binary expression

#include <unmask/mask/causal.hpp>
#include <unmask/mask/logic.hpp>

constexpr auto mask = unmask::causal{} && 3;
