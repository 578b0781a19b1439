// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/parallel/communication_error.hpp>
#include <unmask/parallel/communicator.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One message between threads: a place where both ends meet, whichever comes first.
struct thread_message {
    std::span<const std::byte> bytes{}; // the sender's memory, or `kept` if the sender needs that again
    std::vector<std::byte> kept{};
    bool sent = false;
    bool received = false;
};

// What the ranks of one run share.
class thread_group {
public:
    explicit thread_group(int size)
        : ended_(static_cast<std::size_t>(size)), channels_(static_cast<std::size_t>(size) * ended_.size()) {}

    [[nodiscard]] int size() const { return static_cast<int>(ended_.size()); }

    std::shared_ptr<thread_message> send(int from, int to, std::span<const std::byte> bytes) {
        const std::lock_guard lock(mutex_);
        channel& way = of(from, to);
        auto message = way.end(way.sent++);
        message->bytes = bytes;
        message->sent = true;
        changed_.notify_all();
        return message;
    }
    std::shared_ptr<thread_message> expect(int from, int to) {
        const std::lock_guard lock(mutex_);
        channel& way = of(from, to);
        return way.end(way.received++);
    }

    // Copies a message when it is there.
    void receive(thread_message& message, int from, int to, std::span<std::byte> bytes) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock,
                      [&] { return message.sent || failed_rank_ >= 0 || ended_[static_cast<std::size_t>(from)]; });
        throw_failure();
        if (!message.sent) {
            throw communication_error(from, "ended, while rank " + std::to_string(to) + " waits for it");
        }
        if (message.bytes.size() != bytes.size()) {
            throw communication_error(from, "sent " + std::to_string(message.bytes.size()) + " bytes, rank " +
                                                std::to_string(to) + " expected " + std::to_string(bytes.size()));
        }
        std::copy(message.bytes.begin(), message.bytes.end(), bytes.begin());
        message.received = true;
    }
    // Makes the sender's memory free: a message that nobody has received yet is copied.
    void release(thread_message& message) {
        const std::lock_guard lock(mutex_);
        throw_failure();
        if (!message.received) {
            message.kept.assign(message.bytes.begin(), message.bytes.end());
            message.bytes = message.kept;
        }
    }
    void withdraw(thread_message& message) noexcept {
        const std::lock_guard lock(mutex_);
        message.sent = false;
    }

    void end(int rank) {
        const std::lock_guard lock(mutex_);
        ended_[static_cast<std::size_t>(rank)] = true;
        changed_.notify_all();
    }
    // The first failure is that of all.
    void fail(int rank, const std::string& what) {
        const std::lock_guard lock(mutex_);
        if (failed_rank_ < 0) {
            failed_rank_ = rank;
            failure_ = what;
        }
        changed_.notify_all();
    }
    void throw_failure() const {
        if (failed_rank_ >= 0) {
            throw communication_error(failed_rank_, failure_);
        }
    }

private:
    // The messages from one rank to another, by number, of which one end is known.
    struct channel {
        std::map<index_t, std::shared_ptr<thread_message>> open{};
        index_t sent = 0;
        index_t received = 0;

        std::shared_ptr<thread_message> end(index_t number) {
            const auto [at, first] = open.try_emplace(number);
            if (first) {
                at->second = std::make_shared<thread_message>();
                return at->second;
            }
            auto message = std::move(at->second);
            open.erase(at);
            return message;
        }
    };
    channel& of(int from, int to) {
        return channels_[static_cast<std::size_t>(from) * ended_.size() + static_cast<std::size_t>(to)];
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<bool> ended_;
    std::vector<channel> channels_;
    int failed_rank_ = -1;
    std::string failure_;
};

} // namespace detail

/// A communicator whose ranks are threads of one process: for tests, and to try on one machine what is to run on many.
/// Messages are copied under one lock. run_ranks makes it.
class thread_communicator {
public:
    /// Rank `rank` of a group, which outlives it.
    thread_communicator(detail::thread_group& group, int rank) : group_(&group), rank_(rank) {}

    /// In [0, size()).
    [[nodiscard]] int rank() const { return rank_; }
    /// How many threads there are.
    [[nodiscard]] int size() const { return group_->size(); }

    /// Messages under way.
    class request {
    public:
        /// Moved, the messages are those of the new request.
        request(request&&) noexcept = default;
        request& operator=(request&&) = delete;
        ~request() {
            if (sent_) {
                group_->withdraw(*sent_);
            }
        }

        /// Blocks until the other rank has sent what is received here.
        void wait() {
            if (const auto message = std::move(received_)) {
                group_->receive(*message, from_, to_, into_);
            }
            if (const auto message = sent_) {
                group_->release(*message);
                sent_.reset();
            }
        }

    private:
        friend class thread_communicator;
        explicit request(detail::thread_group* group) : group_(group) {}

        detail::thread_group* group_;
        std::shared_ptr<detail::thread_message> sent_{};
        std::shared_ptr<detail::thread_message> received_{};
        int from_ = 0;
        int to_ = 0;
        std::span<std::byte> into_{};
    };

    /// As the concept says. Throws invalid_argument for a rank that does not exist.
    [[nodiscard]] request exchange(int to, std::span<const std::byte> sent, int from,
                                   std::span<std::byte> received) const {
        request result(group_);
        if (!sent.empty()) {
            check("to", to);
            result.sent_ = group_->send(rank_, to, sent);
        }
        if (!received.empty()) {
            check("from", from);
            result.received_ = group_->expect(from, rank_);
            result.from_ = from;
            result.to_ = rank_;
            result.into_ = received;
        }
        return result;
    }

private:
    void check(const char* name, int rank) const {
        if (rank < 0 || rank >= size()) {
            throw invalid_argument("exchange", name, std::to_string(rank), "0 to " + std::to_string(size() - 1));
        }
    }

    detail::thread_group* group_;
    int rank_;
};
static_assert(communicator<thread_communicator>);

/// Calls f(thread_communicator) on `size` threads at once, one a rank, and returns when all have ended. If one throws,
/// the others' calls throw as soon as they need any rank, and run_ranks then throws one communication_error, which
/// names the first to throw: "rank 2 threw: out of memory". A rank that waits for one that has ended throws as well.
template <class F>
void run_ranks(int size, const F& f) {
    if (size < 1) {
        throw invalid_argument("run_ranks", "size", std::to_string(size), "at least 1");
    }
    detail::thread_group group(size);
    const auto run = [&](int rank) {
        try {
            f(thread_communicator(group, rank));
            group.end(rank);
        } catch (const std::exception& error) {
            group.fail(rank, std::string("threw: ") + error.what());
        } catch (...) {
            group.fail(rank, "threw what is no std::exception");
        }
    };
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
        try {
            threads.emplace_back(run, rank);
        } catch (const std::exception& error) {
            group.fail(rank, std::string("did not start: ") + error.what());
            break;
        }
    }
    for (std::thread& each : threads) {
        each.join();
    }
    group.throw_failure();
}

UNMASK_NAMESPACE_END
