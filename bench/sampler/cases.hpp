// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../support/options.hpp"

namespace bench {

// The cases of bench_sampler.
void add_rows(const options& options);
void add_recipe(const options& options);
void add_steps(const options& options);

} // namespace bench
