// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/cuda/executor.cuh>
#include <unmask/cuda/row_chunk_kernel.cuh>
#include <unmask/cuda/row_kernel.cuh>
#include <unmask/cuda/runtime.cuh>
#include <unmask/cuda/warp_chunk.cuh>
#include <unmask/error.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/row_result.hpp>
#include <unmask/tensor/row_sums.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::gpu {

// What to read: `most` rows, or as many of them as `count`, in device memory, says.
template <class Logit>
struct row_call {
    logit_rows<Logit> logits;
    index_t most;
    const int* count;
    row_rule rule;
    const double* uniforms;
    row_outcome* outcomes;
    row_statistics* statistics;
    chunk_record* records = nullptr; // [most][chunks], for use meanwhile; null: from the executor
};

template <row_reading Reading, class Logit>
void launch_rows(const cuda_executor& exec, const row_call<Logit>& call) {
    constexpr bool tempered = Reading == row_reading::tempered_draw;
    const index_t chunks = call.most * call.logits.chunks();
    const std::size_t bytes = static_cast<std::size_t>(chunks) * sizeof(chunk_record);
    const device_scratch scratch(exec, call.records != nullptr ? 0 : bytes);
    auto* const records = call.records != nullptr ? call.records : static_cast<chunk_record*>(scratch.data());
    const index_t resident = index_t{chunk_blocks} * device_properties::current().multiprocessors;
    const auto blocks = static_cast<int>(std::min(resident, (chunks + chunk_warps - 1) / chunk_warps));
    launch(&chunk_kernel<tempered, Logit>, blocks, chunk_threads, 0, exec.stream,
           chunk_parameters<Logit>{call.logits, call.count, call.most, call.rule.rule, records, blocks});
    launch(&row_kernel<Reading, Logit>, static_cast<int>(call.most), row_threads, sizeof(row_memory), exec.stream,
           row_parameters<Logit>{call.logits, call.count, records, call.rule, call.uniforms, call.outcomes,
                                 call.statistics});
}

// Enqueues the reading of rows.
template <class Logit>
void read_rows(const cuda_executor& exec, const row_call<Logit>& call) {
    with_reading(call.rule.reading, [&](auto reading) { launch_rows<decltype(reading)::value>(exec, call); });
}

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

} // namespace detail::gpu

/// `statistics_of` for every row of a matrix [rows, vocabulary] of float or bfloat16 logits in device memory, to the same
/// bits. results[row], in device memory too, is written when the stream gets there.
///
/// Work: the logits are read once, and some chunks of 1024 again, 5 in a row of 128 in random order. Scratch memory: 20
/// bytes a chunk, from the executor. Throws invalid_argument if an extent or a stride is not possible.
template <class Logit>
void statistics_of(const cuda_executor& exec, const tensor_view<const Logit, 2>& logits, row_statistics* results) {
    const auto rows = detail::gpu::checked_rows("statistics_of", logits);
    if (logits.extents[0] == 0) {
        return;
    }
    if (results == nullptr) {
        throw invalid_argument("statistics_of", "results", "null", "device memory");
    }
    detail::gpu::read_rows(
        exec, detail::gpu::row_call<Logit>{rows, logits.extents[0], nullptr, {}, nullptr, nullptr, results});
}

UNMASK_NAMESPACE_END
