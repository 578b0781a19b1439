// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>

#include <unmask/config.hpp>
#include <unmask/cuda/executor.cuh>
#include <unmask/cuda/row_chunk_kernel.cuh>
#include <unmask/cuda/row_filter_kernel.cuh>
#include <unmask/cuda/row_kernel.cuh>
#include <unmask/cuda/runtime.cuh>
#include <unmask/cuda/warp_chunk.cuh>
#include <unmask/error.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/row_result.hpp>
#include <unmask/tensor/row_sums.hpp>
#include <unmask/tensor/tensor_view.hpp>
#include <unmask/tensor/token_filter.hpp>

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
    row_state* states = nullptr;     // [most], the same for a filter
};

template <row_reading Reading, class Logit>
void launch_rows(const cuda_executor& exec, const row_call<Logit>& call) {
    constexpr bool tempered = Reading == row_reading::tempered_draw;
    const index_t chunks = call.most * call.logits.chunks();
    const index_t resident = index_t{chunk_blocks} * device_properties::current().multiprocessors;
    const auto blocks = static_cast<int>(std::min(resident, (chunks + chunk_warps - 1) / chunk_warps));
    launch(&chunk_kernel<tempered, Logit>, blocks, chunk_threads, 0, exec.stream,
           chunk_parameters<Logit>{call.logits, call.count, call.most, call.rule.rule, call.records, blocks});
    launch(&row_kernel<Reading, Logit>, static_cast<int>(call.most), row_threads, sizeof(row_memory), exec.stream,
           row_parameters<Logit>{call.logits, call.count, call.records, call.rule, call.uniforms, call.outcomes,
                                 call.statistics, call.states});
}

// Enqueues the reading of rows.
template <class Logit>
void read_rows(const cuda_executor& exec, row_call<Logit> call) {
    const bool lacks = call.records == nullptr;
    const index_t chunks = call.most * call.logits.chunks();
    const device_scratch scratch(exec, lacks ? static_cast<std::size_t>(chunks) * sizeof(chunk_record) : 0);
    call.records = lacks ? static_cast<chunk_record*>(scratch.data()) : call.records;
    with_reading(call.rule.reading, [&](auto reading) { launch_rows<decltype(reading)::value>(exec, call); });
}

// The same with a filter, for outcomes alone, and with records and states given: all rows are read, the last tokens that are kept are found, for which `floors`
// [most] is there, and the rows are read again with −∞ in place of the others.
template <class Logit>
void read_filtered_rows(const cuda_executor& exec, const row_call<Logit>& call, const token_filter& filter,
                        token_floor* floors) {
    row_call<Logit> whole = call;
    whole.outcomes = nullptr;
    read_rows(exec, whole);
    launch(&filter_kernel<Logit>, static_cast<int>(call.most), filter_threads, sizeof(filter_memory), exec.stream,
           filter_parameters<Logit>{call.logits, call.count, call.records, filter, call.rule, call.states, floors});
    row_call<Logit> kept = call;
    kept.logits.floors = floors;
    read_rows(exec, kept);
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
