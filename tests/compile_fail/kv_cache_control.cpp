// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <unmask/attention/kv_cache.hpp>
#include <unmask/mask/block.hpp>

unmask::kv_cache<float, unmask::block> use(unmask::block{4}, 1, 1, 2);
