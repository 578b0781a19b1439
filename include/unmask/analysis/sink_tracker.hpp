// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/analysis/detail/masked_at_call.hpp>
#include <unmask/analysis/detail/measured_keys.hpp>
#include <unmask/analysis/detail/open_call.hpp>
#include <unmask/analysis/mixing.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/attention/attention.hpp>
#include <unmask/attention/detail/checks.hpp>
#include <unmask/attention/tensors.hpp>
#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// Options of a sink_tracker: what it records.
struct sink_tracker_options {
    index_t every = 1;                             ///< records calls 0, every, 2 · every, … of the model
    std::vector<index_t> layers{};                 ///< the layers to record, ascending; all if empty
    std::size_t most_bytes = std::size_t{1} << 30; ///< stops recording calls once the records take this much
};

/// Records where a model's attention goes during a sampler's run: a sink_record for each sequence and call. The model
/// needs one hook, after attention_forward in each layer, and the run gets the tracker as its observer:
///
///     if (tracker != nullptr) { // a member of the model: unmask::sink_tracker*
///         tracker->attention(exec, layer, sequences, tensors, mask, sink, options); // as for attention_forward
///     }
///
///     unmask::sink_tracker tracker;
///     model.tracker = &tracker;
///     sampler(exec, model, canvas, seed, tracker);
///     tracker.records(); // for movement_of, sink_rate, write_sink_html, …
///
/// The tracker never writes to its arguments: a run gives the same tokens with or without it. Without a sampler, end
/// each call with end_call(). Layers are numbered from 0 and reported in order, each once per call, by denoise() but
/// not by prefill() or commit(). A tracker is for one run: clear() it before the next. It can't be copied, because
/// models point to it.
///
/// With guidance, a model is called on a canvas with a twin of each sequence. The twin of sequence s, in which the
/// prompt counts as masked, is recorded as sequence s + canvas.sequences().
///
/// Models may report different sequences concurrently from several threads. All other functions, including the observer
/// call, must not run concurrently with a report; in a sampler's run they don't.
///
/// Work for a recorded layer: attention_received, which is half of the products of attention_forward, plus O(length);
/// for any other layer, a comparison. Memory of a record: layers · keys · (4 · (2 · heads + kv_heads) + 8) bytes.
class sink_tracker {
public:
    /// An empty tracker. Throws invalid_argument if `every` is below 1, or the layers are negative or not ascending.
    explicit sink_tracker(sink_tracker_options options = {}) : options_(std::move(options)) {
        const detail::checker check{"sink_tracker"};
        check.expects(options_.every >= 1, "options.every", options_.every, "at least 1");
        index_t least = 0;
        for (const index_t layer : options_.layers) {
            check.expects(layer >= least, "options.layers", layer, "at least 0 and more than the one before");
            least = layer + 1;
        }
        clear();
    }

    /// True if a report of this layer would be recorded now: for models that must do work before they can report.
    [[nodiscard]] bool wants(index_t layer) const {
        const auto& chosen = options_.layers;
        return recording_ && (chosen.empty() || std::binary_search(chosen.begin(), chosen.end(), layer));
    }

