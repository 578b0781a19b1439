// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <concepts>

#include "../support/attention_case.hpp"
#include "cases.hpp"

namespace {

template <class Mask>
constexpr bool has_its_own_cases =
    std::same_as<Mask, unmask::bidirectional> || std::same_as<Mask, unmask::causal> ||
    std::same_as<Mask, unmask::block> || std::same_as<Mask, unmask::extra_sink<unmask::bidirectional>>;

} // namespace

void bench::add_forward_masks(const options& options) {
    const auto add_mask = [&](const shape& shape, const auto& mask) { add<direction::forward>(options, shape, mask); };
    const int threads = options.threads;

    for (const index_t head_dim : {64, 128}) {
        for (const index_t length : {512, 1024, 2048, 4096, 8192}) {
            const shape shape{.length = length, .head_dim = head_dim, .threads = threads};
            add_mask(shape, measured<unmask::causal>());
            add_mask(shape, measured<unmask::block>());
        }
        const shape long_shape{.length = 4096, .head_dim = head_dim, .threads = threads};
        for_each_measured(4096, [&]<class Mask>(const named_mask<Mask>& mask) {
            if constexpr (!has_its_own_cases<Mask>) {
                add_mask(long_shape, mask);
            }
        });
        if (threads > 1) {
            const shape alone{.length = 4096, .head_dim = head_dim, .threads = 1};
            add_mask(alone, measured<unmask::causal>());
            add_mask(alone, measured<unmask::document>(4096));
        }
        add_mask({.length = 2049, .head_dim = head_dim, .threads = threads},
                 measured<unmask::extra_sink<unmask::bidirectional>>());
    }
    // For the memory it takes.
    add_mask({.length = 65536, .head_dim = 64, .threads = threads}, measured<unmask::sliding_window>());
}
