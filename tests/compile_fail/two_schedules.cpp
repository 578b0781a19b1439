// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: more than one schedule

#include <unmask/sampler/sampler.hpp>

const unmask::sampler sampler{unmask::steps{4}, unmask::margin{}, unmask::cosine_steps{8}};
