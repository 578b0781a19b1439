// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <unmask/config.hpp>
#include <unmask/sampler/denoiser.hpp>

UNMASK_NAMESPACE_BEGIN

/// Thrown if the logits that a model wrote define no distribution. what() reads "sampler: the logits of sequence 2,
/// position 17 are NaN at token 5", or, of a row that the model did not write to its end, "… are not written at token
/// 5".
class non_finite_logits : public std::runtime_error {
public:
    /// An error at `where`; `fault` completes "the logits of … are".
    non_finite_logits(row where, std::string_view fault)
        : std::runtime_error("sampler: the logits of sequence " + std::to_string(where.sequence) + ", position " +
                             std::to_string(where.position) + " are " + std::string(fault)),
          where_(where) {}

    /// The position whose token the logits should have predicted.
    [[nodiscard]] row where() const noexcept { return where_; }

private:
    row where_;
};

UNMASK_NAMESPACE_END
