// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <numeric>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/parallel/nccl.cuh>

#include "../attention/device_memory.hpp"
#include "device_ranks.hpp"

// Messages between GPUs.

using namespace test;

namespace {

std::span<std::byte> bytes_of(const device_array<int>& array, std::size_t first, std::size_t count) {
    return std::as_writable_bytes(std::span(array.data() + first, count));
}

std::string complaint(int ranks, const auto& f) {
    try {
        run_ranks(ranks, f);
    } catch (const communication_error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("messages go round a ring, each behind what its stream has done before") {
    for (int ranks = 1; ranks <= 3; ++ranks) {
        if (!has_gpus(ranks)) {
            MESSAGE("skipped: ", ranks, " ranks need as many GPUs");
            continue;
        }
        run_ranks(ranks, [&](const thread_communicator& hosts) {
            choose_gpu(hosts.rank());
            constexpr std::size_t size = 1000;
            std::vector<int> mine(size);
            std::iota(mine.begin(), mine.end(), hosts.rank() * 10000);
            const device_array<int> sent(size);
            const device_array<int> got(size);
            const rank_stream stream;
            const nccl_communicator gpus(hosts);
            if (gpus.rank() != hosts.rank() || gpus.size() != hosts.size()) {
                throw std::logic_error("another rank");
            }
            // The host is far ahead of all of this.
            cudaMemcpyAsync(sent.data(), mine.data(), size * sizeof(int), cudaMemcpyHostToDevice, stream.handle);
            for (int i = 0; i < ranks; ++i) {
                auto messages = gpus.exchange(stream.handle, (gpus.rank() + 1) % ranks, bytes_of(sent, 0, size),
                                              (gpus.rank() + ranks - 1) % ranks, bytes_of(got, 0, size));
                auto moved = std::move(messages);
                moved.wait();
                cudaMemcpyAsync(sent.data(), got.data(), size * sizeof(int), cudaMemcpyDeviceToDevice, stream.handle);
            }
            gpus.synchronize(stream.handle);
            if (got.to_host() != mine) {
                throw std::logic_error("something else has come back");
            }
        });
    }
}

TEST_CASE("several messages to one rank arrive in order, empty ones are none, and a request may be given up") {
    if (!has_gpus(2)) {
        MESSAGE("skipped: 2 ranks need as many GPUs");
        return;
    }
    run_ranks(2, [&](const thread_communicator& hosts) {
        choose_gpu(hosts.rank());
        const device_array<int> sent(std::vector<int>{1, 2, 3, 4, 5, 6});
        const device_array<int> got(std::vector<int>(6));
        const rank_stream stream;
        const nccl_communicator gpus(hosts);
        const auto send = [&](std::size_t first, std::size_t count) {
            const bool first_rank = gpus.rank() == 0;
            return gpus.exchange(stream.handle, 1, first_rank ? bytes_of(sent, first, count) : std::span<std::byte>{},
                                 0, first_rank ? std::span<std::byte>{} : bytes_of(got, first, count));
        };
        {
            auto third = send(0, 1);
            auto second = send(1, 4);
            auto none = send(0, 0);
            auto first = send(5, 1);
            none.wait();
            first.wait();
        } // the others are given up here: the stream waits for them all the same
        gpus.synchronize(stream.handle);
        if (gpus.rank() == 1 && got.to_host() != sent.to_host()) {
            throw std::logic_error("not in order");
        }
    });
}

TEST_CASE("what NCCL reports is thrown with the rank's number and NCCL's message") {
    const std::string message = complaint(1, [](const thread_communicator& hosts) {
        const device_array<int> sent(std::vector<int>{1});
        const rank_stream stream;
        const nccl_communicator gpus(hosts);
        (void)gpus.exchange(stream.handle, 7, bytes_of(sent, 0, 1), 0, {});
    });
    CAPTURE(message);
    CHECK(message.find("rank 0 threw: rank 0 got from ncclSend: invalid argument") == 0);
}

TEST_CASE("a rank that is gone is found by those that wait for it") {
    if (!has_gpus(2)) {
        MESSAGE("skipped: 2 ranks need as many GPUs");
        return;
    }
    const std::string message = complaint(2, [](const thread_communicator& hosts) {
        choose_gpu(hosts.rank());
        const device_array<int> got(std::vector<int>(1));
        const rank_stream stream;
        const nccl_communicator gpus(hosts);
        if (gpus.rank() == 1) {
            throw std::runtime_error("out of memory");
        }
        gpus.exchange(stream.handle, 0, {}, 1, bytes_of(got, 0, 1)).wait();
        gpus.synchronize(stream.handle);
    });
    CAPTURE(message);
    CHECK((message == "rank 1 threw: out of memory" ||
           message.find("rank 0 threw: rank 0 got from its connection: remote process exited") == 0));
}

TEST_CASE("the ranks of an NCCL communicator of the caller's are taken as they are") {
    run_ranks(1, [](const thread_communicator&) {
        ncclUniqueId id{};
        ncclComm_t comm = nullptr;
        if (ncclGetUniqueId(&id) != ncclSuccess || ncclCommInitRank(&comm, 1, id, 0) != ncclSuccess) {
            throw std::runtime_error("no NCCL");
        }
        const nccl_communicator gpus(comm);
        const nccl_communicator copy = gpus;
        if (copy.rank() != 0 || copy.size() != 1) {
            throw std::logic_error("another rank");
        }
        ncclCommDestroy(comm);
    });
}
