// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <vector>

#include <cuda_runtime_api.h>

#include <unmask/parallel/sharding.hpp>
#include <unmask/parallel/thread_communicator.hpp>

#include "../../parallel/sharded_problem.hpp"
#include "../attention/device_problem.hpp"
#include "device_rank_calls.hpp"

// Attention problems whose positions are spread over GPUs, each with a thread. Without a GPU, the machine's one device
// and its stand-in for NCCL do for any number of ranks.

namespace test {

// A stream of a rank.
struct rank_stream {
    cudaStream_t handle = nullptr;

    rank_stream() {
        if (cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking) != cudaSuccess) {
            throw std::runtime_error("no stream");
        }
    }
    rank_stream(const rank_stream&) = delete;
    rank_stream& operator=(const rank_stream&) = delete;
    ~rank_stream() { cudaStreamDestroy(handle); }
};

// The memory of a rank's executor.
class watched_memory : public device_memory_resource {
public:
    explicit watched_memory(watched_gpus::watch& what) : watch_(what) {}

    void* allocate(std::size_t bytes, cuda_stream stream) override {
        void* memory = nullptr;
        if (cudaMallocAsync(&memory, bytes, stream) != cudaSuccess) {
            throw std::runtime_error("no memory");
        }
        watch_.memory_used += static_cast<index_t>(bytes);
        watch_.memory_held += static_cast<index_t>(bytes);
        return memory;
    }
    void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept override {
        cudaFreeAsync(memory, stream);
        watch_.memory_held -= static_cast<index_t>(bytes);
    }

private:
    watched_gpus::watch& watch_;
};

// Whether there is a device for each rank.
inline bool has_gpus(int ranks) {
#if defined(UNMASK_TEST_RANKS_SHARE_A_GPU)
    return ranks > 0;
#else
    int gpus = 0;
    return cudaGetDeviceCount(&gpus) == cudaSuccess && gpus >= ranks;
#endif
}
inline void choose_gpu(int rank) {
    int gpus = 1;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || cudaSetDevice(rank % gpus) != cudaSuccess) {
        throw std::runtime_error("no GPU");
    }
}

// Forward, backward and received over ranks: the whole problem with the results of all. Throws as run_ranks does.
template <class Sink, class T, class Mask>
problem<T> run_on_gpus(const problem<T>& input, const Mask& mask, const sharding& queries, const sharding& keys,
                       const attention_options& options, watched_gpus::watch& watch) {
    problem<T> result = input.fresh();
    std::mutex one_at_a_time;
    run_ranks(queries.ranks(), [&](const thread_communicator& hosts) {
        choose_gpu(hosts.rank());
        const auto my_queries = queries.of(hosts.rank());
        const auto my_keys = keys.of(hosts.rank());
        problem<T> part = part_of(input, my_queries, my_keys);
        const std::vector<index_t> query_lengths = lengths_of_rank(options.query_lengths, my_queries);
        const std::vector<index_t> key_lengths = lengths_of_rank(options.key_lengths, my_keys);
        attention_options mine = options;
        mine.query_lengths = query_lengths;
        mine.key_lengths = key_lengths;
        const device_problem<T> device(part);
        const Sink sink = device.template sink<Sink>();
        const rank_stream stream;
        watched_memory memory(watch);
        const watched_gpus gpus(hosts, watch); // goes before the memory: freeing that waits for the device
        const device_rank on{hosts, gpus, stream.handle, queries, keys, &memory};
        using calls = device_rank_calls<T, Mask, Sink>;
        calls::forward(on, device.tensors(), mask, sink, mine);
        calls::backward(on, device.tensors(), device.gradients(sink), mask, sink, mine);
        calls::received(on, device.tensors(), device.received_view(), mask, sink, mine);
        gpus.synchronize(stream.handle);
        device.fetch();

        const std::lock_guard lock(one_at_a_time);
        put_results(part, result, my_queries, my_keys);
    });
    return result;
}

} // namespace test
