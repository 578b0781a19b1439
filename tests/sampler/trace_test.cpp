// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <limits>
#include <optional>
#include <random>
#include <sstream>
#include <string>

#include <unmask/sampler/corruption/remdm.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/trace/compare.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 10, .mask = 9, .end = 0};

// A model that can be asked about any position, masked or not.
struct any_position {
    random_logits logits_of{};

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }

    void denoise(const canvas& page, std::span<const row> asked, tensor_view<float, 2> logits) const {
        for (std::size_t i = 0; i < asked.size(); ++i) {
            for (token_t token = 0; token < tokens.size; ++token) {
                logits(i, token) = logits_of(page.tokens(asked[i].sequence), asked[i].position, token);
            }
        }
    }
};

canvas three_sequences() {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 9, 0}, 14); // a mask and an end token that are prompt
    page.add_infill(std::vector<token_t>{blank, blank, 4, blank, blank, blank, 7, blank}, 77);
    page.add({}, 11);
    return page;
}

bool same(const canvas& a, const canvas& b) {
    bool equal = a.sequences() == b.sequences() && to_vector(a.tokens()) == to_vector(b.tokens());
    for (index_t sequence = 0; equal && sequence < a.sequences(); ++sequence) {
        const auto x = a.states(sequence);
        const auto y = b.states(sequence);
        equal = std::equal(x.begin(), x.end(), y.begin(), y.end()) && a.masked(sequence) == b.masked(sequence);
    }
    return equal;
}

// A trace, and the canvas as it was after every call, which is what replay must give again.
struct recorder {
    trace recorded;
    std::vector<canvas> after;

    void operator()(const sampler_step& step) {
        recorded(step);
        after.push_back(step.canvas);
    }
};

index_t count(const trace& what, change kind) {
    return std::count_if(what.entries.begin(), what.entries.end(),
                         [&](const trace::entry& entry) { return entry.what.change == kind; });
}

void check_replay(const recorder& seen, const canvas& before, const canvas& end) {
    canvas page = before;
    replay(seen.recorded, page);
    CHECK(same(page, end));
    for (index_t call = -1; call < std::ssize(seen.after); ++call) {
        page = before;
        replay_until(seen.recorded, page, call);
        CHECK(same(page, call < 0 ? before : seen.after[static_cast<std::size_t>(call)]));
    }
    trace_cursor cursor(seen.recorded, before);
    while (!cursor.next().empty()) {
        const index_t call = cursor.next().front().call;
        cursor.advance();
        CHECK(same(cursor.page(), seen.after[static_cast<std::size_t>(call)]));
    }
    cursor.advance();
    CHECK(same(cursor.page(), end));
}

void check_file(const trace_file& file) {
    std::stringstream text;
    write_trace(text, file);
    const trace_file read = read_trace(text);
    CHECK(read.seed == file.seed);
    CHECK(read.lengths == file.lengths);
    REQUIRE(read.what.entries.size() == file.what.entries.size());
    for (std::size_t i = 0; i < read.what.entries.size(); ++i) {
        const auto& [call, one] = read.what.entries[i];
        const auto& [same_call, other] = file.what.entries[i];
        CHECK(call == same_call);
        CHECK(one.where == other.where);
        CHECK(one.token == other.token);
        CHECK(one.change == other.change);
        CHECK(detail::bits_as<std::uint64_t>(one.score.value) == detail::bits_as<std::uint64_t>(other.score.value));
        CHECK(detail::bits_as<std::uint64_t>(one.log_probability) ==
              detail::bits_as<std::uint64_t>(other.log_probability));
    }
    std::stringstream again;
    write_trace(again, read);
    CHECK(again.str() == text.str());
}

trace::entry entry(index_t call, row where, token_t token, change kind = change::commit, double log_probability = -1) {
    return {call, {where, token, {log_probability}, log_probability, kind}};
}

trace trace_of(std::vector<trace::entry> entries) {
    trace result;
    result.entries = std::move(entries);
    return result;
}

