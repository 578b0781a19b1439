// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>

#include "matrix.hpp"

namespace language_model {

using namespace examples;

/// The angles of rotary position embedding (Su et al., arXiv 2104.09864), base 10 000: row p holds cos and sin of
/// p · base^(−2i / head_dim) for i < head_dim / 2. Table [positions, head_dim].
inline void fill_rotary_table(matrix table) {
    const index_t half = table.extents[1] / 2;
    for (index_t position = 0; position < table.extents[0]; ++position) {
        for (index_t i = 0; i < half; ++i) {
            const double angle =
                static_cast<double>(position) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
            table(position, i) = static_cast<float>(std::cos(angle));
            table(position, half + i) = static_cast<float>(std::sin(angle));
        }
    }
}

} // namespace language_model
