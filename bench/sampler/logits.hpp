// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <unmask/config.hpp>

#include "../support/buffers.hpp"

namespace bench {

inline constexpr unmask::index_t row_count = 256;
inline constexpr unmask::index_t vocabulary_size = 126'464; // LLaDA's

/// Rows of logits as language models have them: normal with a spread of 3, so that a few tokens have most of the
/// weight.
template <class T>
class logit_rows {
public:
    logit_rows(unmask::index_t rows, unmask::index_t vocabulary)
        : vocabulary_(vocabulary), logits_(numbers<T>(rows * vocabulary, 1)) {
        for (T& logit : logits_) {
            logit = T(3.0F * static_cast<float>(logit));
        }
    }
    [[nodiscard]] std::span<const T> row(unmask::index_t i) const {
        return std::span<const T>(logits_).subspan(static_cast<std::size_t>(i * vocabulary_),
                                                   static_cast<std::size_t>(vocabulary_));
    }
    [[nodiscard]] std::span<const T> all() const { return logits_; }

private:
    unmask::index_t vocabulary_;
    std::vector<T> logits_;
};

} // namespace bench
