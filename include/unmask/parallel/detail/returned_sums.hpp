// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>

// What a rank has summed for keys of another goes back to it: gradients, and what keys receive.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Floats for the parts of a shard, `each` for a position of a part, one part after another; they begin as zeros.
class key_sums {
public:
    key_sums() = default;
    key_sums(const std::vector<placed_range>& parts, index_t each) {
        std::size_t size = 0;
        for (const placed_range& part : parts) {
            begins_.push_back(size);
            size += static_cast<std::size_t>(part.size() * each);
        }
        sums.resize(size);
    }

    [[nodiscard]] float* of(std::size_t part) { return sums.data() + begins_[part]; }

    std::vector<float> sums{};

private:
    std::vector<std::size_t> begins_{};
};

// Gives sums to the ranks that own the keys, and takes those of this rank's keys: those of step s come from the rank s
// after this one, while step s + 1 is computed. They are added in the order of steps.
template <class Call, class Ranks>
class returned_sums {
public:
    // `each`: floats a position. add(part, sums) adds those of one part of this rank's keys.
    returned_sums(const Call& shards, const Ranks& ranks, index_t each,
                  std::function<void(const placed_range&, const float*)> add)
        : shards_(shards), ranks_(ranks), each_(each), add_(std::move(add)) {}

    // Those of the shard of a step: 1, 2, …
    void give(int step, key_sums&& sums) {
        finish();
        const int from = rank_at(ranks_, step);
        parts_ = shards_.needed(from, shards_.rank());
        sent_ = std::move(sums);
        got_ = key_sums(parts_, each_);
        request_.emplace(exchange<Ranks, float>(ranks_, rank_at(ranks_, -step), sent_.sums, from, got_.sums));
    }

    // Waits for the last ones.
    void finish() {
        if (request_) {
            request_->wait();
            request_.reset();
            add(parts_, got_);
        }
    }

private:
    using request = decltype(exchange<Ranks, float>(std::declval<const Ranks&>(), 0, {}, 0, {}));

    void add(const std::vector<placed_range>& parts, key_sums& sums) const {
        for (std::size_t part = 0; part < parts.size(); ++part) {
            add_(parts[part], sums.of(part));
        }
    }

    const Call& shards_;
    const Ranks& ranks_;
    index_t each_;
    std::function<void(const placed_range&, const float*)> add_;
    std::vector<placed_range> parts_{};
    key_sums sent_{};
    key_sums got_{};
    std::optional<request> request_{}; // behind the memory that it reads and writes: it goes first
};

} // namespace detail
UNMASK_NAMESPACE_END
