// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sink/no_sink.hpp>
#include <unmask/tensor/float_types.hpp>

#include "../support/case_name.hpp"
#include "../support/dump.hpp"
#include "../support/mask_work.hpp"
#include "../support/masks.hpp"
#include "../support/options.hpp"
#include "../support/shape.hpp"
#include "device_inputs.cuh"
#include "peaks.hpp"
#include "timer.cuh"

namespace bench {

/// 16 heads and, over the whole batch, 16384 positions: what most cases measure.
inline shape usual_shape(index_t length, index_t head_dim) {
    return {.length = length, .head_dim = head_dim, .heads = 16, .batch = 16384 / length};
}

namespace detail {

using kernels = unmask::cuda_executor_for<64, 128>; // every other head dimension would take its time to compile

// Counts what a call takes.
class counting_memory final : public unmask::device_memory_resource {
public:
    void* allocate(std::size_t bytes, unmask::cuda_stream stream) override {
        void* memory = unmask::detail::allocate_async(bytes, stream);
        used_ += bytes;
        most_ = std::max(most_, used_);
        return memory;
    }
    void deallocate(void* memory, std::size_t bytes, unmask::cuda_stream stream) noexcept override {
        unmask::detail::free_async(memory, stream);
        used_ -= bytes;
    }
    [[nodiscard]] std::size_t most() const { return most_; }

private:
    std::size_t used_ = 0;
    std::size_t most_ = 0;
};

// The lengths of a ragged batch, which no tile divides; none for others.
inline std::vector<index_t> lengths_of(const shape& shape) {
    std::vector<index_t> lengths;
    for (index_t i = 0; shape.ragged && i < shape.batch; ++i) {
        lengths.push_back(shape.length - i * (shape.length / shape.batch - 7));
    }
    return lengths;
}

template <class Mask>
mask_work work_of_batch(const Mask& mask, const shape& shape, const std::vector<index_t>& lengths) {
    if (lengths.empty()) {
        const mask_work one = work_of(mask, shape.queries, shape.length);
        return {shape.batch * one.visible_scores, shape.batch * one.visited_tiles};
    }
    mask_work work;
    for (const index_t length : lengths) {
        const mask_work one = work_of(mask, length, length);
        work.visible_scores += one.visible_scores;
        work.visited_tiles += one.visited_tiles;
    }
    return work;
}

// The size of what a call reads and writes.
template <class T>
std::size_t bytes(direction direction, const device_buffers<T>& data) {
    const std::size_t common = data.query.bytes() + data.key.bytes() + data.log_sum_exp.bytes();
    const std::size_t values = data.value.bytes() + data.output.bytes();
    return direction == direction::received   ? common + data.received.bytes()
           : direction == direction::backward ? 2 * (common + values) - data.log_sum_exp.bytes()
                                              : common + values;
}

template <class T, class Mask>
void dump(const std::filesystem::path& folder, const device_buffers<T>& data, const Mask& mask) {
    const auto write_tensor = [&](const char* name, const device_array<T>& values) {
        write(folder / (std::string(name) + "." + type_name<T>()), values.to_host());
    };
    write_tensor("query", data.query);
    write_tensor("key", data.key);
    write_tensor("value", data.value);
    write_tensor("output", data.output);
    if (data.d_output.size() > 0) {
        write_tensor("d_output", data.d_output);
        write_tensor("d_query", data.d_query);
        write_tensor("d_key", data.d_key);
        write_tensor("d_value", data.d_value);
    }
    write_visible(folder, mask, data.sizes.queries, data.sizes.length);
}

template <direction Direction, class T, class Sink, class Executor, class Mask>
void run(benchmark::State& state, const options& options, const shape& shape, const Mask& mask) {
    counting_memory memory;
    Executor executor;
    executor.memory = &memory;
    const device_mask<Mask> there(mask);
    const device_sink<Sink> sink(shape);
    const std::vector<index_t> lengths = lengths_of(shape);
    const unmask::attention_options asked{.query_lengths = lengths, .key_lengths = lengths};
    std::vector<device_buffers<T>> copies; // that take turns: none is in a cache when its turn comes
    for (std::uint32_t seed = 0; seed < 3; ++seed) {
        copies.emplace_back(shape, seed, Direction == direction::backward);
    }

    const auto call = [&](const device_buffers<T>& data) {
        if constexpr (Direction == direction::forward) {
            unmask::attention_forward(executor, data.tensors(), there.mask, sink.sink, asked);
        } else if constexpr (Direction == direction::backward) {
            unmask::attention_backward(executor, data.tensors(), data.gradients(), there.mask, sink.sink, asked);
        } else {
            unmask::attention_received(executor, data.tensors(), data.received_view(), there.mask, sink.sink, asked);
        }
    };
    for (const device_buffers<T>& data : copies) {
        if constexpr (Direction != direction::forward) { // the others need its results
            unmask::attention_forward(kernels(), data.tensors(), there.mask, sink.sink, asked);
        }
        call(data); // warms up
    }
    expect_success(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    if (!options.dump.empty()) {
        dump(options.dump, copies.front(), mask);
    }

    const peaks peak = measure_peaks();
    const gpu_timer timer;
    const cache_flush flush;
    std::size_t turn = 0;
    for (auto _ : state) {
        flush();
        state.SetIterationTime(timer.seconds([&] { call(copies[turn]); }));
        turn = (turn + 1) % copies.size();
    }

    using benchmark::Counter;
    const auto rate = [](double value) { return Counter(value, Counter::kIsIterationInvariantRate); };
    const mask_work work = work_of_batch(mask, shape, lengths);
    const auto visible = static_cast<double>(work.visible_scores);
    const auto scores = static_cast<double>(shape.batch * shape.queries * shape.length);
    const double flops = useful_flops(Direction, shape.head_dim) * visible * static_cast<double>(shape.heads);
    const auto moved = static_cast<double>(bytes(Direction, copies.front()));
    state.counters["useful_flops"] = rate(flops);
    if constexpr (!std::same_as<T, float>) {
        state.counters["peak_fraction"] = rate(flops / peak.flops);
        state.counters["peak_flops"] = peak.flops;
    }
    state.counters["bandwidth"] = rate(moved);
    state.counters["bandwidth_fraction"] = rate(moved / peak.bytes);
    state.counters["peak_bandwidth"] = peak.bytes;
    state.counters["visible_share"] = visible / scores;
    state.counters["visited_tiles"] = static_cast<double>(work.visited_tiles);
    state.counters["bytes"] = moved;
    state.counters["extra_mib"] = static_cast<double>(memory.most()) / (1024.0 * 1024.0);
}

} // namespace detail

/// Registers one case. The name of one on an executor that is not deterministic ends with /any_order.
template <direction Direction, class T = unmask::bfloat16, class Sink = unmask::no_sink,
          class Executor = detail::kernels, class Mask>
void add(const options& options, const shape& shape, const named_mask<Mask>& mask) {
    const char* const order = Executor::deterministic ? "" : "/any_order";
    benchmark::RegisterBenchmark(
        (case_name<T, Sink>(Direction, mask.name, shape) + order).c_str(),
        [=](benchmark::State& state) { detail::run<Direction, T, Sink, Executor>(state, options, shape, mask.mask); })
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
}

} // namespace bench
