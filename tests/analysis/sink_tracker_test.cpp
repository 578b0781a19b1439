// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include <doctest/doctest.h>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/attention/reference.hpp>

#include "../attention/problem.hpp"

// What a tracker makes of the tensors that a model shows it. Runs of a sampler are in sink_tracker_run_test.cpp.

using namespace test;

namespace {

// The tokens of an extra_sink mask, nothing for other masks: the tests' own idea of it.
template <class Mask>
range tokens_of(const Mask& /*mask*/) {
    return {};
}
template <class Inner>
range tokens_of(const extra_sink<Inner>& mask) {
    return {mask.position, mask.position + mask.count};
}

// A record by its definition, from whole rows of probabilities.
template <class Mask, class Sink>
sink_record expected_record(problem<float>& input, const Mask& mask, const Sink& sink, const attention_options& options,
                            index_t b) {
    const auto tensors = input.tensors();
    const reference::detail::problem<double, float, Mask, Sink> rows(tensors, mask, sink, options);
    const range tokens = tokens_of(mask);
    std::vector<index_t> order; // the places of a record: keys of the sequence, then sink tokens
    for (const bool sinks : {false, true}) {
        for (index_t k = 0; k < rows.keys(b); ++k) {
            if (tokens.contains(k) == sinks) {
                order.push_back(k);
            }
        }
    }
    const index_t folded = Sink::present ? 1 : 0;
    sink_record record;
    record.layers = 1;
    record.heads = input.size.heads;
    record.kv_heads = input.size.kv_heads;
    record.length = std::count_if(order.begin(), order.end(), [&](index_t k) { return !tokens.contains(k); });
    record.sinks = std::ssize(order) - record.length + folded;
    const auto queries = [&](const auto& visit) {
        for (index_t row = 0; row < rows.queries(b); ++row) {
            if (!tokens.contains(options.query_offset + row)) {
                visit(row);
            }
        }
    };
    record.seen_by.assign(static_cast<std::size_t>(record.keys()), 0);
    queries([&](index_t row) {
        for (std::size_t i = 0; i < order.size(); ++i) {
            record.seen_by[i] += mask.visible(options.query_offset + row, order[i]) ? 1 : 0;
        }
        if (Sink::present) {
            ++record.seen_by.back();
        }
    });
    for (index_t head = 0; head < record.heads; ++head) {
        std::vector<double> sums(static_cast<std::size_t>(record.keys()));
        std::vector<double> own(static_cast<std::size_t>(record.length));
        queries([&](index_t row) {
            const auto p = rows.softmax(b, head, row);
            for (const auto& seen : p.keys) {
                const auto place = std::find(order.begin(), order.end(), seen.position) - order.begin();
                sums[static_cast<std::size_t>(place)] += seen.probability;
                if (seen.position == options.query_offset + row) {
                    own[static_cast<std::size_t>(place)] = seen.probability;
                }
            }
            if (Sink::present) {
                sums.back() += p.sink_probability;
            }
        });
        record.received.insert(record.received.end(), sums.begin(), sums.end());
        record.own.insert(record.own.end(), own.begin(), own.end());
    }
    const auto norm = [&](const float* value) {
        double sum = 0;
        for (index_t d = 0; d < input.size.head_dim; ++d) {
            sum += static_cast<double>(value[d]) * static_cast<double>(value[d]);
        }
        record.value_norms.push_back(static_cast<float>(std::sqrt(sum)));
    };
    for (index_t head = 0; head < record.kv_heads; ++head) {
        for (const index_t k : order) {
            norm(tensors.value.pointer(b, k, head));
        }
        if constexpr (Sink::has_value) {
            norm(sink.value(head));
        } else if (folded > 0) {
            record.value_norms.push_back(0);
        }
    }
    return record;
}

void check_close(const std::vector<float>& got, const std::vector<float>& expected) {
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CAPTURE(i);
        REQUIRE(got[i] == doctest::Approx(expected[i]).epsilon(1e-5).scale(0.1));
    }
}

