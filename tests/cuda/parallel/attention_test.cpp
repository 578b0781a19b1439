// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/document.hpp>

#include "device_ranks.hpp"

// Attention over the GPUs of ranks against the reference.

using namespace test;

namespace {

// Document ranges that host and device can read.
class mapped_documents {
public:
    explicit mapped_documents(const std::vector<range>& from) : size_(static_cast<index_t>(from.size())) {
        void* memory = nullptr;
        REQUIRE(cudaHostAlloc(&memory, from.size() * sizeof(range), cudaHostAllocMapped) == cudaSuccess);
        data_ = static_cast<range*>(memory);
        std::copy(from.begin(), from.end(), data_);
    }
    mapped_documents(const mapped_documents&) = delete;
    mapped_documents& operator=(const mapped_documents&) = delete;
    ~mapped_documents() { cudaFreeHost(data_); }

    [[nodiscard]] document mask() const { return {data_, size_}; }

private:
    range* data_ = nullptr;
    index_t size_;
};

// Even by the mask, contiguous, and by hand: ranges out of order, of a few positions, and a rank without any.
template <class Mask>
std::vector<sharding> shardings(const Mask& mask, index_t length, int ranks) {
    std::vector<sharding> result{balanced_sharding(mask, length, ranks)};
    if (ranks > 1) {
        result.push_back(contiguous_sharding(length, ranks));
    }
    std::vector<std::vector<range>> uneven(static_cast<std::size_t>(ranks));
    for (index_t at = 0, i = 0; at < length; ++i) {
        const index_t end = std::min(length, at + 1 + i * 9 % 34);
        uneven[static_cast<std::size_t>(i) % std::max<std::size_t>(1, uneven.size() - 1)].push_back({at, end});
        at = end;
    }
    std::reverse(uneven.begin(), uneven.end()); // rank 0 has none, unless it is alone
    result.emplace_back(std::move(uneven));
    return result;
}

template <class Sink, class T, class Mask>
problem<T> run_together(const problem<T>& input, const Mask& mask, const sharding& shards,
                        const attention_options& options = {}) {
    watched_gpus::watch watch;
    return run_on_gpus<Sink>(input, mask, shards, shards, options, watch);
}

template <class Sink, class T, class Mask>
void check_all_shardings(const problem<T>& input, const Mask& mask, const attention_options& options) {
    for (int ranks = 1; ranks <= 3; ++ranks) {
        if (!has_gpus(ranks)) {
            MESSAGE("skipped: ", ranks, " ranks need as many GPUs");
            continue;
        }
        for (const sharding& shards : shardings(mask, input.size.query_length, ranks)) {
            CAPTURE(ranks);
            const problem<T> together = run_together<Sink>(input, mask, shards, options);
            const verdict found =
                judge(together, any_mask(mask), input.template sink<Sink>(), options, !std::same_as<T, float>);
            CAPTURE(found.forward);
            CAPTURE(found.backward);
            CAPTURE(found.received);
            CHECK(found.passed());
        }
    }
}

} // namespace

TEST_CASE_TEMPLATE("documents in float, on 1 to 3 GPUs with shards of any size", Sink, no_sink, logit_sink) {
    std::mt19937 random(2310);
    const index_t length = 75;
    const mapped_documents documents(some_documents(length));
    const index_t lengths[] = {75, 41};
    const attention_options ragged{.query_lengths = lengths, .key_lengths = lengths, .soft_cap = 3.0F};
    const problem<float> input({2, length, length, 2, 1, 24}, random);
    check_all_shardings<Sink>(input, documents.mask(), Sink::present ? ragged : attention_options{});
}

TEST_CASE_TEMPLATE("block diffusion in bfloat16, on tensor cores, on 1 to 3 GPUs with shards of any size", Sink,
                   no_sink, key_value_sink) {
    std::mt19937 random(2311);
    const block_diffusion mask{36, 9};
    const index_t lengths[] = {72, 50};
    const attention_options ragged{.query_lengths = lengths, .key_lengths = lengths};
    const bool with_heads = Sink::present;
    const problem<bfloat16> input({with_heads ? 1 : 2, 72, 72, with_heads ? 4 : 1, with_heads ? 2 : 1, 32}, random);
    check_all_shardings<Sink>(input, mask, with_heads ? attention_options{} : ragged);
}

