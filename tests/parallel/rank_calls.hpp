// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <utility>

#include <unmask/parallel/sharding.hpp>
#include <unmask/parallel/thread_communicator.hpp>

#include "../attention/problem.hpp"

namespace test {

using namespace unmask;

// A thread_communicator that counts the bytes that all ranks send, and fails when it is told to.
class watched_communicator {
public:
    struct watch {
        std::atomic<index_t> bytes = 0;
        int failing_rank = -1;
        int failing_exchange = 0;       // by number
        std::atomic<int> exchanges = 0; // of the failing rank
    };

    watched_communicator(thread_communicator c, watch& what) : c_(c), watch_(&what) {}

    [[nodiscard]] int rank() const { return c_.rank(); }
    [[nodiscard]] int size() const { return c_.size(); }
    [[nodiscard]] auto exchange(int to, std::span<const std::byte> sent, int from,
                                std::span<std::byte> received) const {
        if (rank() == watch_->failing_rank && watch_->exchanges++ == watch_->failing_exchange) {
            throw std::runtime_error("unplugged");
        }
        watch_->bytes += std::ssize(sent);
        return c_.exchange(to, sent, from, received);
    }

private:
    thread_communicator c_;
    watch* watch_;
};

// The calls of attention over ranks: see cpu_calls. kernels_*.cpp instantiate them.
template <class T, class Sink>
struct rank_calls {
    static void forward(const watched_communicator& c, const sharding& queries, const sharding& keys,
                        const attention_tensors<T>& tensors, const any_mask& mask, const Sink& sink,
                        const attention_options& options);
    static void backward(const watched_communicator& c, const sharding& queries, const sharding& keys,
                         const attention_tensors<T>& tensors, const attention_gradients<T>& gradients,
                         const any_mask& mask, const Sink& sink, const attention_options& options);
    static void received(const watched_communicator& c, const sharding& queries, const sharding& keys,
                         const attention_tensors<T>& tensors, const tensor_view<float, 3>& received,
                         const any_mask& mask, const Sink& sink, const attention_options& options);
};

} // namespace test
