// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>

UNMASK_NAMESPACE_BEGIN

/// The attention that the keys of a sequence received in one call of the model, by layer and head. The keys are the
/// positions of the sequence in order, followed by the extra sinks: the sink tokens of an extra_sink mask, or the
/// single folded sink of a sink policy. Member functions throw invalid_argument for a layer or head that the record
/// doesn't have, and for an array whose size doesn't match the counts.
struct sink_record {
    index_t call = 0;     ///< number of the model's call in its run
    index_t sequence = 0; ///< index of the sequence in the canvas
    index_t layers = 0;   ///< number of layers
    index_t heads = 0;    ///< number of query heads
    index_t kv_heads = 0; ///< number of key and value heads
    index_t length = 0;   ///< number of keys that are positions of the sequence
    index_t sinks = 0;    ///< number of extra sinks after these

    /// [layers, heads, keys()]: column sums of the probabilities, without the rows of sink tokens.
    std::vector<float> received{};
    /// [layers, keys()]: number of queries that see the key, without sink tokens.
    std::vector<index_t> seen_by{};
    /// [layers, kv_heads, keys()]: L2 norms of the values; 0 for a sink without a value.
    std::vector<float> value_norms{};
    /// [layers, heads, length]: the probability that each position gives to itself, part of what it received; 0 if it
    /// can't see itself or was no query. Empty if it was not measured.
    std::vector<float> own{};
    /// [layers + 1]: mean pairwise cosine of the residual stream before each layer and after the last; empty if the
    /// model doesn't report it.
    std::vector<double> similarity{};
    /// [length]: 1 for positions that were masked in the call; empty without a canvas.
    std::vector<std::uint8_t> masked{};
    /// [length]: the tokens on the canvas after the step; empty without a canvas.
    std::vector<token_t> tokens{};

    /// Number of keys, extra sinks included.
    [[nodiscard]] index_t keys() const { return length + sinks; }

    /// The attention that the keys received from a head, [keys()].
    [[nodiscard]] std::span<const float> received_of(index_t layer, index_t head) const {
        return row("sink_record::received_of", "received.size()", received, layer, head, heads);
    }
    /// The number of a layer's queries that see each key, [keys()].
    [[nodiscard]] std::span<const index_t> seen_by_of(index_t layer) const {
        return row("sink_record::seen_by_of", "seen_by.size()", seen_by, layer, 0, 1);
    }
    /// The norms of the values that a head reads, [keys()], which heads may share.
    [[nodiscard]] std::span<const float> value_norms_of(index_t layer, index_t head) const {
        const char* function = "sink_record::value_norms_of";
        expects(head >= 0 && head < heads, function, "head", head, "between 0 and ", heads - 1);
        expects(kv_heads > 0 && heads % kv_heads == 0, function, "kv_heads", kv_heads, "a divisor of heads, ", heads);
        return row(function, "value_norms.size()", value_norms, layer, head / (heads / kv_heads), kv_heads);
    }

    /// What the positions give to themselves in a head, [length]. Throws invalid_argument, too, if it was not measured.
    [[nodiscard]] std::span<const float> own_of(index_t layer, index_t head) const {
        const char* function = "sink_record::own_of";
        expects(layer >= 0 && layer < layers, function, "layer", layer, "between 0 and ", layers - 1);
        expects(head >= 0 && head < heads, function, "head", head, "between 0 and ", heads - 1);
        expects(std::ssize(own) == layers * heads * length, function, "own.size()", std::ssize(own), "",
                layers * heads * length);
        return {own.data() + (layer * heads + head) * length, static_cast<std::size_t>(length)};
    }

private:
    // Of [layers, rows, keys()].
    template <class T>
    [[nodiscard]] std::span<const T> row(const char* function, const char* name, const std::vector<T>& all,
                                         index_t layer, index_t head, index_t rows) const {
        expects(layer >= 0 && layer < layers, function, "layer", layer, "between 0 and ", layers - 1);
        expects(head >= 0 && head < rows, function, "head", head, "between 0 and ", rows - 1);
        const index_t size = layers * rows * keys();
        expects(std::ssize(all) == size, function, name, std::ssize(all), "", size);
        return {all.data() + (layer * rows + head) * keys(), static_cast<std::size_t>(keys())};
    }

    static void expects(bool condition, const char* function, const char* argument, index_t was, const char* expected,
                        index_t number) {
        if (!condition) {
            throw invalid_argument(function, argument, std::to_string(was), expected + std::to_string(number));
        }
    }
};

UNMASK_NAMESPACE_END
