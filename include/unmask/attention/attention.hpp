// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/attention/attention_backend.hpp>
#include <unmask/attention/detail/checks.hpp>
#include <unmask/attention/tensors.hpp>
#include <unmask/config.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/executor/executor.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

template <class T>
attention_call<T> resolve(const attention_tensors<T>& tensors, const attention_options& options) {
    const auto& [batch, query_length, heads, head_dim] = tensors.query.extents;
    return {.query = tensors.query,
            .key = tensors.key,
            .value = tensors.value,
            .output = tensors.output,
            .log_sum_exp = tensors.log_sum_exp,
            .batch = batch,
            .query_length = query_length,
            .key_length = tensors.key.extents[1],
            .heads = heads,
            .kv_heads = tensors.key.extents[2],
            .head_dim = head_dim,
            .scale = resolved_scale(options, head_dim),
            .soft_cap = options.soft_cap,
            .query_offset = options.query_offset,
            .query_lengths = options.query_lengths.empty() ? nullptr : options.query_lengths.data(),
            .key_lengths = options.key_lengths.empty() ? nullptr : options.key_lengths.data()};
}

// The types that the functions below take. Their declarations do not ask for them: the message for a wrong call would
// be that no function matches, and why each does not.
template <class Executor, class T, class Mask, class Sink>
concept attention_types = attention_executor<Executor> && storage_type<T> && attention_policies<Mask, Sink>;

// Says in one sentence what the first type is that is wrong, and why.
template <class Executor, class T, class Mask, class Sink>
constexpr void check_attention_types() {
    if constexpr (!attention_executor<Executor>) {
        check_attention_executor<Executor>();
    } else if constexpr (!storage_type<T>) {
        static_assert(never<T>,
                      "unmask: attention takes tensors of float, bfloat16 or float16 (a storage_type); for double "
                      "there is unmask::reference");
    } else {
        check_attention_policies<Mask, Sink>();
    }
}

} // namespace detail

/// Attention: output = softmax(scale · query · keyᵀ, masked) · value, and the log-sum-exp of every row.
///
/// Exact: float scores, softmax and sums, rounded to T once. Forward, backward and received agree on every score to the
/// last bit, so the probability of an only key is 1 at any size of score. A score of −∞ weighs nothing; a row that sees
/// no other, and no sink, gets output 0 and LSE −∞. A row that sees NaN gets NaN in both. What is hidden from a row
/// does not matter to it, NaN and ∞ included; nor does it cost anything: the mask decides which tiles are visited.
///
/// `exec` decides where the call runs.
///
/// On cpu_executor, or any host_executor, the call returns when the work is done. A row's output and LSE depend only on
/// its query, its visible keys and their positions, to the last bit: not on other rows or sequences, padding or
/// threads. Processors that multiply bfloat16 directly (AVX512-BF16) do so, with probabilities rounded to bfloat16.
///
/// On cuda_executor the call enqueues its work and does not wait. Tensors, and whatever masks and sinks point to, are
/// in device memory. bfloat16 and float16 run on the tensor cores, with probabilities rounded to that type, if head_dim
/// is a multiple of 8 up to 256 and rows are aligned to 16 bytes; everything else runs without them, more slowly. The
/// order in which keys are summed depends on the call's shape and on how many blocks the GPU holds at once: a program
/// gets the same bits on all GPUs of a kind.
///
/// Work: 4 · head_dim operations per visible (query, key, head). Memory: on the CPU a few MiB per thread at any length,
/// and at most 32 MiB more if the keys of few queries are split among threads; on the GPU none, or, if keys are split,
/// 4 · (head_dim + 1) bytes per row and part.
/// Throws invalid_argument, before anything is written, for shapes that don't match, heads that are not a multiple of
/// kv_heads, missing data, an innermost stride other than 1, an output that has memory in common with itself or another
/// tensor, or lengths, offset, scale or soft cap out of range. Tensors may interleave in one buffer in any way, such as
/// [length, heads, 3, head_dim]; only element for element they must be apart. (Strides of which none contains another
/// can take long to tell apart, and then count as overlapping: no layout of a tensor has such.)
/// Source: FlashAttention-2 (arXiv 2307.08691); the sink is folded as in Eq. 6 of arXiv 2601.19657.
template <class Executor, class T, class Mask, class Sink = no_sink>
void attention_forward(const Executor& exec, const attention_tensors<T>& tensors, const Mask& mask,
                       const Sink& sink = {}, const attention_options& options = {}) {
    detail::check_attention_types<Executor, T, Mask, Sink>();
    if constexpr (detail::attention_types<Executor, T, Mask, Sink>) {
        detail::check_forward(tensors, mask, sink, options);
        attention_backend<Executor>::forward(exec, detail::resolve(tensors, options), mask, sink);
    }
}

