// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/device/shards.cuh>
#include <unmask/parallel/detail/sharded_call.hpp>

// What a rank has summed for keys of another goes back to it, from GPU to GPU: see ../returned_sums.hpp.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Floats for the parts of a shard, `each` for a position of a part, one part after another; they begin as zeros.
class device_part_sums {
public:
    device_part_sums() = default;
    device_part_sums(const cuda::work_stream& work, const std::vector<placed_range>& parts, index_t each) {
        std::size_t size = 0;
        for (const placed_range& part : parts) {
            begins_.push_back(size);
            size += static_cast<std::size_t>(part.size() * each);
        }
        sums = device_elements<float>(work, size);
        if (size > 0) {
            clear_device(sums.data(), sums.bytes().size(), work.stream);
        }
    }

    [[nodiscard]] float* of(std::size_t part) const { return sums.data() + begins_[part]; }

    device_elements<float> sums{};

private:
    std::vector<std::size_t> begins_{};
};

// Gives sums to the ranks that own the keys, and takes those of this rank's keys: those of step s come from the rank s
// after this one, while step s + 1 is computed. They are added in the order of steps, this rank's own first.
template <class Shards>
class device_returned_sums {
public:
    // `each`: floats a position. add(part, sums) adds those of one part of this rank's keys.
    device_returned_sums(const Shards& shards, index_t each, std::function<void(const placed_range&, const float*)> add)
        : shards_(shards), each_(each), add_(std::move(add)) {}

    // Those of the shard of a step.
    void give(int step, const std::vector<placed_range>& parts, device_part_sums&& sums) {
        if (step == 0) {
            add(parts, sums);
            return;
        }
        finish();
        const int from = (shards_.plan().rank() + step) % shards_.plan().size();
        parts_ = shards_.plan().needed(from, shards_.plan().rank());
        sent_ = std::move(sums);
        got_ = device_part_sums(shards_.work(), parts_, each_);
        messages_.emplace(shards_.exchange(-step, sent_.sums.bytes(), step, got_.sums.bytes()));
    }

    // Waits for the last ones.
    void finish() {
        if (messages_) {
            messages_->wait();
            messages_.reset();
            add(parts_, got_);
        }
    }

private:
    void add(const std::vector<placed_range>& parts, const device_part_sums& sums) const {
        for (std::size_t part = 0; part < parts.size(); ++part) {
            add_(parts[part], sums.of(part));
        }
    }

    const Shards& shards_;
    index_t each_;
    std::function<void(const placed_range&, const float*)> add_;
    std::vector<placed_range> parts_{};
    device_part_sums sent_{};
    device_part_sums got_{};
    std::optional<typename Shards::request> messages_{}; // ends before the memory that it reads and writes
};

} // namespace detail
UNMASK_NAMESPACE_END
