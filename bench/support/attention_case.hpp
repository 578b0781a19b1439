// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <optional>

#include <benchmark/benchmark.h>

#include <unmask/attention/attention.hpp>
#include <unmask/sink/no_sink.hpp>

#include "buffers.hpp"
#include "case_name.hpp"
#include "dump.hpp"
#include "extra_memory.hpp"
#include "fma_peak.hpp"
#include "mask_work.hpp"
#include "masks.hpp"
#include "options.hpp"
#include "shape.hpp"
#include "sinks.hpp"

namespace bench {

namespace detail {

// The size of what a call reads and writes.
template <class T>
std::size_t bytes(direction direction, const buffers<T>& data) {
    const std::size_t queries = data.query.size() * sizeof(T);
    const std::size_t keys = data.key.size() * sizeof(T);
    const std::size_t log_sum_exp = data.log_sum_exp.size() * sizeof(float);
    return direction == direction::forward    ? 2 * queries + 2 * keys + log_sum_exp
           : direction == direction::backward ? 4 * queries + 4 * keys + log_sum_exp
                                              : queries + keys + log_sum_exp + data.received.size() * sizeof(float);
}

template <direction Direction, class T, class Sink, class Mask>
void run(benchmark::State& state, const options& options, const shape& shape, const Mask& mask) {
    const unmask::cpu_executor executor{shape.threads};
    buffers<T> data(shape, Direction == direction::backward);
    sink_buffers<Sink> sinks(shape);
    const Sink sink = sinks.sink();
    const unmask::attention_tensors<T> tensors = data.tensors();
    unmask::attention_gradients<T> gradients = data.gradients();
    sinks.add_to(gradients);

    const auto call = [&] {
        if constexpr (Direction == direction::forward) {
            unmask::attention_forward(executor, tensors, mask, sink);
        } else if constexpr (Direction == direction::backward) {
            unmask::attention_backward(executor, tensors, gradients, mask, sink);
        } else {
            unmask::attention_received(executor, tensors, data.received_view(), mask, sink);
        }
    };
    if constexpr (Direction != direction::forward) {
        unmask::attention_forward(executor, tensors, mask, sink);
    }
    const std::optional<double> extra_mib = extra_memory(call); // warms up as well
    if (!options.dump.empty()) {
        dump(options.dump, data, mask);
    }

    const double peak = fma_peak(shape.threads);
    for (auto _ : state) {
        call();
        benchmark::ClobberMemory();
    }

    using benchmark::Counter;
    const mask_work work = work_of(mask, shape.queries, shape.length);
    const auto visible = static_cast<double>(work.visible_scores);
    const double flops = useful_flops(Direction, shape.head_dim) * visible * static_cast<double>(shape.heads);
    state.counters["useful_flops"] = Counter(flops, Counter::kIsIterationInvariantRate);
    state.counters["peak_fraction"] = Counter(flops / peak, Counter::kIsIterationInvariantRate);
    state.counters["peak_flops"] = peak;
    state.counters["visible_share"] =
        visible / (static_cast<double>(shape.queries) * static_cast<double>(shape.length));
    state.counters["visited_tiles"] = static_cast<double>(work.visited_tiles);
    state.counters["bytes"] = static_cast<double>(bytes(Direction, data));
    if (extra_mib) {
        state.counters["extra_mib"] = *extra_mib;
    }
}

} // namespace detail

/// Registers one case.
template <direction Direction, class T = float, class Sink = unmask::no_sink, class Mask>
void add(const options& options, const shape& shape, const named_mask<Mask>& mask) {
    benchmark::RegisterBenchmark(
        case_name<T, Sink>(Direction, mask.name, shape).c_str(),
        [=](benchmark::State& state) { detail::run<Direction, T, Sink>(state, options, shape, mask.mask); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace bench
