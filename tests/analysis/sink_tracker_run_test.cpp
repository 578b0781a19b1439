// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <utility>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/attention/key_value_store.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/sampler/presets.hpp>

#include "../sampler/models.hpp"

// A tracker that watches runs of a sampler, on a small transformer whose weights are random.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 12, .mask = 12, .end = 5};

// Two layers of attention and nothing else. Of a text it computes the positions of `run`, and takes the keys and values
// of the others from the store.
struct small_transformer {
    static constexpr index_t heads = 2;
    static constexpr index_t head_dim = 4;
    static constexpr index_t width = heads * head_dim;

    std::uint64_t seed = 1;

    [[nodiscard]] float weight(std::uint64_t matrix, index_t row, index_t column) const {
        const std::uint64_t word =
            mix(mix(mix(seed + matrix) + static_cast<std::uint64_t>(row)) + static_cast<std::uint64_t>(column));
        return static_cast<float>(static_cast<double>(word >> 11) * 0x1p-52 - 1);
    }

    // Returns the stream behind the last layer.
    template <class Mask>
    std::vector<float> encode(std::span<const token_t> text, range run, const Mask& mask, key_value_store<float>& store,
                              sink_tracker* tracker, index_t sequence) const {
        const index_t length = run.end - run.begin;
        std::vector<float> stream(static_cast<std::size_t>(length * width));
        const auto each = [&](std::vector<float>& to, const auto& value) {
            for (index_t i = 0; i < std::ssize(to); ++i) {
                to[static_cast<std::size_t>(i)] = value(i / width, i % width);
            }
        };
        each(stream, [&](index_t i, index_t d) {
            const index_t position = run.begin + i;
            return weight(0, text[static_cast<std::size_t>(position)], d) + weight(1, position, d);
        });
        for (index_t layer = 0; layer < 2; ++layer) {
            const auto product = [&](std::uint64_t matrix, index_t columns) {
                std::vector<float> result(static_cast<std::size_t>(length * columns));
                for (index_t i = 0; i < length; ++i) {
                    for (index_t c = 0; c < columns; ++c) {
                        for (index_t d = 0; d < width; ++d) {
                            result[static_cast<std::size_t>(i * columns + c)] +=
                                stream[static_cast<std::size_t>(i * width + d)] *
                                weight(matrix + static_cast<std::uint64_t>(10 * layer), d, c);
                        }
                    }
                }
                return result;
            };
            const auto query = product(2, width);
            const auto key = product(3, head_dim); // one head for both
            const auto value = product(4, head_dim);
            std::vector<float> output(query.size());
            std::vector<float> log_sum_exp(static_cast<std::size_t>(heads * length));
            store.write(layer, run.begin, view(key.data(), 1, length, 1, head_dim),
                        view(value.data(), 1, length, 1, head_dim));
            const index_t keys = store.length(layer);
            const attention_tensors<float> tensors{
                view(query.data(), 1, length, heads, head_dim), store.key(layer, keys), store.value(layer, keys),
                view(output.data(), 1, length, heads, head_dim), view(log_sum_exp.data(), 1, heads, length)};
            const attention_options options{.query_offset = run.begin};
            attention_forward(cpu_executor{1}, tensors, mask, no_sink{}, options);
            if (tracker != nullptr) {
                tracker->stream(layer, sequence, view(stream.data(), length, width));
                tracker->attention(cpu_executor{1}, layer, std::span(&sequence, 1), tensors, mask, no_sink{}, options);
            }
            each(stream, [&](index_t i, index_t d) {
                const auto at = static_cast<std::size_t>(i * width + d);
                return stream[at] + output[at];
            });
        }
        if (tracker != nullptr) {
            tracker->stream(2, sequence, view(stream.data(), length, width));
        }
        return stream;
    }

    void predict(std::span<const float> stream, float* logits) const {
        for (token_t token = 0; token < tokens.size; ++token) {
            logits[token] = 0;
            for (index_t d = 0; d < width; ++d) {
                logits[token] += 2 * stream[static_cast<std::size_t>(d)] * weight(5, token, d);
            }
        }
    }
};

// A sequence as the model saw it in a call.
struct sight {
    std::vector<token_t> tokens;
    std::vector<position_state> states;
    index_t rows = 0; // computed
};

class toy_model {
public:
    sink_tracker* tracker = nullptr;
    std::map<std::pair<index_t, index_t>, sight> sights; // by call and sequence

