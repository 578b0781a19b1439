// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <stdexcept>

#include <unmask/attention/tensors.hpp>
#include <unmask/parallel/nccl.cuh>
#include <unmask/parallel/sharding.hpp>
#include <unmask/parallel/thread_communicator.hpp>
#include <unmask/tensor/device_memory.cuh>

namespace test {

using namespace unmask;

// An nccl_communicator that counts the bytes that all ranks send, and fails when it is told to.
class watched_gpus {
public:
    struct watch {
        std::atomic<std::size_t> bytes = 0;
        int failing_rank = -1;
        int failing_exchange = 0;             // by number
        std::atomic<int> exchanges = 0;       // of the failing rank
        std::atomic<index_t> memory_used = 0; // bytes, from the executors' resources, added up
        std::atomic<index_t> memory_held = 0;
    };

    watched_gpus(const thread_communicator& hosts, watch& what) : c_(hosts), watch_(&what) {}

    [[nodiscard]] int rank() const { return c_.rank(); }
    [[nodiscard]] int size() const { return c_.size(); }
    [[nodiscard]] auto exchange(cuda_stream stream, int to, std::span<const std::byte> sent, int from,
                                std::span<std::byte> received) const {
        if (rank() == watch_->failing_rank && watch_->exchanges++ == watch_->failing_exchange) {
            throw std::runtime_error("unplugged");
        }
        watch_->bytes += sent.size();
        return c_.exchange(stream, to, sent, from, received);
    }
    void synchronize(cuda_stream stream) const { c_.synchronize(stream); }

private:
    nccl_communicator c_;
    watch* watch_;
};

// A rank as calls see it.
struct device_rank {
    const thread_communicator& hosts;
    const watched_gpus& gpus;
    cuda_stream stream;
    const sharding& queries;
    const sharding& keys;
    device_memory_resource* memory = nullptr;
};

// The library's calls on cuda_context_parallel. They are instantiated in kernels_*.cpp, with device_rank_calls.inl.
template <class T, class Mask, class Sink>
struct device_rank_calls {
    static void forward(const device_rank& on, const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink,
                        const attention_options& options);
    static void backward(const device_rank& on, const attention_tensors<T>& tensors,
                         const attention_gradients<T>& gradients, const Mask& mask, const Sink& sink,
                         const attention_options& options);
    static void received(const device_rank& on, const attention_tensors<T>& tensors,
                         const tensor_view<float, 3>& received, const Mask& mask, const Sink& sink,
                         const attention_options& options);
};

} // namespace test