std::vector<index_t> lengths_of(const canvas& page) {
    std::vector<index_t> lengths;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        lengths.push_back(page.length(sequence));
    }
    return lengths;
}

// Runs it with many seeds: replays, writes and reads every trace. What the traces hold of each kind of change.
template <class Sampler>
std::vector<index_t> round_trip(const Sampler& sampler) {
    std::vector<index_t> kinds(detail::change_names.size());
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        CAPTURE(seed);
        const canvas before = three_sequences();
        canvas page = before;
        recorder seen;
        const any_position model{{.seed = seed}};
        sampler(cpu_executor{1}, model, page, seed, seen);
        check_replay(seen, before, page);
        check_file({seed % 2 == 0 ? std::optional(seed) : std::nullopt, lengths_of(before), seen.recorded});
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            kinds[i] += count(seen.recorded, static_cast<change>(i));
        }
    }
    return kinds;
}

// Does one of the things that can be done to a position, and says what.
commitment change_something(canvas& page, row where, std::mt19937& random) {
    const auto [sequence, position] = where;
    const auto token = static_cast<token_t>(random() % 9);
    change kind = change::fill;
    if (page.state(sequence, position) == position_state::masked) {
        if (random() % 3 == 0) {
            kind = change::renoise;
            page.renoise(sequence, position, token);
        } else if (random() % 3 != 0) {
            kind = change::commit;
            page.commit(sequence, position, token);
        } else {
            page.commit(sequence, position, *tokens.end);
        }
    } else if (random() % 3 != 0) {
        kind = change::remask;
        page.remask(sequence, position);
        if (random() % 2 == 0) { // with noise
            page.renoise(sequence, position, token);
        }
    } else if (random() % 3 != 0) {
        kind = change::edit;
        page.edit(sequence, position, token);
    } else {
        page.edit(sequence, position, *tokens.end);
    }
    return {where, page.token(sequence, position), {-static_cast<double>(random())}, -0.5, kind};
}

index_t times(const std::vector<index_t>& kinds, change kind) {
    return kinds[static_cast<std::size_t>(kind)];
}

} // namespace

TEST_CASE("replay gives the canvas of every call of a run, and a file gives the trace") {
    const auto plain = round_trip(sampler{steps{9}, categorical{}});
    CHECK(times(plain, change::commit) > 300);
    CHECK(times(plain, change::fill) > 0);
    const auto remasked = round_trip(sampler{steps{9}, categorical{}, remdm_cap{.eta = 0.3}});
    CHECK(times(remasked, change::remask) > 0);
}

TEST_CASE("the same for any changes that a canvas can take, several of a position in one call too") {
    std::mt19937 random(11);
    for (int round = 0; round < 50; ++round) {
        CAPTURE(round);
        const canvas before = three_sequences();
        canvas page = before;
        recorder seen;
        for (index_t call = 0; call < 12; ++call) {
            std::vector<commitment> changes;
            for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
                for (index_t i = 0; i < page.length(sequence); i += random() % 3 == 0 ? 1 : 0) {
                    if (page.state(sequence, i) != position_state::prompt && random() % 5 == 0) {
                        changes.push_back(change_something(page, {sequence, i}, random));
                    } else {
                        ++i;
                    }
                }
            }
            seen({.call = call, .canvas = page, .commitments = changes, .masked = page.masked()});
        }
        check_replay(seen, before, page);
        check_file({{}, lengths_of(before), seen.recorded});
        for (const change kind : {change::commit, change::remask, change::renoise, change::edit, change::fill}) {
            CHECK(count(seen.recorded, kind) > 0);
        }
    }
}