    /// Reports the attention of a layer, after attention_forward with the same arguments; log_sum_exp and value are
    /// required, output is not. sequences[b] is the sequence of the canvas that row b of the batch belongs to.
    ///
    /// A model with a cache reports the part that it computes: queries from options.query_offset on, and all
    /// keys. The sink tokens of an extra_sink mask come last in the record, and don't count as queries, because
    /// they attend only to themselves. If extra_sink is only part of a mask, as in extra_sink{…} && …, they are
    /// treated like other tokens; write extra_sink{a && b} instead. A folded sink comes after all keys; its value
    /// norm is 0 if it has no value.
    ///
    /// Throws invalid_argument, with nothing recorded, as attention_forward does, and if the number of sequences is not
    /// that of the rows, a sequence is named twice, a layer is not the next one of its sequence, or the number of heads
    /// or keys differs from that of the layers before.
    template <class Executor, class T, class Mask, class Sink = no_sink>
    void attention(const Executor& exec, index_t layer, std::span<const index_t> sequences,
                   const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink = {},
                   const attention_options& options = {}) {
        if constexpr (detail::runs_on_cuda<Executor>) {
            static_assert(detail::never<Executor>, "unmask::sink_tracker: what attention_received computed on a GPU is "
                                                   "reported by received()");
        } else if constexpr (!detail::has_whole_sequences<Executor>) {
            static_assert(detail::never<Executor>, "unmask::sink_tracker: what attention_received computed over ranks "
                                                   "is gathered, and reported by received()");
        } else {
            detail::check_attention_types<Executor, T, Mask, Sink>();
            if constexpr (detail::attention_types<Executor, T, Mask, Sink>) {
                add_attention(exec, layer, sequences, tensors, mask, sink, options);
            }
        }
    }

    /// Reports the attention of a layer for one sequence that was measured elsewhere, for instance on a GPU. `received`
    /// is [heads, keys], the result of attention_received without the rows of sink tokens; value_norms is [kv_heads,
    /// keys]; seen_by is [keys], as the function of that name returns it. The last `sinks` keys are extra sinks. Throws
    /// as attention() does.
    void received(index_t layer, index_t sequence, const tensor_view<const float, 2>& received,
                  std::span<const index_t> seen_by, const tensor_view<const float, 2>& value_norms, index_t sinks = 0) {
        if (!wants(layer)) {
            return;
        }
        const detail::checker check{"sink_tracker::received"};
        const auto [heads, keys] = received.extents;
        const index_t kv_heads = value_norms.extents[0];
        check.expects(heads >= 1, "received.extents[0] (heads)", heads, "at least 1");
        check.expects(keys >= 0, "received.extents[1] (keys)", keys, "at least 0");
        check.expects(kv_heads >= 1 && heads % kv_heads == 0, "value_norms.extents[0] (kv_heads)", kv_heads,
                      "a divisor of heads (" + std::to_string(heads) + ")");
        check.tensor(received, "received", {heads, keys});
        check.tensor(value_norms, "value_norms", {kv_heads, keys});
        check.expects(std::ssize(seen_by) == keys, "seen_by.size()", std::ssize(seen_by),
                      "one a key (" + std::to_string(keys) + ")");
        check.expects(sinks >= 0 && sinks <= keys, "sinks", sinks, "between 0 and " + std::to_string(keys));
        const detail::key_counts count{heads, kv_heads, keys - sinks, sinks};
        open_.check_layer(check, layer, place_of(layer), sequence, count);
        open_.add_layer(sequence, count, elements_of(received), seen_by, elements_of(value_norms));
    }

    /// Reports the residual stream [positions, width] of a sequence before a layer or, if `layer` is the number of
    /// layers, after the last, for the record's similarity. Optional, but for all layers or none. Leave out sink
    /// tokens, so that models with and without them can be compared. If options.layers is not empty, the record has the
    /// streams before these layers, and the last one that was reported.
    ///
    /// Throws invalid_argument, with nothing recorded, if the stream is not the next one of its sequence, or if the
    /// innermost stride is not 1. Work: O(positions · width).
    void stream(index_t layer, index_t sequence, const tensor_view<const float, 2>& rows) {
        const bool past_chosen = !options_.layers.empty() && layer > options_.layers.back();
        if (!wants(layer) && !(recording_ && past_chosen)) {
            return;
        }
        const detail::checker check{"sink_tracker::stream"};
        check.tensor(rows, "rows", rows.extents);
        open_.check_stream(check, layer, place_of(layer), sequence, past_chosen);
        open_.add_stream(sequence, place_of(layer), mean_pairwise_cosine(rows));
    }

