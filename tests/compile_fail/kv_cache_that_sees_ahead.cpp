// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: unmask::kv_cache: keys and values of earlier positions stay right only if the mask lets no position see
// expected-error: ask for unmask::prefix_cache or unmask::dual_cache by name

#include <unmask/attention/kv_cache.hpp>
#include <unmask/mask/bidirectional.hpp>

unmask::kv_cache<float, unmask::bidirectional> misuse(unmask::bidirectional{}, 1, 1, 2);