TEST_CASE("one sharding gives one set of bits, and all memory is the executor's, which gets it back") {
    std::mt19937 random(5);
    const problem<bfloat16> input({1, 96, 96, 2, 1, 32}, random);
    const block_diffusion mask{48, 16};
    const int ranks = has_gpus(3) ? 3 : 1;
    const sharding shards = balanced_sharding(mask, 96, ranks);
    const problem<bfloat16> first = run_together<key_value_sink>(input, mask, shards);
    for (int again = 0; again < 2; ++again) {
        watched_gpus::watch watch;
        CHECK(same_results(run_on_gpus<key_value_sink>(input, mask, shards, shards, {}, watch), first));
        CHECK(watch.memory_used > 0);
        CHECK(watch.memory_held == 0);
    }
}

TEST_CASE("queries and keys may have shardings of their own, and what nobody sees is not sent") {
    if (!has_gpus(3)) {
        MESSAGE("skipped: 3 ranks need as many GPUs");
        return;
    }
    std::mt19937 random(7);
    const problem<float> input({1, 30, 80, 2, 1, 16}, random);
    const mapped_documents documents(document_ranges(std::vector<index_t>{20, 60}));
    watched_gpus::watch watch;
    const problem<float> together = run_on_gpus<no_sink>(input, documents.mask(), contiguous_sharding(30, 3),
                                                         contiguous_sharding(80, 3), {}, watch);
    CHECK(judge(together, any_mask(documents.mask()), no_sink{}, {}).passed());
    // Rank 1 sees 20 keys of rank 0; rank 2 sees 6 of rank 0 and 27 of rank 1. Of each go key and value, in forward and
    // backward; their gradients; the key once more, and what it received.
    const std::size_t keys = 20 + 6 + 27;
    const std::size_t row = 16 * sizeof(float);
    const std::size_t received = 2 * sizeof(float);
    CHECK(watch.bytes.load() == keys * (6 * row + row + received));
}

TEST_CASE("a rank that fails in the middle ends all, wherever that is") {
    if (!has_gpus(3)) {
        MESSAGE("skipped: 3 ranks need as many GPUs");
        return;
    }
    std::mt19937 random(9);
    const problem<float> input({1, 40, 40, 2, 1, 8}, random);
    const mapped_documents documents(document_ranges(std::vector<index_t>{40}));
    const sharding shards = contiguous_sharding(40, 3);
    int failures = 0;
    for (bool done = false; !done; ++failures) {
        watched_gpus::watch watch;
        watch.failing_rank = failures % 3;
        watch.failing_exchange = failures / 3;
        std::string message;
        try {
            run_on_gpus<no_sink>(input, documents.mask(), shards, shards, {}, watch);
        } catch (const communication_error& error) {
            message = error.what(); // of that rank, or of one that NCCL has told before
            CHECK((message == "rank " + std::to_string(failures % 3) + " threw: unplugged" ||
                   message.find("got from its connection: remote process exited") != std::string::npos));
        }
        done = message.empty();
        CHECK((!done || watch.exchanges <= watch.failing_exchange)); // nothing is swallowed
    }
    CHECK(failures > 20);
}

TEST_CASE("calls that differ between ranks are told apart before anything is enqueued") {
    if (!has_gpus(2)) {
        MESSAGE("skipped: 2 ranks need as many GPUs");
        return;
    }
    const mapped_documents documents(document_ranges(std::vector<index_t>{20}));
    const sharding shards = contiguous_sharding(20, 2);
    const auto complaint = [&](index_t heads, int ranks_of_gpus) {
        try {
            watched_gpus::watch watch;
            run_ranks(2, [&](const thread_communicator& hosts) {
                std::mt19937 random(10);
                problem<float> part({1, 10, 10, hosts.rank() == 1 ? heads : 2, 1, 8}, random);
                const device_problem<float> device(part);
                const rank_stream stream;
                const watched_gpus gpus(hosts, watch);
                detail::thread_group alone(1);
                const watched_gpus others(ranks_of_gpus == 2 ? hosts : thread_communicator(alone, 0), watch);
                const device_rank on{hosts, others, stream.handle, shards, shards};
                device_rank_calls<float, document, no_sink>::forward(on, device.tensors(), documents.mask(), {}, {});
                gpus.synchronize(stream.handle);
            });
        } catch (const communication_error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(complaint(2, 2).empty());
    CHECK(complaint(4, 2).find("rank 1 has heads 4, rank 0 2") != std::string::npos);
    CHECK(complaint(2, 1).find("cuda_context_parallel: gpus is rank 0 of 1, expected that of ranks (") !=
          std::string::npos);
}
