// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/read_rows.cuh>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/error.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Logit>
logit_rows<Logit> checked_rows(const char* function, const tensor_view<const Logit, 2>& logits) {
    const auto expects = [&](bool holds, const char* argument, index_t was, const char* expected) {
        if (!holds) {
            throw invalid_argument(function, argument, std::to_string(was), expected);
        }
    };
    const auto [rows, size] = logits.extents;
    constexpr index_t most = std::numeric_limits<int>::max() - static_cast<index_t>(chunk_size);
    expects(rows >= 0 && rows <= most, "logits.extents[0]", rows, "in [0, 2^31 - 1025]");
    expects(size >= 1 && size <= most, "logits.extents[1]", size, "in [1, 2^31 - 1025]");
    expects(logits.strides[1] == 1, "logits.strides[1]", logits.strides[1], "1");
    if (logits.data == nullptr && rows > 0) {
        throw invalid_argument(function, "logits.data", "null", "device memory");
    }
    return {logits.data, logits.strides[0], static_cast<int>(size), -1};
}

} // namespace detail::cuda

/// `statistics_of` for every row of a matrix [rows, vocabulary] of float or bfloat16 logits in device memory, with the
/// same bits. The work is enqueued; the stream writes results[row], also in device memory.
///
/// Work: the logits are read once and some chunks of 1024 tokens a second time, about 5 in a row of 128 chunks in
/// random order. Memory: 20 bytes of scratch per chunk, from the executor. Throws invalid_argument if an extent or a
/// stride is not valid.
template <class Logit>
void statistics_of(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits, row_statistics* results) {
    const auto rows = detail::cuda::checked_rows("statistics_of", logits);
    if (logits.extents[0] == 0) {
        return;
    }
    if (results == nullptr) {
        throw invalid_argument("statistics_of", "results", "null", "device memory");
    }
    detail::cuda::read_rows(
        detail::cuda::work_on(exec),
        detail::cuda::row_call<Logit>{rows, logits.extents[0], nullptr, {}, nullptr, nullptr, results});
}

UNMASK_NAMESPACE_END
