// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/parallel/communicator.hpp>

UNMASK_NAMESPACE_BEGIN

/// Checks that all ranks run the same version of the library, compiled for the same instruction set and with the same
/// flags, without which they would not round alike. Throws communication_error on every rank if they don't: "rank 1
/// runs v0_1_0_avx2_openmp_ieee of the library, rank 0 v0_1_0_avx512_openmp_ieee". Called at the start by run_mpi.
/// `build` is what this rank runs, by the name of the library's inline namespace.
template <communicator C>
void check_same_build(const C& c, const std::string& build = UNMASK_DETAIL_TEXT(UNMASK_ABI_NAMESPACE)) {
    using text = std::array<char, 128>;
    text mine{};
    std::copy_n(build.begin(), std::min(build.size(), mine.size() - 1), mine.begin());
    std::vector<text> all(static_cast<std::size_t>(c.size()));
    all_gather(c, std::span<const text>(&mine, 1), std::span(all));
    for (std::size_t rank = 1; rank < all.size(); ++rank) {
        if (all[rank] != all[0]) {
            throw communication_error(static_cast<int>(rank), std::string("runs ") + all[rank].data() +
                                                                  " of the library, rank 0 " + all[0].data());
        }
    }
}

UNMASK_NAMESPACE_END
