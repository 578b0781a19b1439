// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <unmask/config.hpp>
#include <unmask/sampler/denoiser.hpp>

UNMASK_NAMESPACE_BEGIN

/// A model wrote logits that no distribution belongs to. what() reads "sampler: the logits of sequence 2, position 17
/// are NaN at token 5".
class non_finite_logits : public std::runtime_error {
public:
    non_finite_logits(row where, std::string_view fault)
        : std::runtime_error("sampler: the logits of sequence " + std::to_string(where.sequence) + ", position " +
                             std::to_string(where.position) + " are " + std::string(fault)),
          where_(where) {}

    /// The position whose token was to be predicted.
    [[nodiscard]] row where() const noexcept { return where_; }

private:
    row where_;
};

UNMASK_NAMESPACE_END