void check_same(const sink_record& got, const sink_record& expected) {
    REQUIRE(got.layers == expected.layers);
    REQUIRE(got.heads == expected.heads);
    REQUIRE(got.kv_heads == expected.kv_heads);
    REQUIRE(got.length == expected.length);
    REQUIRE(got.sinks == expected.sinks);
    REQUIRE(got.seen_by == expected.seen_by);
    check_close(got.received, expected.received);
    check_close(got.value_norms, expected.value_norms);
    check_close(got.own, expected.own);
}

std::vector<index_t> first(index_t count) {
    std::vector<index_t> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), index_t{0});
    return all;
}

// The records of one layer of one call.
template <class Mask, class Sink>
std::vector<sink_record> tracked(problem<float>& input, const Mask& mask, const Sink& sink,
                                 const attention_options& options, int threads = 1) {
    reference::attention_forward(input.tensors(), mask, sink, options);
    sink_tracker tracker;
    tracker.attention(cpu_executor{threads}, 0, first(input.size.batch), input.tensors(), mask, sink, options);
    tracker.end_call();
    return {tracker.records().begin(), tracker.records().end()};
}

template <class Mask, class Sink>
void check_against_rows(problem<float>& input, const Mask& mask, const Sink& sink, const attention_options& options) {
    const auto records = tracked(input, mask, sink, options);
    REQUIRE(std::ssize(records) == input.size.batch);
    for (index_t b = 0; b < input.size.batch; ++b) {
        CAPTURE(b);
        const sink_record& record = records[static_cast<std::size_t>(b)];
        REQUIRE(record.sequence == b);
        REQUIRE(record.call == 0);
        check_same(record, expected_record(input, mask, sink, options, b));
    }
}

// Every sink policy, with lengths and an offset.
template <class Mask>
void check_all_sinks(const Mask& mask, std::mt19937& random) {
    const auto any_sink = [&](const shape& size, const attention_options& options) {
        problem<float> input(size, random);
        check_against_rows(input, mask, input.sink<no_sink>(), options);
        check_against_rows(input, mask, input.sink<off_by_one_sink>(), options);
        check_against_rows(input, mask, input.sink<logit_sink>(), options);
        check_against_rows(input, mask, input.sink<key_sink>(), options);
        check_against_rows(input, mask, input.sink<key_value_sink>(), options);
    };
    const std::vector<index_t> lengths{37, 1, 20};
    any_sink({.batch = 3, .query_length = 37, .key_length = 37, .heads = 4, .kv_heads = 2, .head_dim = 20},
             {.query_lengths = lengths, .key_lengths = lengths});
    any_sink({.query_length = 9, .key_length = 37, .heads = 3, .kv_heads = 1, .head_dim = 8},
             {.scale = 0.7F, .query_offset = 8, .soft_cap = 2.0F});
}

} // namespace

TEST_CASE("a record is what whole rows of probabilities add up to, whatever the mask, the sink and the lengths") {
    std::mt19937 random(1);
    const auto documents = some_documents(40);
    for (const auto& named : masks(37, documents)) {
        CAPTURE(named.first);
        check_all_sinks(named.second, random);
    }
}

TEST_CASE("sink tokens come last, and their own rows don't count, wherever they stand") {
    std::mt19937 random(2);
    const auto documents = some_documents(40);
    const std::pair<index_t, index_t> places[] = {{0, 1}, {10, 3}, {36, 1}, {35, 4}, {50, 2}};
    for (const auto& named : masks(37, documents)) {
        CAPTURE(named.first);
        for (const auto& place : places) {
            CAPTURE(place.first);
            check_all_sinks(extra_sink{named.second, place.first, place.second}, random);
        }
    }
}

namespace {

// A mask without row().
template <class Inner>
struct rowless {
    Inner inner;

