// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>
#include <tuple>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/hidden_keys.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>

// Every mask policy of the library: one line each, from which tests and benchmarks take them. house.lists holds that
// none is missing.

namespace test {

using namespace unmask;

// A policy with parameters that are awkward, for tests, and one with usual ones, for benchmarks, if it is measured.
template <mask_policy Mask>
struct listed_mask {
    using policy = Mask;

    const char* name;
    Mask tested;
    const char* measured_name = nullptr;
    Mask measured = tested;
};
template <class Mask, class... Rest>
listed_mask(const char*, Mask, Rest...) -> listed_mask<Mask>;

// Those that list the keys of a row, for sequences of this length. The documents are in memory that the executor reads.
// shadow_block and block_diffusion are measured on `length` positions in all.
inline auto mask_list(index_t length, std::span<const range> documents) {
    const index_t half = length / 2 + 1;
    return std::tuple{
        listed_mask{"bidirectional", bidirectional{}, "bidirectional"},
        listed_mask{"causal", causal{}, "causal"},
        listed_mask{"block(5)", block{5}, "block_32", block{32}},
        listed_mask{"sliding_window(9, 3)", sliding_window{9, 3}, "sliding_window_256", sliding_window{256, 256}},
        listed_mask{"prefix(7)", prefix{7}, "prefix_quarter", prefix{length / 4}},
        listed_mask{"document", document{documents}, "document_16"},
        listed_mask{"block_diffusion", block_diffusion{half, 8}, "block_diffusion_32", block_diffusion{length / 2, 32}},
        listed_mask{"shadow_block", shadow_block{half, 3, half / 3}, "shadow_block_32",
                    shadow_block{length - 32, length / 2, 32}},
        listed_mask{"extra_sink(bidirectional)", extra_sink{bidirectional{}}, "extra_sink"},
        listed_mask{"extra_sink(block(16), 10, 3)", extra_sink{block{16}, 10, 3}},
        listed_mask{"extra_sink(document, 64, 2)", extra_sink{document{documents}, 64, 2}},
        listed_mask{"mask_and(causal, sliding_window)", causal{} && sliding_window{20, 20}},
        listed_mask{"mask_or(prefix, sliding_window)", prefix{3} || sliding_window{1, 70}},
        listed_mask{"mask_not(causal)", !causal{}}, // the last row sees nothing
    };
}

// Sees every third key: a mask without row() and without structure.
struct every_third {
    UNMASK_HOST_DEVICE constexpr bool operator()(index_t q, index_t k) const { return (q + 2 * k) % 3 == 0; }
};

// Hidden keys 0, 1, 5 … 8 and 11, in memory of the host.
inline constexpr range some_runs[] = {{0, 2}, {0, 2}, {5, 9}, {5, 9},   {5, 9},   {5, 9},
                                      {5, 9}, {5, 9}, {5, 9}, {11, 12}, {11, 12}, {11, 12}};

// Those that don't.
inline auto rowless_mask_list() {
    return std::tuple{listed_mask{"predicate(every_third)", predicate(every_third{})},
                      listed_mask{"hidden_keys", hidden_keys{some_runs}},
                      listed_mask{"hidden_keys, own seen", hidden_keys{some_runs, own_position::visible}}};
}

} // namespace test
