// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cpu/attention/tile_product.hpp>

#include "../attention/comparison.hpp"
#include "sharded_problem.hpp"

// Attention over ranks against one process.

using namespace test;

namespace {

// Contiguous, even by the mask, and by hand: ranges out of order, of one position, and a rank without any.
std::vector<sharding> shardings(const any_mask& mask, index_t length, int ranks) {
    std::vector<sharding> result{contiguous_sharding(length, ranks), balanced_sharding(mask, length, ranks)};
    std::vector<std::vector<range>> uneven(static_cast<std::size_t>(ranks));
    const index_t step = 7;
    for (index_t at = 0, i = 0; at < length; ++i) {
        const index_t end = std::min(length, at + 1 + i * step % 20);
        uneven[static_cast<std::size_t>(i) % std::max<std::size_t>(1, uneven.size() - 1)].push_back({at, end});
        at = end;
    }
    std::reverse(uneven.begin(), uneven.end()); // rank 0 has none, unless it is alone
    result.emplace_back(std::move(uneven));
    return result;
}

template <class Sink, class T>
problem<T> run_alone(const problem<T>& input, const any_mask& mask, const attention_options& options = {}) {
    problem<T> result = input.fresh();
    run_on_cpu<Sink>(result, mask, options);
    return result;
}

template <class Sink, class T>
problem<T> run_together(const problem<T>& input, const any_mask& mask, const sharding& shards,
                        const attention_options& options = {}) {
    watched_communicator::watch watch;
    return run_on_ranks<Sink>(input, mask, shards, shards, options, watch);
}

// The message of what run_ranks throws.
template <class F>
std::string complaint(int ranks, const F& f) {
    try {
        watched_communicator::watch watch;
        run_ranks(ranks, [&](const thread_communicator& c) { f(watched_communicator(c, watch)); });
    } catch (const communication_error& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE_TEMPLATE("every mask, on 1 to 4 ranks with shards of any size, gives what one process gives", Sink, no_sink,
                   off_by_one_sink, logit_sink, key_sink, key_value_sink) {
    std::mt19937 random(2310);
    const index_t length = 75;
    const std::vector<range> documents = some_documents(length);
    const index_t lengths[] = {75, 41};
    for (const bool ragged : {false, true}) {
        problem<float> input({2, length, length, 4, 2, 24}, random);
        attention_options options{.soft_cap = ragged ? 3.0F : 0.0F};
        if (ragged) {
            options.query_lengths = options.key_lengths = lengths;
        }
        for (const auto& each : masks(length, documents)) {
            const auto& name = each.first; // names, which lambdas can capture
            const auto& mask = each.second;
            CAPTURE(name);
            const problem<float> alone = run_alone<Sink>(input, mask, options);
            for (int ranks = 1; ranks <= 4; ++ranks) {
                for (const sharding& shards : shardings(mask, length, ranks)) {
                    CAPTURE(ranks);
                    const double apart = distance(run_together<Sink>(input, mask, shards, options), alone);
                    CHECK(apart < 4e-6);
                }
            }
        }
    }
}

TEST_CASE("bfloat16 is as exact as on one process") {
    std::mt19937 random(16);
    const index_t length = 75;
    const problem<bfloat16> input({1, length, length, 2, 1, 32}, random);
    const problem<bfloat16> alone = run_alone<key_value_sink>(input, causal{});
    for (int ranks = 1; ranks <= 4; ++ranks) {
        CAPTURE(ranks);
        const problem<bfloat16> together =
            run_together<key_value_sink>(input, causal{}, balanced_sharding(causal{}, length, ranks));
        const verdict found = judge(together, causal{}, together.sink<key_value_sink>(), {});
        CHECK(found.forward <= 1.0);
        CHECK(found.backward <= 1.0);
        CHECK(found.received <= 1.0);
        if (detail::score_products<bfloat16>::depth > 1) {
            continue; // probabilities are rounded as well, to what depends on the keys that a rank has at a time
        }
        // Rounded once: the number of one process, or its neighbour now and then.
        for (const auto& [got, expected] :
             {std::pair{&together.output, &alone.output}, std::pair{&together.d_query, &alone.d_query},
              std::pair{&together.d_key, &alone.d_key}, std::pair{&together.d_value, &alone.d_value}}) {
            std::size_t other = 0;
            for (std::size_t i = 0; i < got->size(); ++i) {
                const auto x = static_cast<float>((*got)[i]);
                const auto y = static_cast<float>((*expected)[i]);
                other += x == y ? 0 : 1;
                CHECK(std::fabs(x - y) <= std::max(1e-4F, 0x1p-7F * std::fabs(y)));
            }
            CHECK(other * 20 < got->size());
        }
    }
}

TEST_CASE("one sharding gives one set of bits") {
    std::mt19937 random(5);
    const problem<float> input({1, 90, 90, 2, 1, 16}, random);
    for (const int ranks : {2, 3, 4}) {
        const sharding shards = balanced_sharding(block{7}, 90, ranks);
        const problem<float> first = run_together<key_value_sink>(input, block{7}, shards);
        for (int again = 0; again < 5; ++again) {
            CHECK(same_results(run_together<key_value_sink>(input, block{7}, shards), first));
        }
    }
}

TEST_CASE("what a mask hides does not matter, and NaN that it shows is told, on whatever rank it is") {
    std::mt19937 random(6);
    const index_t length = 60;
    const std::vector<range> documents = some_documents(length);
    for (const auto& each : masks(length, documents)) {
        const auto& name = each.first;
        const auto& mask = each.second;
        CAPTURE(name);
        for (const index_t bad : {index_t{0}, index_t{31}, length - 1}) {
            problem<float> input({1, length, length, 1, 1, 8}, random);
            for (std::vector<float>* values : {&input.key, &input.value}) {
                std::fill_n(values->begin() + bad * 8, 8, std::numeric_limits<float>::quiet_NaN());
            }
            const sharding shards = balanced_sharding(mask, length, 3);
            const problem<float> alone = run_alone<no_sink>(input, mask);
            CHECK(distance(run_together<no_sink>(input, mask, shards), alone) < 4e-6);
            for (index_t q = 0; q < length; ++q) {
                const bool told = std::isnan(alone.log_sum_exp[static_cast<std::size_t>(q)]);
                CHECK(told == mask.visible(q, bad));
            }
        }
    }
}

TEST_CASE("queries and keys may have shardings of their own, as with a cache") {
    std::mt19937 random(7);
    const problem<float> input({2, 30, 80, 2, 1, 16}, random);
    const problem<float> alone = run_alone<logit_sink>(input, sliding_window{20, 9});
    watched_communicator::watch watch;
    const problem<float> together = run_on_ranks<logit_sink>(input, sliding_window{20, 9}, contiguous_sharding(30, 3),
                                                             contiguous_sharding(80, 3), {}, watch);
    CHECK(distance(together, alone) < 4e-6);
}

TEST_CASE("a rank may have queries and no keys, or keys and no queries, and no memory for them") {
    std::mt19937 random(12);
    const problem<float> input({2, 40, 40, 2, 1, 16}, random);
    const problem<float> alone = run_alone<key_value_sink>(input, causal{});
    const sharding all = contiguous_sharding(40, 3);
    for (const sharding& one : {sharding({{}, {{0, 40}}, {}}), sharding({{{0, 40}}, {}, {}})}) {
        watched_communicator::watch watch;
        CHECK(distance(run_on_ranks<key_value_sink>(input, causal{}, all, one, {}, watch), alone) < 4e-6);
        CHECK(distance(run_on_ranks<key_value_sink>(input, causal{}, one, all, {}, watch), alone) < 4e-6);
        CHECK(distance(run_on_ranks<key_value_sink>(input, causal{}, one, one, {}, watch), alone) < 4e-6);
    }
}

TEST_CASE("gradients that are not wanted are left out, and the others are the same; all ranks want the same") {
    std::mt19937 random(13);
    const problem<float> input({1, 40, 40, 2, 1, 16}, random);
    const sharding shards = balanced_sharding(causal{}, 40, 3);
    const auto backward = [&](const watched_communicator& c, problem<float>& p, const auto& choose) {
        auto gradients = p.gradients(no_sink{});
        choose(gradients);
        rank_calls<float, no_sink>::backward(c, shards, shards, p.tensors(), gradients, causal{}, no_sink{}, {});
    };
    const auto only = [](auto member) {
        return [member](attention_gradients<float>& all) {
            attention_gradients<float> one{.output = all.output};
            one.*member = all.*member;
            all = one;
        };
    };
    const auto run = [&](const watched_communicator& c) {
        const auto held = shards.of(c.rank());
        problem<float> full = part_of(input, held, held);
        rank_calls<float, no_sink>::forward(c, shards, shards, full.tensors(), causal{}, no_sink{}, {});
        problem<float> query(full);
        problem<float> key(full);
        problem<float> value(full);
        problem<float> none(full);
        backward(c, full, [](const auto&) {});
        backward(c, query, only(&attention_gradients<float>::query));
        backward(c, key, only(&attention_gradients<float>::key));
        backward(c, value, only(&attention_gradients<float>::value));
        if (!same_bits(query.d_query, full.d_query) || !same_bits(query.d_key, none.d_key) ||
            !same_bits(key.d_key, full.d_key) || !same_bits(key.d_value, none.d_value) ||
            !same_bits(value.d_value, full.d_value) || !same_bits(value.d_key, none.d_key)) {
            throw std::logic_error("others");
        }
        backward(c, none, [&](attention_gradients<float>& all) {
            if (c.rank() == 1) {
                all.key = {};
            }
        });
    };
    CHECK(complaint(3, run).find("rank 1 wants other gradients, of keys or values, than rank 0") != std::string::npos);
}

TEST_CASE("what no query of a rank sees is not sent to it") {
    std::mt19937 random(8);
    const index_t length = 120;
    const index_t row = 2 * 16 * static_cast<index_t>(sizeof(float)); // kv_heads · head_dim
    const problem<float> input({1, length, length, 2, 2, 16}, random);
    const sharding shards = contiguous_sharding(length, 4);
    const auto sent = [&](const any_mask& mask, const sharding& of) {
        watched_communicator::watch watch;
        run_on_ranks<no_sink>(input, mask, of, of, {}, watch);
        return watch.bytes.load();
    };
    // Whatever the mask, ranks tell each other what they are called with. The rest is keys and values, in forward and
    // backward; their gradients; keys once more, and what they received.
    const index_t received = 2 * static_cast<index_t>(sizeof(float));
    const auto expected = [&](index_t positions) { return positions * (6 * row + row + received); };
    const std::vector<range> documents = document_ranges(std::vector<index_t>{30, 60, 30});
    const index_t nothing = sent(block_diffusion{0, 1}, shards);
    CHECK(nothing > 0);
    CHECK(nothing < 10000);
    CHECK(sent(bidirectional{}, shards) - nothing == expected(3 * length));
    CHECK(sent(document{documents}, shards) - nothing == expected(2 * 30));       // ranks 1 and 2
    CHECK(sent(sliding_window{5, 2}, shards) - nothing == expected(3 * (5 + 2))); // the edges
    CHECK(sent(causal{}, shards) - nothing == expected(30 * (3 + 2 + 1)));
    CHECK(sent(causal{}, balanced_sharding(causal{}, length, 4)) - nothing < expected(3 * length));
}

TEST_CASE("a rank that fails in the middle ends all, wherever that is") {
    std::mt19937 random(9);
    const problem<float> input({1, 40, 40, 1, 1, 8}, random);
    const sharding shards = balanced_sharding(causal{}, 40, 3);
    int failures = 0;
    for (bool done = false; !done; ++failures) {
        watched_communicator::watch watch;
        watch.failing_rank = failures % 3;
        watch.failing_exchange = failures / 3;
        std::string message;
        try {
            run_on_ranks<key_value_sink>(input, causal{}, shards, shards, {}, watch);
        } catch (const communication_error& error) {
            message = error.what();
            CHECK(message == "rank " + std::to_string(failures % 3) + " threw: unplugged");
        }
        done = message.empty();
        CHECK((!done || watch.exchanges <= watch.failing_exchange)); // nothing is swallowed
    }
    CHECK(failures > 30);
}

TEST_CASE("calls that differ between ranks are told apart before any work") {
    std::mt19937 random(10);
    const sharding shards = contiguous_sharding(30, 3);
    const auto differs = [&](const auto& change) {
        return complaint(3, [&](const watched_communicator& c) {
            shape size{1, 10, 10, 2, 1, 8};
            attention_options options;
            any_mask mask = causal{};
            const sharding* mine = &shards;
            change(c.rank(), size, options, mask, mine);
            std::mt19937 numbers(11);
            problem<float> p(size, numbers);
            try {
                rank_calls<float, no_sink>::forward(c, *mine, *mine, p.tensors(), mask, no_sink{}, options);
            } catch (const communication_error&) {
                if (!std::all_of(p.output.begin(), p.output.end(), [](float x) { return std::isnan(x); })) {
                    throw std::logic_error("something has been written");
                }
                throw;
            }
        });
    };
    const auto says = [&](const auto& change, const std::string& what) {
        const std::string message = differs(change);
        CAPTURE(message);
        CHECK(message.find(what) != std::string::npos);
    };
    CHECK(differs([](auto...) {}).empty());
    says([](int rank, shape& s, auto&&...) { s.heads += rank == 2 ? 1 : 0; }, "rank 2 has heads 3, rank 0 2");
    says([](int rank, shape& s, auto&&...) { s.batch += rank == 0 ? 1 : 0; }, "rank 1 has batch 1, rank 0 2");
    says([](int rank, shape& s, auto&&...) { s.kv_heads += rank == 1 ? 1 : 0; }, "rank 1 has kv_heads 2, rank 0 1");
    says([](int rank, shape& s, auto&&...) { s.head_dim += rank == 1 ? 8 : 0; }, "rank 1 has head_dim 16, rank 0 8");
    says([](int rank, shape&, attention_options& o, auto&&...) { o.scale = rank == 1 ? 0.5F : 2.0F; },
         "rank 1 has scale 0.5, rank 0 2");
    says([](int rank, shape&, attention_options& o, auto&&...) { o.soft_cap = rank == 1 ? 0.5F : 0.0F; },
         "rank 1 has soft_cap 0.5, rank 0 0");
    says([](int rank, shape& s, auto&&...) { s.query_length -= rank == 1 ? 1 : 0; },
         "rank 1 has query_length 9, and holds 10 positions");
    says([](int rank, shape& s, auto&&...) { s.key_length += rank == 0 ? 1 : 0; },
         "rank 0 has key_length 11, and holds 10 positions");
    says(
        [](int rank, shape&, attention_options&, any_mask& m, auto&&...) {
            if (rank == 2) {
                m = any_mask(bidirectional{});
            }
        },
        "rank 2 has a mask and shardings (their hash) ");
    const sharding other({{{10, 20}}, {{0, 10}}, {{20, 30}}});
    says([&](int rank, shape&, attention_options&, any_mask&, const sharding*& p) { p = rank == 1 ? &other : p; },
         "rank 1 has a mask and shardings (their hash) ");
    const sharding fewer = contiguous_sharding(20, 2);
    says([&](int, shape&, attention_options&, any_mask&, const sharding*& p) { p = &fewer; },
         "attention_forward: queries.ranks() is 2, expected ranks.size() (3)");
    says([](int, shape&, attention_options& o, auto&&...) { o.key_offset = 4; },
         "attention_forward: options.key_offset is 4, expected 0: the sharding says where positions are");
    // Bad input is found by its rank alone.
    says([](int rank, shape&, attention_options& o, auto&&...) { o.soft_cap = rank == 1 ? -1.0F : 0.0F; },
         "rank 1 threw: attention_forward: options.soft_cap is -1");
    // Another function, and another type.
    const auto calls = [&](const auto& on_rank_1) {
        return complaint(2, [&](const watched_communicator& c) {
            const sharding two = contiguous_sharding(20, 2);
            std::mt19937 numbers(11);
            problem<float> p({1, 10, 10, 2, 1, 8}, numbers);
            if (c.rank() == 1) {
                on_rank_1(c, two, p);
            } else {
                rank_calls<float, key_value_sink>::forward(c, two, two, p.tensors(), causal{}, p.sink<key_value_sink>(),
                                                           {});
            }
        });
    };
    const auto received = [](const auto& c, const sharding& two, problem<float>& p) {
        rank_calls<float, no_sink>::received(c, two, two, p.tensors(), p.received_view(), causal{}, no_sink{}, {});
    };
    CHECK(calls(received).find("rank 1 has called attention_received, rank 0 attention_forward") != std::string::npos);
    const auto halves = [](const auto& c, const sharding& two, problem<float>& p) {
        problem<bfloat16> half(p);
        rank_calls<bfloat16, key_value_sink>::forward(c, two, two, half.tensors(), causal{},
                                                      half.sink<key_value_sink>(), {});
    };
    CHECK(calls(halves).find("rank 1 has tensors of bfloat16, rank 0 float") != std::string::npos);
}
