// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// Where are a model's attention sinks? A small model with two attention heads writes a part of the alphabet, and a
/// sink_tracker watches. Attention has to go somewhere: a position that has nothing to read rests at the last hole,
/// which moves as holes are filled. With one extra sink it rests there, whatever the page holds. Exits with 0 if that
/// is so.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/no_sink.hpp>

using unmask::index_t;
using unmask::token_t;

namespace {

constexpr token_t letters = 26;
constexpr index_t heads = 2;           // one reads the letter on the left, the other the letter on the right
constexpr index_t head_dim = 32;       // 26 for positions in keys, and for letters in values;
constexpr index_t emptiness = 31;      // one for how good a key is to rest at
constexpr float importance = 30;       // of reading, in nats
constexpr float sink_emptiness = 20;   // a hole has its position, at most 12
constexpr float confidence_scale = 20; // from what was read to logits

/// One layer with weights that are written down, not learned. Sink is no_sink, or the extra sink token folded into the
/// softmax.
template <class Sink>
struct alphabet_model {
    Sink sink;
    unmask::sink_tracker* tracker = nullptr;

    unmask::vocabulary vocabulary() const { return {.size = letters, .mask = letters, .end = {}}; }

    void denoise(const unmask::canvas& canvas, std::span<const unmask::row> rows,
                 unmask::tensor_view<float, 2> logits) const {
        const index_t sequence = rows[0].sequence; // the only one
        const std::span<const token_t> page = canvas.tokens(sequence);
        const auto length = static_cast<index_t>(page.size());
        std::vector<float> query(page.size() * heads * head_dim);
        std::vector<float> key(page.size() * head_dim);
        std::vector<float> value(page.size() * head_dim);
        std::vector<float> output(query.size());
        std::vector<float> log_sum_exp(page.size() * heads);
        const unmask::attention_tensors<float> tensors{
            .query = unmask::view(query.data(), 1, length, heads, head_dim),
            .key = unmask::view(key.data(), 1, length, 1, head_dim),
            .value = unmask::view(value.data(), 1, length, 1, head_dim),
            .output = unmask::view(output.data(), 1, length, heads, head_dim),
            .log_sum_exp = unmask::view(log_sum_exp.data(), 1, heads, length)};
        for (index_t i = 0; i < length; ++i) {
            const auto at = static_cast<std::size_t>(i * head_dim);
            write_position(page, i, &query[heads * at], &key[at], &value[at]);
        }

        const unmask::cpu_executor exec{};
        const unmask::bidirectional mask{};
        const unmask::attention_options options{.scale = 1.0F};
        unmask::attention_forward(exec, tensors, mask, sink, options);
        if (tracker != nullptr) { // all that the tracker asks of a model
            tracker->attention(exec, /*layer=*/0, std::span(&sequence, 1), tensors, mask, sink, options);
        }

        for (std::size_t row = 0; row < rows.size(); ++row) {
            for (token_t letter = 0; letter < letters; ++letter) {
                const float before = letter > 0 ? tensors.output(0, rows[row].position, 0, letter - 1) : 0;
                const float after = letter + 1 < letters ? tensors.output(0, rows[row].position, 1, letter + 1) : 0;
                logits(row, letter) = confidence_scale * std::max(before, after);
            }
        }
    }

private:
    // A letter has its position as its key and itself as its value. A hole has neither, and asks for its neighbours;
    // the further right it is, the better is it to rest at.
    static void write_position(std::span<const token_t> page, index_t i, float* query, float* key, float* value) {
        float* const left = query;
        float* const right = query + head_dim;
        left[emptiness] = right[emptiness] = 1;
        if (const token_t token = page[static_cast<std::size_t>(i)]; token != letters) {
            key[i] = 1;
            value[token] = 1;
            return;
        }
        key[emptiness] = static_cast<float>(i);
        if (i > 0) {
            left[i - 1] = importance;
        }
        if (i + 1 < std::ssize(page)) {
            right[i + 1] = importance;
        }
    }
};

/// Fills a page and prints each call: what the model saw, and where the attention of its first head went. Returns how
/// the sink moved, where a sink is a key with more than 30 % of the attention.
template <class Sink>
unmask::sink_movement watch(const char* title, const Sink& sink) {
    unmask::sink_tracker tracker;
    alphabet_model<Sink> model{sink, &tracker};
    unmask::canvas canvas(model.vocabulary());
    std::vector<token_t> page(13, unmask::blank);
    page[10] = 'k' - 'a';
    canvas.add_infill(page);
    unmask::sampler{unmask::threshold{0.9}}(unmask::cpu_executor{}, model, canvas, /*seed=*/1, tracker);

    std::printf("%s\n", title);
    for (const unmask::sink_record& record : tracker.records()) {
        const std::vector<double> received = unmask::received_in(record, 0, 0, unmask::attention_unit::percent);
        const auto most = std::max_element(received.begin(), received.end());
        const index_t key = most - received.begin(); // the extra sink comes after the positions
        std::string text;
        for (std::size_t i = 0; i < record.masked.size(); ++i) {
            text += record.masked[i] != 0 ? '_' : static_cast<char>('a' + record.tokens[i]);
        }
        const std::string name = key < record.length ? "position " + std::to_string(key) : "the extra sink";
        std::printf("  %s   %3.0f %% of the attention is on %s\n", text.c_str(), *most, name.c_str());
    }
    const auto movement = unmask::movement_of(tracker.records(), 0, 0, unmask::above_share{0.3});
    std::printf("  the sink changes in %.0f %% of the steps\n", 100 * movement.change_rate);
    return movement;
}

} // namespace

int main() {
    const unmask::sink_movement without = watch("no extra sink: the sink moves", unmask::no_sink{});

    std::vector<float> key(head_dim);
    key[emptiness] = sink_emptiness;
    const std::vector<float> value(head_dim); // it has nothing to say
    const unmask::key_value_sink extra{unmask::view(key.data(), 1, head_dim), unmask::view(value.data(), 1, head_dim)};
    const unmask::sink_movement with = watch("one extra sink: it stays", extra);

    const bool moves = without.gated > 5 && without.change_rate > 0.5;
    const bool stays = with.gated == with.steps && with.change_rate == 0 && with.strength > 0.9;
    return moves && stays ? 0 : 1;
}