/// The gradients of attention_forward.
///
/// Reads the tensors as attention_forward left them, output and log_sum_exp included, with the same mask, sink and
/// options, and gradients.output. All other gradients are overwritten; empty ones are not computed. A sink's gradients
/// are summed over the batch, the queries and the heads of a group. Rows and keys past a sequence's length get 0. A
/// key's gradients depend on the rows that see it alone, as the output of a row does on the keys that it sees.
///
/// Throws as attention_forward does; gradients may interleave in one buffer, those of a fused projection by position or
/// by head. For a given shape the order of summation is fixed: the same bits, whatever the number of threads.
///
/// On cuda_executor the call enqueues its work, on tensor cores where attention_forward uses them and the gradients'
/// rows are aligned to 16 bytes as well. Probabilities and the gradients of scores are rounded to T there. Every
/// gradient is the sum of one block: no order of blocks changes a bit. Scores are computed twice for that:
/// 14 · head_dim operations per visible (query, key, head), unless the executor is `nondeterministic`. Memory there:
/// 4 bytes per query row and head, as many again if the sink has a key, and for a sink 4 · (2 · head_dim + 1) bytes per
/// 64 of these rows.
///
/// Work: 10 · head_dim operations per visible (query, key, head); each gradient that is not
/// computed saves 2 · head_dim.
/// Memory: a few MiB per thread, 4 bytes per query row and head, and for 16-bit tensors float sums of their gradients:
/// 32 MiB at a time, or those of one kv head.
template <class Executor, class T, class Mask, class Sink = no_sink>
void attention_backward(const Executor& exec, const attention_tensors<T>& tensors,
                        const attention_gradients<T>& gradients, const Mask& mask, const Sink& sink = {},
                        const attention_options& options = {}) {
    detail::check_attention_types<Executor, T, Mask, Sink>();
    if constexpr (!detail::attention_types<Executor, T, Mask, Sink>) {
        // check_attention_types has said why
    } else if constexpr (attention_backward_executor<Executor>) {
        detail::check_backward(tensors, gradients, mask, sink, options);
        const attention_call_gradients<T> views{gradients.output,     gradients.query,       gradients.key,
                                                gradients.value,      gradients.sink_logits, gradients.sink_keys,
                                                gradients.sink_values};
        attention_backend<Executor>::backward(exec, detail::resolve(tensors, options), views, mask, sink);
    } else {
        static_assert(detail::never<Executor>, "unmask: the attention_backend of this executor has no backward");
    }
}

/// The attention that every key receives: the column sums of the probability matrix, cⱼ = Σᵢ exp(sᵢⱼ − LSEᵢ). The
/// matrix itself is never stored.
///
/// received is [batch, heads, key_length]. Needs query, key and the log_sum_exp that attention_forward wrote with the
/// same mask, sink and options; value and output may be empty. The sink receives the rest: the number of rows that see
/// anything, minus the sum over the keys. Keys past a sequence's length receive 0.
///
/// Throws as attention_forward does. For a given shape the order of summation is fixed: the same bits, whatever the
/// number of threads. On cuda_executor the call enqueues its work, as attention_forward does.
/// Work: 2 · head_dim operations per visible (query, key, head). Memory: a few MiB per thread on
/// the CPU, none on the GPU.
template <class Executor, class T, class Mask, class Sink = no_sink>
void attention_received(const Executor& exec, const attention_tensors<T>& tensors, tensor_view<float, 3> received,
                        const Mask& mask, const Sink& sink = {}, const attention_options& options = {}) {
    detail::check_attention_types<Executor, T, Mask, Sink>();
    if constexpr (detail::attention_types<Executor, T, Mask, Sink>) {
        detail::check_received(tensors, received, mask, sink, options);
        attention_backend<Executor>::received(exec, detail::resolve(tensors, options), received, mask);
    }
}

UNMASK_NAMESPACE_END
