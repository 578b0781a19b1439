// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/attention/score_strip.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/sink/sink_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The sink's logit for one query row, packed as floats times the scale.
template <class T, sink_policy Sink>
inline float sink_score(const attention_problem<T>& problem, const Sink& sink, index_t head, const float* query) {
    if constexpr (Sink::has_key) {
        float score = row_dot(query, sink.key(head / problem.group()), problem.head_dim);
        if (problem.soft_cap > 0.0F) {
            float one[lanes] = {score};
            cap_scores(one, lanes, problem.soft_cap);
            score = one[0];
        }
        return score;
    } else {
        return sink.logit(head);
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