    /// Ends a call: the sampler calls it after every step. It adds the masked positions of the call and the tokens
    /// after the step to the records, except to those with more keys than the sequence has positions, as with a shadow
    /// block. (Positions that remdm masks again in a step without a call count as not masked in the next one.)
    ///
    /// Throws invalid_argument if the step is not the next one of the run, if a reported sequence is not on the canvas,
    /// or if the sequences have different numbers of layers.
    void operator()(const sampler_step& step) {
        const detail::checker check{"sink_tracker"};
        check.expects(step.call == calls_, "step.call", step.call,
                      std::to_string(calls_) + ": a tracker watches one run; clear() it before the next");
        const index_t sequences = step.canvas.sequences();
        if (const auto& records = open_.records(); !records.empty()) {
            const index_t last = records.back().sequence;
            check.expects(last < 2 * sequences, "a sequence that was reported", last,
                          "below " + std::to_string(sequences) + ", or twice that with guidance");
        }
        open_.check_complete(check, layers_);
        for (sink_record& record : open_.records()) {
            add_canvas(step, record.sequence % sequences, record.sequence >= sequences, record);
        }
        close();
        if (recording_) {
            masked_.remember(step.canvas);
        }
    }

    /// Ends a call outside of a sampler's run. Throws invalid_argument if the sequences have different numbers of
    /// layers.
    void end_call() {
        open_.check_complete({"sink_tracker::end_call"}, layers_);
        close();
        masked_.forget();
    }

    /// All records, by sequence and then by call, so that the records of a sequence are contiguous. Valid until the
    /// next call ends.
    [[nodiscard]] std::span<const sink_record> records() const { return {records_.data(), records_.size()}; }

    /// The records of one sequence, by call.
    [[nodiscard]] std::span<const sink_record> records(index_t sequence) const {
        const sink_record* first = records_.data();
        const auto [begin, end] = std::equal_range(first, first + records_.size(), sequence, by_sequence{});
        return {begin, static_cast<std::size_t>(end - begin)};
    }

    /// Number of calls that have ended, recorded or not.
    [[nodiscard]] index_t calls() const { return calls_; }

    /// Number of calls that were not recorded because the records had reached most_bytes.
    [[nodiscard]] index_t lost() const { return lost_; }

    /// Discards all records, and any call that has not ended.
    void clear() {
        open_.records().clear();
        records_.clear();
        masked_.forget();
        bytes_ = 0;
        calls_ = 0;
        lost_ = 0;
        layers_ = std::ssize(options_.layers);
        recording_ = options_.most_bytes > 0;
    }

private:
    struct by_sequence {
        bool operator()(const sink_record& a, const sink_record& b) const { return a.sequence < b.sequence; }
        bool operator()(const sink_record& a, index_t b) const { return a.sequence < b; }
        bool operator()(index_t a, const sink_record& b) const { return a < b.sequence; }
    };

    template <class Executor, class T, class Mask, class Sink>
    void add_attention(const Executor& exec, index_t layer, std::span<const index_t> sequences,
                       const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink,
                       const attention_options& options) {
        if (!wants(layer)) {
            return;
        }
        const detail::checker check{"sink_tracker::attention"};
        detail::check_inputs(check, tensors, mask, sink, options);
        check.expects(options.key_offset == 0, "options.key_offset", options.key_offset, "0: all keys are measured");
        const auto [batch, query_length, heads, head_dim] = tensors.query.extents;
        check.tensor(tensors.value, "value", tensors.key.extents);
        check.tensor(tensors.log_sum_exp, "log_sum_exp", {batch, heads, query_length});
        check_sequences(check, sequences, batch);
        const auto call = detail::resolve(tensors, options);
        std::vector<detail::key_counts> counts;
        for (const index_t sequence : sequences) {
            counts.push_back(detail::count_keys<Sink>(call, mask, std::ssize(counts)));
            open_.check_layer(check, layer, place_of(layer), sequence, counts.back());
        }
        const auto measured = detail::measure_keys(exec, call, mask, sink);
        for (std::size_t b = 0; b < measured.size(); ++b) {
            open_.add_layer(sequences[b], counts[b], measured[b].received, measured[b].seen_by, measured[b].value_norms,
                            measured[b].own);
        }
    }

