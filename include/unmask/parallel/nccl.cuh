// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include <nccl.h>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/parallel/communication_error.hpp>
#include <unmask/parallel/communicator.hpp>
#include <unmask/parallel/device_communicator.cuh>
#include <unmask/tensor/device_memory.cuh>

// GPUs that NCCL connects. The only header that needs it: link -lnccl.

UNMASK_NAMESPACE_BEGIN

/// A device_communicator over NCCL (2.14 or later), a GPU for each rank. Spans are of device memory.
///
/// Messages move on a stream of its own, of the highest priority, beside what the GPU computes. Failures that NCCL
/// reports, also those that it comes to know of between calls, are thrown as communication_error, which names this rank
/// and NCCL's message: NCCL does not tell which rank has failed. A stream waits for ever for a rank that is gone:
/// synchronize() does not. While an exception ends a rank, the destructor ends its messages, so that NCCL can tell the
/// others; it must come before memory is freed that waits for the device, as cudaFree does.
class nccl_communicator {
public:
    /// Connects the current devices of the ranks of a communicator, one for each. Collective: all of its ranks make
    /// one. Blocks until they are connected.
    template <class C>
        requires(!std::same_as<C, nccl_communicator> && communicator<C>)
    explicit nccl_communicator(const C& ranks) : link_(std::make_shared<link>(ranks.rank(), ranks.size())) {
        ncclUniqueId id{};
        if (ranks.rank() == 0) {
            link_->check("ncclGetUniqueId", ncclGetUniqueId(&id));
        }
        broadcast(ranks, std::span(&id, 1), 0);
        link_->check("ncclCommInitRank", ncclCommInitRank(&link_->comm, ranks.size(), id, ranks.rank()));
        link_->is_owned = true;
    }

    /// The ranks of an NCCL communicator of the caller's, which must outlive this one and its copies. Other messages on
    /// it must not be under way at the same time.
    explicit nccl_communicator(ncclComm_t comm) : link_(std::make_shared<link>(0, 1)) {
        link_->comm = comm;
        link_->check("ncclCommUserRank", ncclCommUserRank(comm, &link_->rank));
        link_->check("ncclCommCount", ncclCommCount(comm, &link_->size));
    }

    /// In [0, size()).
    [[nodiscard]] int rank() const { return link_->rank; }
    /// How many GPUs there are.
    [[nodiscard]] int size() const { return link_->size; }

    /// Messages under way.
    class request {
    public:
        /// Moved, the messages are those of the new request.
        request(request&& other) noexcept : stream_(other.stream_), end_(std::move(other.end_)) { other.end_.reset(); }
        request& operator=(request&&) = delete;
        ~request() {
            if (end_) {
                end_->try_hold(stream_);
            }
        }

        /// Makes the stream wait for them. The host does not.
        void wait() {
            if (const auto end = std::exchange(end_, std::nullopt)) {
                end->hold(stream_);
            }
        }

    private:
        friend class nccl_communicator;
        explicit request(cuda_stream stream) : stream_(stream) {}

        cuda_stream stream_;
        std::optional<detail::stream_event> end_{}; // none: nothing is under way
    };

    /// As device_communicator says.
    [[nodiscard]] request exchange(cuda_stream stream, int to, std::span<const std::byte> sent, int from,
                                   std::span<std::byte> received) const {
        request result(stream);
        if (sent.empty() && received.empty()) {
            return result;
        }
        link_->check_connection();
        detail::stream_event(stream).hold(link_->transfers);
        link_->check("ncclGroupStart", ncclGroupStart());
        ncclResult_t sending = ncclSuccess;
        ncclResult_t receiving = ncclSuccess;
        if (!sent.empty()) {
            sending = ncclSend(sent.data(), sent.size(), ncclUint8, to, link_->comm, link_->transfers);
        }
        if (!received.empty()) {
            receiving = ncclRecv(received.data(), received.size(), ncclUint8, from, link_->comm, link_->transfers);
        }
        const ncclResult_t both = ncclGroupEnd(); // whatever they returned
        link_->check("ncclSend", sending);
        link_->check("ncclRecv", receiving);
        link_->check("ncclGroupEnd", both);
        result.end_.emplace(link_->transfers);
        return result;
    }

    /// Waits until a stream has done what was enqueued so far. Throws communication_error if NCCL comes to know
    /// meanwhile that a rank has failed, for which cudaStreamSynchronize would wait for ever.
    void synchronize(cuda_stream stream) const {
        while (!detail::is_done(stream)) {
            link_->check_connection();
            std::this_thread::sleep_for(std::chrono::microseconds(20));
        }
        link_->check_connection();
    }

private:
    // What copies share.
    struct link {
        link(int own_rank, int ranks) : rank(own_rank), size(ranks), transfers(detail::make_urgent_stream()) {}
        link(const link&) = delete;
        link& operator=(const link&) = delete;
        ~link() {
            if (is_owned) {
                // Where something has gone wrong, messages may be under way that nobody takes.
                const bool failed = std::uncaught_exceptions() > exceptions || state() != ncclSuccess;
                (void)(failed ? ncclCommAbort(comm) : ncclCommDestroy(comm));
            }
            detail::destroy_stream(transfers);
        }

        // What NCCL knows of the connection. A communicator that does not block may still be busy.
        [[nodiscard]] ncclResult_t state() const noexcept {
            ncclResult_t result = ncclInProgress;
            while (result == ncclInProgress) {
                const ncclResult_t asked = ncclCommGetAsyncError(comm, &result);
                result = asked != ncclSuccess ? asked : result;
            }
            return result;
        }
        void check_connection() const { check("its connection", state()); }
        void check(const char* call, ncclResult_t code) const {
            if (code == ncclInProgress) {
                code = state();
            }
            if (code != ncclSuccess) {
                const std::string more = ncclGetLastError(comm);
                throw communication_error(rank, std::string("got from ") + call + ": " + ncclGetErrorString(code) +
                                                    (more.empty() ? "" : " (" + more + ")"));
            }
        }

        int rank;
        int size;
        ncclComm_t comm = nullptr;
        bool is_owned = false;
        int exceptions = std::uncaught_exceptions();
        cuda_stream transfers;
    };

    std::shared_ptr<link> link_;
};
static_assert(device_communicator<nccl_communicator>);

UNMASK_NAMESPACE_END
