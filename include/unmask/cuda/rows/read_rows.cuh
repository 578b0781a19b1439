// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_filter_kernel.cuh>
#include <unmask/cuda/rows/row_kernel.cuh>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The rows to read: `most` of them, or only the first *count, which is in device memory.
template <class Logit>
struct row_call {
    logit_rows<Logit> logits;
    index_t most;
    const int* count;
    row_rule rule;
    const double* uniforms;
    row_outcome* outcomes;
    row_statistics* statistics;
    chunk_record* records = nullptr; // [most][chunks], scratch; from the executor if null
    row_state* states = nullptr;     // [most], scratch for a filter
};

template <row_reading Reading, class Logit>
void launch_rows(const work_stream& work, const row_call<Logit>& call) {
    constexpr bool tempered = Reading == row_reading::tempered_draw;
    const index_t chunks = call.most * call.logits.chunks();
    const index_t resident = index_t{chunk_blocks} * device_properties::current().multiprocessors;
    const auto blocks = static_cast<int>(std::min(resident, (chunks + chunk_warps - 1) / chunk_warps));
    launch(&chunk_kernel<tempered, Logit>, blocks, chunk_threads, 0, work.stream,
           chunk_parameters<Logit>{call.logits, call.count, call.most, call.rule.rule, call.records, blocks});
    launch(&row_kernel<Reading, Logit>, static_cast<int>(call.most), row_threads, sizeof(row_memory), work.stream,
           row_parameters<Logit>{call.logits, call.count, call.records, call.rule, call.uniforms, call.outcomes,
                                 call.statistics, call.states});
}

// Enqueues the reading of rows.
template <class Logit>
void read_rows(const work_stream& work, row_call<Logit> call) {
    const bool lacks = call.records == nullptr;
    const index_t chunks = call.most * call.logits.chunks();
    const device_scratch scratch(work, lacks ? static_cast<std::size_t>(chunks) * sizeof(chunk_record) : 0);
    call.records = lacks ? static_cast<chunk_record*>(scratch.data()) : call.records;
    with_reading(call.rule.reading, [&](auto reading) { launch_rows<decltype(reading)::value>(work, call); });
}

// Enqueues the reading of rows with a filter; outcomes, records and states must be given. All rows are read, the
// last token that each keeps is found and stored in `floors` [most], and the rows are read again with −∞ in
// place of dropped tokens.
template <class Logit>
void read_filtered_rows(const work_stream& work, const row_call<Logit>& call, const token_filter& filter,
                        token_floor* floors) {
    row_call<Logit> whole = call;
    whole.outcomes = nullptr;
    read_rows(work, whole);
    launch(&filter_kernel<Logit>, static_cast<int>(call.most), filter_threads, sizeof(filter_memory), work.stream,
           filter_parameters<Logit>{call.logits, call.count, call.records, filter, call.rule, call.states, floors});
    row_call<Logit> kept = call;
    kept.logits.floors = floors;
    read_rows(work, kept);
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