    explicit toy_model(std::uint64_t seed = 1) : layers_{seed} {}

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }

    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> logits) {
        std::map<index_t, key_value_store<float>> stores;
        compute(page, rows, logits, stores, [&](index_t sequence) { return range{0, page.length(sequence)}; });
    }
    void denoise(const canvas& page, std::span<const row> rows, std::span<const cache_use> use,
                 tensor_view<float, 2> logits) {
        compute(page, rows, logits, kept_, [&](index_t sequence) {
            for (const cache_use& each : use) {
                if (each.recompute.sequence == sequence && !each.refresh) {
                    return range{each.recompute.begin, each.recompute.end};
                }
            }
            return range{0, page.length(sequence)};
        });
    }

private:
    template <class Run>
    void compute(const canvas& page, std::span<const row> rows, tensor_view<float, 2> logits,
                 std::map<index_t, key_value_store<float>>& stores, const Run& run_of) {
        std::vector<float> stream;
        range run;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            if (i == 0 || rows[i - 1].sequence != sequence) {
                run = run_of(sequence);
                const auto text = page.tokens(sequence);
                const auto states = page.states(sequence);
                auto& store = stores.try_emplace(sequence, 2, 1, small_transformer::head_dim).first->second;
                stream = layers_.encode(text, run, bidirectional{}, store, tracker, sequence);
                sights[{call_, sequence}] = {to_vector(text), {states.begin(), states.end()}, run.end - run.begin};
            }
            const index_t at = (position - run.begin) * small_transformer::width;
            layers_.predict(std::span(stream).subspan(static_cast<std::size_t>(at)), logits.pointer(i));
        }
        ++call_;
    }

    small_transformer layers_;
    std::map<index_t, key_value_store<float>> kept_;
    index_t call_ = 0;
};

canvas some_page() {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2, 12, 4}, 14);
    page.add({}, 9, 4);
    page.add_infill(std::vector<token_t>{1, blank, 2, 2, 3, blank, 4}, 9);
    return page;
}

using texts = std::vector<std::vector<token_t>>;

texts texts_of(const canvas& page) {
    texts result;
    for (index_t i = 0; i < page.sequences(); ++i) {
        result.push_back(to_vector(page.tokens(i)));
    }
    return result;
}

// Runs with a tracker and without; every record has to say what the model saw and what the canvas then held. `vague`
// are changes of which a step doesn't tell what was before.
template <class Sampler>
index_t check_run(const Sampler& sampler, std::uint64_t seed, std::vector<change> vague = {}) {
    canvas plain = some_page();
    toy_model unwatched(seed);
    sampler(cpu_executor{1}, unwatched, plain, seed);

    sink_tracker tracker;
    toy_model model(seed);
    model.tracker = &tracker;
    canvas page = some_page();
    const index_t sequences = page.sequences();
    std::vector<texts> after;
    std::map<std::pair<index_t, index_t>, std::vector<index_t>> unclear; // positions, by call and sequence
    const statistics run = sampler(cpu_executor{1}, model, page, seed, [&](const sampler_step& step) {
        tracker(step);
        after.push_back(texts_of(step.canvas));
        for (const commitment& what : step.commitments) {
            if (std::find(vague.begin(), vague.end(), what.change) != vague.end()) {
                unclear[{step.call, what.where.sequence}].push_back(what.where.position);
            }
        }
    });
    REQUIRE(texts_of(page) == texts_of(plain));
    REQUIRE(tracker.calls() == run.calls);
    REQUIRE(tracker.records().size() == model.sights.size());
    for (const sink_record& record : tracker.records()) {
        CAPTURE(record.call);
        CAPTURE(record.sequence);
        const sight& seen = model.sights.at({record.call, record.sequence});
        const bool twin = record.sequence >= sequences;
        const index_t sequence = record.sequence % sequences;
        REQUIRE(record.length == std::ssize(seen.states));
        REQUIRE(record.masked.size() == seen.states.size());
        REQUIRE(record.tokens.size() == seen.states.size());
        const auto& unknown = unclear[{record.call, sequence}];
        for (std::size_t i = 0; i < seen.states.size(); ++i) {
            CAPTURE(i);
            const bool given = seen.states[i] == position_state::prompt;
            if (std::find(unknown.begin(), unknown.end(), static_cast<index_t>(i)) == unknown.end()) {
                REQUIRE((record.masked[i] == 1) == (seen.states[i] == position_state::masked || (twin && given)));
            }
            const auto& text = after[static_cast<std::size_t>(record.call)][static_cast<std::size_t>(sequence)];
            REQUIRE(record.tokens[i] == (twin && given ? tokens.mask : text[i]));
        }
        REQUIRE(record.layers == 2);
        REQUIRE(record.heads == 2);
        REQUIRE(record.kv_heads == 1);
        REQUIRE(record.similarity.size() == 3);
        for (std::size_t head = 0; head < 4; ++head) { // every row gives 1
            const auto row = record.received.begin() + static_cast<std::ptrdiff_t>(head) * record.keys();
            REQUIRE(std::accumulate(row, row + record.keys(), 0.0F) == doctest::Approx(static_cast<double>(seen.rows)));
        }
        for (const index_t count : record.seen_by) {
            REQUIRE(count == seen.rows);
        }
    }
    return tracker.calls();
}

} // namespace

