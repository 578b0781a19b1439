// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: every argument must be a sampling policy

#include <unmask/sampler/sampler.hpp>

const unmask::sampler sampler{unmask::steps{4}, 0.9};