    static void check_sequences(const detail::checker& check, std::span<const index_t> sequences, index_t batch) {
        check.expects(std::ssize(sequences) == batch, "sequences.size()", std::ssize(sequences),
                      "one a row of the batch (" + std::to_string(batch) + ")");
        std::vector<index_t> sorted(sequences.begin(), sequences.end());
        std::sort(sorted.begin(), sorted.end());
        const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
        check.expects(twice == sorted.end(), "sequences",
                      twice == sorted.end() ? "" : std::to_string(*twice) + " twice", "each sequence once");
    }

    static std::vector<float> elements_of(const tensor_view<const float, 2>& matrix) {
        std::vector<float> result;
        for (index_t row = 0; row < matrix.extents[0]; ++row) {
            result.insert(result.end(), matrix.pointer(row), matrix.pointer(row) + matrix.extents[1]);
        }
        return result;
    }

    // The index of a layer in the records; one past the last for a layer after all chosen ones.
    [[nodiscard]] index_t place_of(index_t layer) const {
        const auto& chosen = options_.layers;
        return chosen.empty() ? layer : std::lower_bound(chosen.begin(), chosen.end(), layer) - chosen.begin();
    }

    void add_canvas(const sampler_step& step, index_t sequence, bool twin, sink_record& record) const {
        const canvas& page = step.canvas;
        if (record.length > page.length(sequence)) {
            return;
        }
        const auto length = static_cast<std::size_t>(record.length);
        const auto tokens = page.tokens(sequence).first(length);
        record.tokens.assign(tokens.begin(), tokens.end());
        record.masked = masked_(step, sequence);
        record.masked.resize(length);
        for (std::size_t i = 0; twin && i < length; ++i) {
            if (page.states(sequence)[i] == position_state::prompt) {
                record.tokens[i] = page.vocabulary().mask;
                record.masked[i] = 1;
            }
        }
    }

    static std::size_t bytes_of(const sink_record& record) {
        return sizeof(float) * (record.received.size() + record.value_norms.size() + record.own.size()) +
               sizeof(index_t) * record.seen_by.size() + sizeof(double) * record.similarity.size() +
               sizeof(token_t) * record.tokens.size() + record.masked.size() + sizeof record;
    }

    void close() {
        // Merges what is new, which is in order too, from the back: a record goes behind the earlier ones of its
        // sequence.
        std::list<sink_record>& added = open_.records();
        std::size_t old = records_.size();
        std::size_t place = old + added.size();
        records_.resize(place);
        for (auto next = added.end(); next != added.begin();) {
            sink_record& record = *--next;
            record.call = calls_;
            layers_ = record.layers;
            bytes_ += bytes_of(record);
            while (old > 0 && records_[old - 1].sequence > record.sequence) {
                records_[--place] = std::move(records_[--old]);
            }
            records_[--place] = std::move(record);
        }
        added.clear();
        const auto due = [this] { return calls_ % options_.every == 0; };
        lost_ += due() && !recording_ ? 1 : 0;
        ++calls_;
        recording_ = due() && bytes_ < options_.most_bytes;
    }

    sink_tracker_options options_;
    bool recording_ = false;
    index_t calls_ = 0;
    index_t lost_ = 0;
    index_t layers_ = 0; // of a record; 0 until known
    std::size_t bytes_ = 0;
    detail::open_call open_;
    detail::masked_at_call masked_;
    std::vector<sink_record> records_;
};

static_assert(sampler_observer<sink_tracker>);

UNMASK_NAMESPACE_END