TEST_CASE("a trace that does not fit the canvas is refused, and nothing is written") {
    canvas page(tokens);
    page.add(std::vector<token_t>{1}, 3);
    const auto refused = [&](std::vector<trace::entry> entries) {
        const trace what = trace_of(std::move(entries));
        canvas written = page;
        const std::string error = complaint([&] { replay(what, written); });
        CHECK(same(written, page));
        CHECK_THROWS_AS(trace_cursor(what, page), invalid_argument);
        return error;
    };
    const auto good = entry(0, {0, 1}, 4);
    CHECK(refused({good, entry(1, {1, 1}, 4)}) ==
          "replay: sequence of trace.entries[1] is 1, expected one of the canvas");
    CHECK(refused({good, entry(1, {-1, 1}, 4)}) ==
          "replay: sequence of trace.entries[1] is -1, expected one of the canvas");
    CHECK(refused({good, entry(1, {0, 4}, 4)}) ==
          "replay: position of trace.entries[1] is 4, expected one of the sequence");
    CHECK(refused({good, entry(1, {0, 0}, 4)}) == "replay: position of trace.entries[1] is 0, expected a masked one");
    CHECK(refused({good, good}) == "replay: position of trace.entries[1] is 1, expected a masked one");
    CHECK(refused({good, entry(1, {0, 2}, 9)}) ==
          "replay: token of trace.entries[1] is 9, expected one of [0, size) other than the mask");
    CHECK(refused({entry(0, {0, 1}, 4, change::remask)}) ==
          "replay: position of trace.entries[0] is 1, expected a committed one");
    CHECK(refused({entry(0, {0, 1}, 4, change::edit)}) ==
          "replay: position of trace.entries[0] is 1, expected a committed one");
    CHECK(refused({good, entry(1, {0, 1}, 4, change::renoise)}) ==
          "replay: position of trace.entries[1] is 1, expected a masked one");
    CHECK(refused({entry(0, {0, 1}, 4, change::fill)}) ==
          "replay: token of trace.entries[0] is 4, expected the end token, as it is a fill");
    CHECK(refused({entry(0, {0, 0}, 0, change::fill)}) ==
          "replay: position of trace.entries[0] is 0, expected a masked one");
    CHECK(refused({entry(0, {0, 1}, 4, change::none)}) ==
          "replay: change of trace.entries[0] is none, expected what happened to the position");
    CHECK(refused({entry(3, {0, 1}, 4), entry(2, {0, 2}, 4)}) ==
          "replay: call of trace.entries[1] is 2, expected at least 3");
    CHECK(refused({entry(-1, {0, 1}, 4)}) == "replay: call of trace.entries[0] is -1, expected at least 0");
    replay(trace_of({good}), page);
    CHECK(page.token(0, 1) == 4);
}

