// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-error: unmask::sink_tracker: what attention_received computed over ranks is gathered, and reported by received\(\)
// expected-errors: 1
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/parallel/attention.hpp>
#include <unmask/parallel/thread_communicator.hpp>

void misuse(unmask::sink_tracker& tracker, const unmask::attention_tensors<float>& tensors,
            const unmask::thread_communicator& ranks, const unmask::sharding& positions) {
    tracker.attention(unmask::context_parallel(ranks, unmask::cpu_executor{}, positions), 0, {}, tensors,
                      unmask::bidirectional{});
}