    constexpr bool visible(index_t q, index_t k) const { return inner.visible(q, k); }
    constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        return inner.classify(q_begin, q_end, k_begin, k_end);
    }
    constexpr auto key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return inner.key_ranges(q_begin, q_end, keys);
    }
    constexpr auto query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return inner.query_ranges(k_begin, k_end, queries);
    }
};

template <class Mask>
void check_seen_by(const Mask& mask, range queries, index_t keys) {
    const auto counts = seen_by(mask, queries, keys);
    REQUIRE(std::ssize(counts) == keys);
    for (index_t k = 0; k < keys; ++k) {
        CAPTURE(k);
        index_t expected = 0;
        for (index_t q = queries.begin; q < queries.end; ++q) {
            expected += mask.visible(q, k) && !tokens_of(mask).contains(q) ? 1 : 0;
        }
        REQUIRE(counts[static_cast<std::size_t>(k)] == expected);
    }
}

} // namespace

TEST_CASE("queries that see a key, also by masks that can't list a row's keys: full tiles, partial ones and rests") {
    std::mt19937 random(3);
    check_all_sinks(predicate(every_third{}), random);
    check_all_sinks(extra_sink{predicate(every_third{}), 3, 2}, random);
    for (const range& queries : {range{0, 300}, range{5, 155}, range{70, 71}, range{9, 9}}) {
        check_seen_by(predicate(every_third{}), queries, 300);
        check_seen_by(rowless<block>{{40}}, queries, 300);
        check_seen_by(extra_sink{rowless<block>{{40}}, 100, 7}, queries, 300);
        check_seen_by(extra_sink{block{40}, 100, 7}, queries, 300);
        check_seen_by(extra_sink{block{40}, 298, 7}, queries, 300);
        check_seen_by(causal{}, queries, 0);
    }
}

TEST_CASE("where extra_sink is part of a mask its tokens are tokens like others") {
    std::mt19937 random(4);
    problem<float> input({.query_length = 12, .key_length = 12, .heads = 2, .kv_heads = 2, .head_dim = 8}, random);
    const auto mask = extra_sink{bidirectional{}, 2} || causal{};
    const auto records = tracked(input, mask, no_sink{}, {});
    CHECK(records[0].sinks == 0);
    CHECK(records[0].length == 12);
    CHECK(records[0].seen_by[0] == 12); // and by the sink token, whose row is a row here
    CHECK(records[0].seen_by[5] == 11);
    check_against_rows(input, mask, no_sink{}, {});
}

TEST_CASE("bfloat16 and float16") {
    std::mt19937 random(5);
    const shape size{.batch = 2, .query_length = 30, .key_length = 30, .heads = 2, .kv_heads = 1, .head_dim = 24};
    const auto check = [&]<class T>(T /*of the elements*/) {
        problem<T> rounded(problem<float>(size, random));
        problem<float> widened(rounded);
        const extra_sink mask{causal{}, 4};
        const auto sink = rounded.template sink<key_value_sink>();
        reference::attention_forward(widened.tensors(), mask, sink);
        rounded.log_sum_exp = widened.log_sum_exp;
        sink_tracker tracker;
        tracker.attention(cpu_executor{1}, 0, first(2), rounded.tensors(), mask, sink);
        tracker.end_call();
        check_same(tracker.records()[1], expected_record(widened, mask, sink, {}, 1));
    };
    check(bfloat16{});
    check(float16{});
}