TEST_CASE("a run is the same with a tracker, and every record tells what the model saw") {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        CAPTURE(seed);
        CHECK(check_run(presets::llada({.steps = 9, .block_length = 6, .temperature = 0.8}), seed) > 6);
        check_run(sampler{threshold{0.3}, categorical{}}, seed);
        check_run(sampler{steps{6}, categorical{}, stop_at_end{}}, seed);
        check_run(presets::llada21({.threshold = 0.3, .edit_threshold = 0.2, .edit_rounds = 4}), seed);
        check_run(sampler{steps{8}, entropy_renoise{}, never_stop{}, categorical{}}, seed);
    }
}

TEST_CASE("what is masked again in a step was not masked before it, if no step without a call came between") {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        CAPTURE(seed);
        check_run(presets::remdm({.steps = 12}, remdm_conf{}), seed, {change::remask});
    }
}

TEST_CASE("with guidance the twins have records of their own") {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        CAPTURE(seed);
        check_run(presets::llada({.steps = 9, .temperature = 0.8}).with(guidance{0.5}), seed);
    }
}

TEST_CASE("approximate caches: the rows that a call computes, and all keys") {
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        CAPTURE(seed);
        check_run(sampler{steps{8}, block_length{5}, never_stop{}, dual_cache{}}, seed);
        check_run(sampler{steps{8}, block_length{5}, never_stop{}, prefix_cache{.refresh_every = 3}}, seed);
    }
}

namespace {

// Block by block, with an exact cache; reports in denoise alone.
struct toy_blocks {
    small_transformer layers{};
    sink_tracker* tracker = nullptr;
    std::map<index_t, key_value_store<float>> kept{};
    std::vector<range> runs{};

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    [[nodiscard]] index_t block_length() const { return 4; }

    void prefill(const canvas& page, const position_range& all) {
        kept.insert_or_assign(all.sequence, key_value_store<float>(2, 1, small_transformer::head_dim));
        commit(page, all);
    }
    void commit(const canvas& page, const position_range& all) {
        auto& store = kept.at(all.sequence);
        if (all.end > all.begin) {
            store.truncate(all.begin);
            layers.encode(page.tokens(all.sequence), {all.begin, all.end}, block{4}, store, nullptr, all.sequence);
        }
        final_[all.sequence] = all.end;
    }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> logits) {
        const index_t sequence = rows[0].sequence; // there is one
        const range run{final_[sequence], std::min(final_[sequence] + 4, page.length(sequence))};
        auto& store = kept.at(sequence);
        store.truncate(run.begin);
        const auto stream = layers.encode(page.tokens(sequence), run, block{4}, store, tracker, sequence);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const index_t at = (rows[i].position - run.begin) * small_transformer::width;
            layers.predict(std::span(stream).subspan(static_cast<std::size_t>(at)), logits.pointer(i));
        }
        runs.push_back(run);
    }

private:
    std::map<index_t, index_t> final_;
};

} // namespace

TEST_CASE("an exact cache: new queries, and the keys up to the end of their block") {
    sink_tracker tracker;
    toy_blocks model;
    model.tracker = &tracker;
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2, 3, 4, 5}, 13);
    sampler{steps{14}, never_stop{}}(cpu_executor{1}, model, page, 1, tracker);
    REQUIRE(tracker.records().size() == model.runs.size());
    REQUIRE(model.runs.back().begin > 4);
    for (std::size_t i = 0; i < model.runs.size(); ++i) {
        CAPTURE(i);
        const sink_record& record = tracker.records()[i];
        CHECK(record.length == model.runs[i].end);
        CHECK(record.tokens.size() == static_cast<std::size_t>(record.length));
        CHECK(record.seen_by == std::vector<index_t>(static_cast<std::size_t>(2 * record.length),
                                                     model.runs[i].end - model.runs[i].begin));
        const auto masked = std::count(record.masked.begin(), record.masked.end(), 1);
        CHECK(masked >= 1);
        CHECK(masked <= model.runs[i].end - model.runs[i].begin);
    }
    CHECK(page.masked() == 0);
}

