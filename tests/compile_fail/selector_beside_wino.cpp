// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::sampler: this corruption decides what is committed; there can be no selector beside it

#include <unmask/sampler/corruption/wino.hpp>
#include <unmask/sampler/sampler.hpp>

const unmask::sampler sampler{unmask::wino{}, unmask::top_k{}};