TEST_CASE(
    "a sink token and the folded sink that it can be replaced by have the same record, wherever the token stands") {
    std::mt19937 random(6);
    const shape size{.batch = 2, .query_length = 21, .key_length = 21, .heads = 4, .kv_heads = 2, .head_dim = 16};
    problem<float> folded(size, random);
    const block inner{5};
    const auto expected = tracked(folded, inner, folded.sink<key_value_sink>(), {});

    shape longer = size;
    longer.query_length = longer.key_length = 22;
    for (const index_t position : {0, 9, 21}) {
        CAPTURE(position);
        problem<float> literal(longer, random);
        const auto insert = [&](const std::vector<float>& from, std::vector<float>& to, index_t heads,
                                const std::vector<float>* token) {
            const index_t width = heads * size.head_dim;
            for (index_t row = 0; row < size.batch * 22; ++row) {
                const index_t at = row % 22;
                if (at != position) {
                    const index_t source = row / 22 * 21 + at - (at > position ? 1 : 0);
                    std::copy_n(from.begin() + source * width, width, to.begin() + row * width);
                } else if (token != nullptr) {
                    std::copy_n(token->begin(), width, to.begin() + row * width);
                }
            }
        };
        insert(folded.query, literal.query, size.heads, nullptr); // the token's query is any
        insert(folded.key, literal.key, size.kv_heads, &folded.sink_keys);
        insert(folded.value, literal.value, size.kv_heads, &folded.sink_values);
        const auto records = tracked(literal, extra_sink{inner, position}, no_sink{}, {});
        for (std::size_t b = 0; b < 2; ++b) {
            check_same(records[b], expected[b]);
        }
    }
}

TEST_CASE("blocks of 1 are causal") {
    std::mt19937 random(7);
    problem<float> input({.query_length = 70, .key_length = 70, .heads = 2, .kv_heads = 1, .head_dim = 16}, random);
    const auto blocks = tracked(input, block{1}, no_sink{}, {});
    const auto in_order = tracked(input, causal{}, no_sink{}, {});
    check_same(blocks[0], in_order[0]);
    CHECK(blocks[0].received == in_order[0].received);
}