TEST_CASE("a tracker watches one run, and of one canvas") {
    sink_tracker tracker({.every = 2});
    toy_model model;
    model.tracker = &tracker;
    const sampler sampler{steps{5}, never_stop{}};
    canvas page = some_page();
    sampler(cpu_executor{1}, model, page, 1, tracker);
    CHECK(tracker.calls() == 5);
    std::vector<index_t> calls;
    for (const sink_record& record : tracker.records(0)) {
        calls.push_back(record.call);
    }
    CHECK(calls == std::vector<index_t>{0, 2, 4});

    const auto run = [&] { sampler(cpu_executor{1}, model, page, 1, tracker); };
    page = some_page();
    CHECK(complaint(run) ==
          "sink_tracker: step.call is 0, expected 5: a tracker watches one run; clear() it before the "
          "next");
    CHECK(texts_of(page) == texts_of(some_page()));

    tracker.clear();
    const std::vector<float> ones(4, 1);
    const std::vector<index_t> counts(4, 4);
    tracker.received(0, 6, view(ones.data(), 1, 4), counts, view(ones.data(), 1, 4)); // of a model with other sequences
    tracker.received(1, 6, view(ones.data(), 1, 4), counts, view(ones.data(), 1, 4));
    CHECK(complaint(run) ==
          "sink_tracker: a sequence that was reported is 6, expected below 3, or twice that with guidance");

    tracker.clear();
    run();
    CHECK(tracker.calls() == 5);
}

TEST_CASE("a model that isn't told of its steps is told so") {
    sink_tracker tracker;
    toy_model model;
    model.tracker = &tracker;
    canvas page = some_page();
    CHECK(complaint([&] { sampler{steps{5}}(cpu_executor{1}, model, page, 1); }) ==
          "sink_tracker::stream: layer is 0, expected the next one of sequence 0, of which this call has 3 (each is "
          "reported once, in order, and a step ends the call)");
}

TEST_CASE("more keys than positions: what they stand for is not said") {
    sink_tracker tracker;
    const std::vector<float> ones(9, 1);
    tracker.received(0, 0, view(ones.data(), 1, 9), std::vector<index_t>(9, 9), view(ones.data(), 1, 9), 1);
    tracker.received(0, 1, view(ones.data(), 1, 8), std::vector<index_t>(8, 8), view(ones.data(), 1, 8), 1);
    canvas page(tokens);
    page.add({}, 7);
    page.add({}, 7);
    tracker(sampler_step{0, page, {}, 14});
    CHECK(tracker.records(0)[0].tokens.empty());
    CHECK(tracker.records(0)[0].masked.empty());
    CHECK(tracker.records(1)[0].tokens == std::vector<token_t>(7, tokens.mask));
    CHECK(tracker.records(1)[0].masked == std::vector<std::uint8_t>(7, 1));
}

TEST_CASE("what was masked, of a step written out by hand") {
    canvas page(tokens);
    page.add(std::vector<token_t>{1}, 5);
    page.commit(0, 1, 2);
    page.commit(0, 2, 3);
    page.commit(0, 3, 4);
    sink_tracker tracker;
    const auto close = [&](index_t call, const std::vector<std::pair<index_t, change>>& changes) {
        std::vector<commitment> all;
        for (const auto& [position, what] : changes) {
            all.push_back({{0, position}, page.token(0, position), {}, 0, what});
        }
        const std::vector<float> ones(6, 1);
        tracker.received(0, 0, view(ones.data(), 1, 6), std::vector<index_t>(6, 6), view(ones.data(), 1, 6));
        tracker(sampler_step{call, page, all, page.masked()});
        return tracker.records().back().masked;
    };
    using masks = std::vector<std::uint8_t>;
    // Nothing is known of what was before: position 1 was committed, 2 was filled, 3 edited, 4 masked again.
    CHECK(close(0, {{1, change::commit}, {2, change::fill}, {3, change::edit}, {4, change::remask}}) ==
          masks{0, 1, 1, 0, 0, 1});
    // Of the next call it is: positions 4 and 5 were masked, whatever the step says of the others.
    page.commit(0, 4, 1);
    page.commit(0, 5, tokens.end.value());
    CHECK(close(1, {{3, change::fill}, {4, change::commit}, {5, change::fill}}) == masks{0, 0, 0, 0, 1, 1});
    // Masked again before the call, and then filled by it.
    CHECK(close(2, {{4, change::remask}, {4, change::commit}}) == masks{0, 0, 0, 0, 1, 0});
}