TEST_CASE("the parts of a comparison, worked out by hand") {
    const trace a = trace_of({entry(0, {0, 1}, 4), entry(0, {1, 0}, 5), entry(1, {0, 2}, 6, change::commit, -0.5),
                              entry(2, {0, 3}, 7), entry(3, {0, 3}, 9, change::remask, 0), entry(4, {0, 3}, 7)});
    CHECK(to_string(compare(a, a)) == "The traces make the same changes at the same calls, at 4 positions. Where the "
                                      "tokens agree their log-probabilities are equal.");
    CHECK(to_string(compare({}, {})) == "The traces make the same changes at the same calls, at 0 positions. Where the "
                                        "tokens agree their log-probabilities are equal.");

    // (0, 1) has another token; (0, 2) comes at another call, with another log-probability; (0, 3) is not remasked.
    const trace b = trace_of({entry(0, {0, 1}, 3), entry(0, {1, 0}, 5, change::commit, -1.125),
                              entry(2, {0, 2}, 6, change::commit, -0.75), entry(2, {0, 3}, 7)});
    const trace_difference d = compare(a, b);
    REQUIRE(d.first);
    CHECK(d.first->call == 0);
    CHECK(d.first->where == row{0, 1});
    CHECK(d.positions == 4);
    CHECK(d.different_tokens == 0.25);
    CHECK(d.different_calls == 0.5);
    CHECK(d.log_probability == 0.25);
    REQUIRE(d.least_alike);
    CHECK(*d.least_alike == row{0, 2});
    CHECK(to_string(d) == "The traces differ first at call 0, sequence 0, position 1. Of 4 positions 25 % end with "
                          "different tokens and 50 % were committed at different calls. Where the tokens agree their "
                          "log-probabilities differ by up to 0.25 nats, at sequence 0, position 2.");

    // One that ends earlier: the other's next change is the first difference, and its position has no token.
    const trace_difference shorter = compare(trace_of({a.entries[0]}), trace_of({a.entries[0], a.entries[1]}));
    REQUIRE(shorter.first);
    CHECK(shorter.first->where == row{1, 0});
    CHECK(shorter.positions == 2);
    CHECK(shorter.different_tokens == 0.5);
    CHECK(shorter.different_calls == 0.5);
    CHECK(shorter.log_probability == 0);

    // Whichever comes first, and an edit keeps the call of its commitment.
    CHECK(compare(trace_of({entry(1, {0, 5}, 1)}), trace_of({entry(1, {0, 4}, 1)})).first->where == row{0, 4});
    CHECK(compare(trace_of({entry(1, {0, 5}, 1)}), trace_of({entry(0, {0, 6}, 1)})).first->where == row{0, 6});
    const trace edited = trace_of({entry(0, {0, 1}, 4), entry(7, {0, 1}, 3, change::edit)});
    CHECK(compare(trace_of({entry(0, {0, 1}, 3)}), edited).different_calls == 0);
    CHECK(compare(trace_of({entry(0, {0, 1}, 3)}), edited).different_tokens == 0);

    // What is masked at the end was committed at no call.
    const trace masked = trace_of({entry(0, {0, 1}, 4), entry(1, {0, 1}, 9, change::remask, 0)});
    CHECK(compare(trace_of({entry(0, {0, 1}, 4)}), masked).different_calls == 1);

    // Two −∞ are equal, one is not.
    const trace never = trace_of({entry(0, {0, 1}, 4, change::commit, -std::numeric_limits<double>::infinity())});
    CHECK(compare(never, never).log_probability == 0);
    CHECK(compare(never, trace_of({entry(0, {0, 1}, 4)})).log_probability == std::numeric_limits<double>::infinity());
}

TEST_CASE("every double comes back from a file, to the bit") {
    trace what;
    constexpr double infinite = std::numeric_limits<double>::infinity();
    std::vector<double> numbers{0.0,
                                -0.0,
                                1e-5,
                                0.1,
                                1e22,
                                1e23,
                                infinite,
                                -infinite,
                                std::numeric_limits<double>::quiet_NaN(),
                                std::numeric_limits<double>::max(),
                                std::numeric_limits<double>::denorm_min(),
                                -1.0 / 3.0};
    std::mt19937_64 random(5);
    while (numbers.size() < 2000) {
        const double any = detail::bits_as<double>(random());
        numbers.push_back(any == any ? any : 0.0);
    }
    index_t call = 0;
    for (const double number : numbers) {
        what.entries.push_back({call++, {{1, 4}, 2147483647, {number}, -number, change::edit}});
    }
    what.entries[8].what.log_probability = numbers[8]; // a NaN's sign is not kept
    check_file({std::numeric_limits<std::uint64_t>::max(), {0, 5}, what});
    check_file({{}, {}, {}});
}