TEST_CASE("a batch, its sequences one by one, and on several threads: the same bits") {
    std::mt19937 random(8);
    const shape size{.batch = 5, .query_length = 65, .key_length = 65, .heads = 3, .kv_heads = 3, .head_dim = 16};
    problem<float> input(size, random);
    const extra_sink mask{bidirectional{}};
    const std::vector<index_t> lengths{65, 3, 40, 1, 64};
    const attention_options options{.query_lengths = lengths, .key_lengths = lengths};
    const auto together = tracked(input, mask, no_sink{}, options);
    const auto threads = tracked(input, mask, no_sink{}, options, 3);

    sink_tracker tracker;
    std::vector<std::thread> workers;
    for (index_t b = 4; b >= 0; --b) {
        workers.emplace_back([&, b] {
            auto one = input.tensors();
            const auto only = [&](auto& tensor) {
                tensor.data = tensor.pointer(b);
                tensor.extents[0] = 1;
            };
            only(one.query);
            only(one.key);
            only(one.value);
            only(one.log_sum_exp);
            const auto length = std::span(lengths).subspan(static_cast<std::size_t>(b), 1);
            for (index_t layer = 0; layer < 20; ++layer) {
                tracker.attention(cpu_executor{1}, layer, std::vector{b}, one, mask, no_sink{},
                                  {.query_lengths = length, .key_lengths = length});
            }
        });
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    tracker.end_call();
    REQUIRE(tracker.records().size() == 5);
    for (std::size_t b = 0; b < 5; ++b) {
        const sink_record& one = tracker.records()[b];
        CHECK(one.sequence == static_cast<index_t>(b));
        CHECK(one.layers == 20);
        const auto part = [&](const auto& all) {
            return std::vector(all.end() - std::ssize(all) / 20, all.end()); // of the last layer
        };
        for (const auto& other : {together[b], threads[b]}) {
            CHECK(part(one.received) == other.received);
            CHECK(part(one.seen_by) == other.seen_by);
            CHECK(part(one.value_norms) == other.value_norms);
            CHECK(part(one.own) == other.own);
        }
    }
}

TEST_CASE("what was measured elsewhere is recorded as it is") {
    std::mt19937 random(9);
    problem<float> input({.query_length = 6, .key_length = 6, .heads = 4, .kv_heads = 2, .head_dim = 8}, random);
    auto expected = tracked(input, extra_sink{bidirectional{}, 2}, no_sink{}, {})[0];
    expected.own.clear(); // isn't part of what is reported
    sink_tracker tracker;
    std::vector<float> wide(4 * 10, -1); // rows that are further apart
    for (std::size_t i = 0; i < 24; ++i) {
        wide[i / 6 * 10 + i % 6] = expected.received[i];
    }
    const tensor_view<const float, 2> received{wide.data(), {4, 6}, {10, 1}};
    tracker.received(0, 3, received, expected.seen_by, view(expected.value_norms.data(), 2, 6), 1);
    tracker.end_call();
    check_same(tracker.records(3)[0], expected);
    CHECK(tracker.records(3)[0].received == expected.received);
}

namespace {

// One head, which all queries share out evenly among some keys.
struct even_report {
    std::vector<float> received, norms;
    std::vector<index_t> seen_by;

    explicit even_report(index_t keys, float each = 1)
        : received(static_cast<std::size_t>(keys), each), norms(received), seen_by(received.size(), keys) {}

    void to(sink_tracker& tracker, index_t layer, index_t sequence) const {
        tracker.received(layer, sequence, view(received.data(), 1, received.size()), seen_by,
                         view(norms.data(), 1, norms.size()));
    }
};

std::vector<index_t> calls_of(std::span<const sink_record> records) {
    std::vector<index_t> calls;
    for (const sink_record& record : records) {
        calls.push_back(record.call);
    }
    return calls;
}

std::string complaint(const auto& call) {
    try {
        call();
    } catch (const invalid_argument& error) {
        return error.what();
    }
    return {};
}

constexpr const char* once = "(each is reported once, in order, and a step ends the call)";

} // namespace

TEST_CASE("records lie by sequence, then by call") {
    sink_tracker tracker;
    for (index_t call = 0; call < 6; ++call) {
        for (const index_t sequence : {7, 2, 5}) {
            if ((call + sequence) % 3 > 0) {
                even_report(4, static_cast<float>(10 * sequence + call)).to(tracker, 0, sequence);
            }
        }
        tracker.end_call();
    }
    CHECK(calls_of(tracker.records(2)) == std::vector<index_t>{0, 2, 3, 5});
    CHECK(calls_of(tracker.records(5)) == std::vector<index_t>{0, 2, 3, 5});
    CHECK(calls_of(tracker.records(7)) == std::vector<index_t>{0, 1, 3, 4});
    CHECK(tracker.records(3).empty());
    CHECK(tracker.records().size() == 12);
    for (const sink_record& record : tracker.records()) {
        CHECK(record.received[0] == static_cast<float>(10 * record.sequence + record.call));
    }
    CHECK(tracker.calls() == 6);
    tracker.clear();
    CHECK(tracker.calls() == 0);
    CHECK(tracker.records().empty());
}

TEST_CASE("every n-th call, chosen layers, and no more memory than allowed") {
    sink_tracker some({.every = 3, .layers = {1, 4}});
    CHECK(some.wants(1));
    CHECK_FALSE(some.wants(0));
    CHECK_FALSE(some.wants(5));
    for (index_t call = 0; call < 8; ++call) {
        CHECK(some.wants(4) == (call % 3 == 0));
        for (index_t layer = 0; layer < 6; ++layer) {
            even_report(4, static_cast<float>(10 * layer + call)).to(some, layer, 0);
        }
        some.end_call();
    }
    CHECK(calls_of(some.records()) == std::vector<index_t>{0, 3, 6});
    CHECK(some.records()[1].layers == 2);
    CHECK(some.records()[1].received == std::vector<float>{13, 13, 13, 13, 43, 43, 43, 43});
    CHECK(some.lost() == 0);

    sink_tracker small({.most_bytes = 3000});
    for (index_t call = 0; call < 10; ++call) {
        even_report(100).to(small, 0, 0); // 1600 bytes, and what a record is itself
        small.end_call();
    }
    CHECK(calls_of(small.records()) == std::vector<index_t>{0, 1});
    CHECK(small.lost() == 8);
    CHECK(small.calls() == 10);
}

TEST_CASE("streams: alike before each layer and after the last") {
    const std::vector<float> alike{1, 2, 2, 4};
    const std::vector<float> apart{1, 0, 0, 3};
    const auto rows = [](const std::vector<float>& values) { return view(values.data(), 2, 2); };
    sink_tracker tracker;
    tracker.stream(0, 0, rows(apart));
    even_report(3).to(tracker, 0, 0);
    tracker.stream(1, 0, rows(alike));
    even_report(3).to(tracker, 1, 0);
    tracker.stream(2, 0, rows(apart));
    tracker.end_call();
    REQUIRE(tracker.records()[0].similarity.size() == 3);
    CHECK(tracker.records()[0].similarity[0] == doctest::Approx(0));
    CHECK(tracker.records()[0].similarity[1] == doctest::Approx(1));
    CHECK(tracker.records()[0].similarity[2] == doctest::Approx(0));

    sink_tracker chosen({.layers = {1}}); // of four layers
    for (index_t layer = 0; layer < 4; ++layer) {
        chosen.stream(layer, 0, rows(layer == 1 ? alike : apart));
        even_report(3).to(chosen, layer, 0);
    }
    chosen.stream(4, 0, rows(alike));
    chosen.end_call();
    REQUIRE(chosen.records()[0].similarity.size() == 2);
    CHECK(chosen.records()[0].similarity[0] == doctest::Approx(1));
    CHECK(chosen.records()[0].similarity[1] == doctest::Approx(1)); // not that before layer 2 or 3

    even_report(3).to(tracker, 0, 0);
    tracker.stream(0, 0, rows(alike));
    even_report(3).to(tracker, 1, 0);
    tracker.stream(1, 0, rows(alike));
    CHECK(complaint([&] { tracker.stream(1, 0, rows(alike)); }) ==
          std::string(
              "sink_tracker::stream: layer is 1, expected the next one of sequence 0, of which this call has 2 ") +
              once);
    CHECK(complaint([&] { tracker.end_call(); }) == "sink_tracker::end_call: the number of streams of a sequence is 2, "
                                                    "expected 0, or one before each layer and one "
                                                    "after the last (3)");
}

TEST_CASE("misuse is named, and nothing is recorded of it") {
    CHECK(complaint([] { sink_tracker tracker({.every = 0}); }) ==
          "sink_tracker: options.every is 0, expected at least 1");
    CHECK(complaint([] { sink_tracker tracker({.layers = {2, 2}}); }) ==
          "sink_tracker: options.layers is 2, expected at least 0 and more than the one before");
    CHECK(complaint([] { sink_tracker tracker({.layers = {-1}}); }) ==
          "sink_tracker: options.layers is -1, expected at least 0 and more than the one before");

    std::mt19937 random(10);
    problem<float> input({.batch = 2, .query_length = 4, .key_length = 4, .heads = 2, .kv_heads = 1, .head_dim = 8},
                         random);
    const any_mask mask = bidirectional{};
    reference::attention_forward(input.tensors(), mask);
    sink_tracker tracker;
    const auto report = [&](index_t layer, const std::vector<index_t>& sequences,
                            const attention_tensors<float>& tensors) {
        return complaint([&] { tracker.attention(cpu_executor{1}, layer, sequences, tensors, mask); });
    };
    const auto tensors = input.tensors();
    CHECK(report(0, {0}, tensors) ==
          "sink_tracker::attention: sequences.size() is 1, expected one a row of the batch (2)");
    CHECK(report(0, {3, 3}, tensors) == "sink_tracker::attention: sequences is 3 twice, expected each sequence once");
    CHECK(report(0, {0, -1}, tensors) == "sink_tracker::attention: sequence is -1, expected at least 0");
    const std::string next = "expected the next one of sequence 0, of which this call has ";
    CHECK(report(1, {0, 1}, tensors) == "sink_tracker::attention: layer is 1, " + next + "0 " + once);
    auto wrong = tensors;
    wrong.log_sum_exp = {};
    CHECK(report(0, {0, 1}, wrong) == "sink_tracker::attention: log_sum_exp.extents is [0, 0, 0], expected [2, 2, 4]");
    wrong = tensors;
    wrong.value = {};
    CHECK(report(0, {0, 1}, wrong) == "sink_tracker::attention: value.extents is [0, 0, 0, 0], expected [2, 4, 1, 8]");
    CHECK(complaint([&] {
              tracker.attention(cpu_executor{1}, 0, first(2), tensors, mask, no_sink{}, {.query_offset = -1});
          }) == "sink_tracker::attention: options.query_offset is -1, expected at least 0");
    CHECK(complaint([&] {
              tracker.attention(cpu_executor{1}, 0, first(2), tensors, mask, no_sink{}, {.key_offset = 1});
          }) == "sink_tracker::attention: options.key_offset is 1, expected 0: all keys are measured");
    CHECK(report(0, {0, 1}, tensors).empty()); // as if nothing had been

    CHECK(report(0, {0, 1}, tensors) == "sink_tracker::attention: layer is 0, " + next + "1 " + once); // twice
    CHECK(report(2, {0, 1}, tensors) == "sink_tracker::attention: layer is 2, " + next + "1 " + once); // one left out
    CHECK(complaint([&] { even_report(4).to(tracker, 1, 0); }) ==
          "sink_tracker::received: heads is 1, expected 2, as in the layers before");
    const auto other_length = [&](index_t keys, index_t sinks) {
        const std::vector<float> zeros(static_cast<std::size_t>(2 * keys));
        tracker.received(1, 0, view(zeros.data(), 2, keys), std::vector<index_t>(static_cast<std::size_t>(keys)),
                         view(zeros.data(), 1, keys), sinks);
    };
    CHECK(complaint([&] { other_length(5, 0); }) ==
          "sink_tracker::received: the length of a sequence is 5, expected 4, as in the layers before");
    CHECK(complaint([&] { other_length(5, 1); }) ==
          "sink_tracker::received: the number of sinks is 1, expected 0, as in the layers before");
    CHECK(complaint([&] { other_length(4, 5); }) == "sink_tracker::received: sinks is 5, expected between 0 and 4");

    CHECK(report(1, {0, 1}, tensors).empty());
    auto alone = tensors;
    for (auto* view_of : {&alone.query, &alone.key, &alone.value}) {
        view_of->extents[0] = 1;
    }
    alone.log_sum_exp.extents[0] = 1;
    CHECK(report(2, {0}, alone).empty());
    CHECK(complaint([&] { tracker.end_call(); }) ==
          "sink_tracker::end_call: the number of layers of a sequence is 2, expected 3, as of all others");
    CHECK(tracker.calls() == 0);
    CHECK(report(2, {1}, alone).empty());
    tracker.end_call();
    REQUIRE(tracker.records().size() == 2);
    CHECK(tracker.records()[1].layers == 3);

    CHECK(report(0, {0, 1}, tensors).empty());
    CHECK(complaint([&] { tracker.end_call(); }) == // other than in the call before
          "sink_tracker::end_call: the number of layers of a sequence is 1, expected 3, as of all others");
    tracker.clear();
    tracker.stream(0, 0, view(input.query.data(), 2, 2));
    CHECK(complaint([&] { tracker.end_call(); }) ==
          "sink_tracker::end_call: the number of layers of a sequence is 0, expected at least 1");
}
