// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/detail/measured_keys.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/attention/detail/checks.hpp>
#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The records of a call of the model that has not ended, in rising order of their sequences. Different sequences may be
// added to at the same time: the mutex guards the list, and a record is touched by the thread alone that reports its
// sequence. A place is a layer's index in the record.
class open_call {
public:
    void check_layer(const checker& check, index_t layer, index_t place, index_t sequence,
                     const key_counts& count) const {
        check.expects(sequence >= 0, "sequence", sequence, "at least 0");
        const sink_record* known = find(sequence);
        const index_t layers = known == nullptr ? 0 : known->layers;
        check.expects(place == layers, "layer", layer, next(sequence, layers));
        const auto same = [&](const char* what, index_t is, index_t was) {
            check.expects(is == was, what, is, std::to_string(was) + ", as in the layers before");
        };
        if (layers > 0) {
            same("heads", count.heads, known->heads);
            same("kv_heads", count.kv_heads, known->kv_heads);
            same("the length of a sequence", count.length, known->length);
            same("the number of sinks", count.sinks, known->sinks);
        }
    }

    void add_layer(index_t sequence, const key_counts& count, const std::vector<float>& received,
                   std::span<const index_t> seen_by, const std::vector<float>& value_norms,
                   const std::vector<float>& own = {}) {
        const auto append = [](auto& to, const auto& what) {
            to.insert(to.end(), what.data(), what.data() + what.size());
        };
        sink_record& record = open(sequence);
        ++record.layers;
        record.heads = count.heads;
        record.kv_heads = count.kv_heads;
        record.length = count.length;
        record.sinks = count.sinks;
        append(record.received, received);
        append(record.seen_by, seen_by);
        append(record.value_norms, value_norms);
        append(record.own, own);
    }

    // A stream may come again, if it is the last one so far.
    void check_stream(const checker& check, index_t layer, index_t place, index_t sequence, bool again) const {
        check.expects(sequence >= 0, "sequence", sequence, "at least 0");
        const sink_record* known = find(sequence);
        const index_t streams = known == nullptr ? 0 : std::ssize(known->similarity);
        check.expects(place == streams || (again && place + 1 == streams), "layer", layer, next(sequence, streams));
    }

    void add_stream(index_t sequence, index_t place, double similarity) {
        std::vector<double>& all = open(sequence).similarity;
        all.resize(static_cast<std::size_t>(place) + 1);
        all.back() = similarity;
    }

    // Every sequence has so many layers, as many as the first one if that is 0.
    void check_complete(const checker& check, index_t layers) const {
        for (const sink_record& record : records_) {
            layers = layers == 0 ? record.layers : layers;
            check.expects(record.layers == layers && layers > 0, "the number of layers of a sequence", record.layers,
                          layers > 0 ? std::to_string(layers) + ", as of all others" : "at least 1");
            const index_t streams = std::ssize(record.similarity);
            check.expects(streams == 0 || streams == layers + 1, "the number of streams of a sequence", streams,
                          "0, or one before each layer and one after the last (" + std::to_string(layers + 1) + ")");
        }
    }

    [[nodiscard]] std::list<sink_record>& records() { return records_; }

private:
    static std::string next(index_t sequence, index_t known) {
        return "the next one of sequence " + std::to_string(sequence) + ", of which this call has " +
               std::to_string(known) + " (each is reported once, in order, and a step ends the call)";
    }

    // The first record that is not of a lower sequence.
    template <class Records>
    static auto first_from(Records& records, index_t sequence) {
        return std::find_if(records.begin(), records.end(),
                            [&](const sink_record& each) { return each.sequence >= sequence; });
    }

    [[nodiscard]] const sink_record* find(index_t sequence) const {
        const std::lock_guard lock(mutex_);
        const auto found = first_from(records_, sequence);
        return found != records_.end() && found->sequence == sequence ? &*found : nullptr;
    }

    // References stay valid when others are added.
    sink_record& open(index_t sequence) {
        const std::lock_guard lock(mutex_);
        auto found = first_from(records_, sequence);
        if (found == records_.end() || found->sequence != sequence) {
            found = records_.insert(found, {.sequence = sequence});
        }
        return *found;
    }

    mutable std::mutex mutex_;
    std::list<sink_record> records_;
};

} // namespace detail
UNMASK_NAMESPACE_END