TEST_CASE("the lines of a trace file are as documented") {
    const trace_file file{7,
                          {16, 20},
                          trace_of({entry(0, {1, 4}, 318, change::commit, -0.25),
                                    entry(12, {1, 4}, 9, change::remask, -std::numeric_limits<double>::infinity())})};
    std::stringstream out;
    write_trace(out, file);
    CHECK(out.str() ==
          "{\"format\":\"unmask.trace\",\"version\":1,\"seed\":7,\"changes\":2,\"lengths\":[16,20]}\n"
          "{\"step\":0,\"sequence\":1,\"position\":4,\"token\":318,\"score\":-0.25,\"log_probability\":-0.25,"
          "\"change\":\"commit\"}\n"
          "{\"step\":12,\"sequence\":1,\"position\":4,\"token\":9,\"score\":\"-inf\",\"log_probability\":\"-inf\","
          "\"change\":\"remask\"}\n");

    const auto refused = [](const trace_file& wrong) {
        std::stringstream nothing;
        const std::string error = complaint([&] { write_trace(nothing, wrong); });
        CHECK(nothing.str().empty());
        return error;
    };
    CHECK(refused({{}, {5}, trace_of({entry(0, {0, 5}, 1)})}) ==
          "write_trace: position of trace.entries[0] is 5, expected one of the sequence");
    CHECK(refused({{}, {5}, trace_of({entry(0, {1, 0}, 1)})}) ==
          "write_trace: sequence of trace.entries[0] is 1, expected one of the canvas");
    CHECK(refused({{}, {5}, trace_of({entry(1, {0, 0}, 1), entry(0, {0, 0}, 1)})}) ==
          "write_trace: call of trace.entries[1] is 0, expected at least 1");
    CHECK(refused({{}, {5}, trace_of({entry(0, {0, 0}, -1)})}) ==
          "write_trace: token of trace.entries[0] is -1, expected at least 0");
    CHECK(refused({{}, {5}, trace_of({entry(0, {0, 0}, 1, change::none)})}) ==
          "write_trace: change of trace.entries[0] is 0, expected a change other than none");
}

TEST_CASE("a file that is not exactly a trace is refused, with the line") {
    const std::string header = "{\"format\":\"unmask.trace\",\"version\":1,\"changes\":2,\"lengths\":[3]}\n";
    const auto line = [](const std::string& position, const std::string& score, const std::string& step = "4") {
        return "{\"step\":" + step + ",\"sequence\":0,\"position\":" + position + ",\"token\":1,\"score\":" + score +
               ",\"log_probability\":-1,\"change\":\"commit\"}\n";
    };
    const auto refused = [](const std::string& text) {
        std::stringstream in(text);
        return complaint([&] { static_cast<void>(read_trace(in)); });
    };
    const std::string good = line("1", "-0.5");
    CHECK(refused(header + good + good).empty());
    CHECK(refused(header + good + good.substr(0, good.size() - 1)).empty()); // the last newline may be missing
    for (const char* number : {"1e5", "1E+5", "1.5e-7", "0", "-0", "0.10", "\"inf\"", "\"-inf\"", "\"nan\""}) {
        CHECK(refused(header + good + line("1", number)).empty());
    }
    for (const char* number : {"", "007", ".5", "5.", "+1", "--1", "1e", "1e999", "inf", "nan", "\"Inf\"", "0x1", "1 ",
                               " 1", "-", "1.e5", "null", "1-1"}) {
        CAPTURE(number);
        CHECK(refused(header + good + line("1", number)).starts_with("read_trace: line 3 is at "));
    }
    for (const char* position : {"", "3", "-1", "01", "1.0", "\"1\"", "99999999999999999999"}) {
        CAPTURE(position);
        CHECK(refused(header + line(position, "1") + good).starts_with("read_trace: line 2 is at "));
    }
    CHECK(refused(header + good + line("1", "-0.5", "3")) ==
          "read_trace: line 3 is at 3,\"sequence\":0,\"position\":1,\"token\":1,\"s, expected an integer from 4 to "
          "9223372036854775807");
    CHECK(refused("") == "read_trace: line 1 is at its end, expected {\"format\":\"unmask.trace\",\"version\":1,");
    CHECK(refused(header + good) == "read_trace: line 3 is at its end, expected {\"step\":");
    CHECK(refused(header + good + good + good) == "read_trace: line 4 is there, expected the end after 2 changes");
    CHECK(refused(header + good + good + "\n") == "read_trace: line 4 is there, expected the end after 2 changes");
    CHECK(refused("\x1b[2J\xc3\xa9\x7f") ==
          "read_trace: line 1 is at ?[2J???, expected {\"format\":\"unmask.trace\",\"version\":1,");
    // Cut anywhere, or with any one byte changed to one that is nowhere in it, it is no trace file.
    const std::string whole = header + good + line("2", "-0.25");
    for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
        CAPTURE(i);
        CHECK(!refused(whole.substr(0, i)).empty());
        std::string changed = whole;
        changed[i] = '?';
        CHECK(!refused(changed).empty());
    }
}
