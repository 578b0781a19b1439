// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <unmask/attention/detail/overlap.hpp>
#include <unmask/attention/tensors.hpp>
#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/detail/check.hpp>
#include <unmask/mask/detail/check_policy.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>

// What the front door checks before any work. Every message names the argument, what it was and what was expected.

UNMASK_NAMESPACE_BEGIN
namespace detail {

template <class Mask, class Sink>
concept attention_policies = mask_policy<Mask> && sink_policy<Sink>;

// Says in one sentence which of them is wrong, and why.
template <class Mask, class Sink>
constexpr void check_attention_policies() {
    if constexpr (!mask_policy<Mask>) {
        check_mask_policy<Mask>();
    } else if constexpr (std::same_as<Sink, attention_options>) {
        static_assert(never<Sink>, "unmask: a sink comes before the options: unmask::no_sink{} if there is none");
    } else if constexpr (!sink_policy<Sink>) {
        static_assert(never<Sink>,
                      "unmask: a sink must be trivially copyable and have the constants present, has_key and "
                      "has_value, and the functions that they promise: see unmask::sink_policy");
    } else {
        check_mask_policy<Mask>(); // of its optional members
    }
}

template <std::size_t Rank>
std::string to_string(const std::array<index_t, Rank>& extents) {
    std::string text = "[";
    for (std::size_t i = 0; i < Rank; ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(extents[i]);
    }
    return text + "]";
}

// The checks of one call; remembers whose they are.
struct checker {
    const char* function;

    void expects(bool condition, const char* argument, const auto& was, std::string_view expected) const {
        if (!condition) {
            throw invalid_argument(function, argument, text(was), std::string(expected));
        }
    }

    // Given, of these extents, with elements of the last dimension beside each other.
    template <class T, std::size_t Rank>
    void tensor(const tensor_view<T, Rank>& view, const char* argument,
                const std::array<index_t, Rank>& extents) const {
        if (view.extents != extents) {
            throw invalid_argument(function, std::string(argument) + ".extents", to_string(view.extents),
                                   to_string(extents));
        }
        if (view.size() == 0) {
            return;
        }
        expects(view.data != nullptr, argument, "null", "a pointer to its elements");
        if (view.strides[Rank - 1] != 1 && extents[Rank - 1] > 1) {
            throw invalid_argument(function, std::string(argument) + ".strides", to_string(view.strides),
                                   "an innermost stride of 1");
        }
        for (std::size_t i = 0; i + 1 < Rank; ++i) {
            if (view.strides[i] < 0) {
                throw invalid_argument(function, std::string(argument) + ".strides", to_string(view.strides),
                                       "no negative stride");
            }
        }
        if (bytes_spanned(view) < 0) {
            throw invalid_argument(function, std::string(argument) + ".strides", to_string(view.strides),
                                   "elements less than 2^62 bytes apart");
        }
    }

    // As above, and no two of its elements share memory.
    template <class T, std::size_t Rank>
    void written_tensor(const tensor_view<T, Rank>& view, const char* argument,
                        const std::array<index_t, Rank>& extents) const {
        tensor(view, argument, extents);
        if (overlaps_itself(view)) {
            throw invalid_argument(function, std::string(argument) + ".strides", to_string(view.strides),
                                   "strides under which no two elements share memory");
        }
    }

private:
    static std::string text(const char* value) { return value; }
    static std::string text(const std::string& value) { return value; }
    static std::string text(index_t value) { return std::to_string(value); }
    static std::string text(float value) { // not to_string, for which small numbers are 0
        char digits[32];
        std::snprintf(digits, sizeof digits, "%g", static_cast<double>(value));
        return digits;
    }
};

// Shapes, options and policies: what all three calls share.
template <class T, class Mask, sink_policy Sink>
void check_inputs(const checker& check, const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink,
                  const attention_options& options) {
    const index_t batch = tensors.query.extents[0];
    const index_t query_length = tensors.query.extents[1];
    const index_t heads = tensors.query.extents[2];
    const index_t head_dim = tensors.query.extents[3];
    const index_t key_length = tensors.key.extents[1];
    const index_t kv_heads = tensors.key.extents[2];
    check.expects(batch >= 0, "query.extents[0] (batch)", batch, "at least 0");
    check.expects(query_length >= 0, "query.extents[1] (query_length)", query_length, "at least 0");
    check.expects(key_length >= 0, "key.extents[1] (key_length)", key_length, "at least 0");
    check.expects(query_length <= most_positions, "query.extents[1] (query_length)", query_length, "at most 2^62");
    check.expects(key_length <= most_positions, "key.extents[1] (key_length)", key_length, "at most 2^62");
    check.expects(heads >= 1, "query.extents[2] (heads)", heads, "at least 1");
    check.expects(head_dim >= 1, "query.extents[3] (head_dim)", head_dim, "at least 1");
    check.expects(kv_heads >= 1, "key.extents[2] (kv_heads)", kv_heads, "at least 1");
    check.expects(heads % kv_heads == 0, "query.extents[2] (heads)", heads,
                  "a multiple of kv_heads (" + std::to_string(kv_heads) + ")");
    check.tensor(tensors.query, "query", {batch, query_length, heads, head_dim});
    check.tensor(tensors.key, "key", {batch, key_length, kv_heads, head_dim});

    check.expects(!options.scale || std::isfinite(*options.scale), "options.scale", options.scale.value_or(0.0F),
                  "a finite number");
    check.expects(options.soft_cap == 0.0F || (options.soft_cap >= 1e-30F && options.soft_cap <= 1e30F),
                  "options.soft_cap", options.soft_cap, "0 (none), or 1e-30 to 1e30");
    const auto check_offset = [&](index_t offset, const char* argument, index_t length, const char* sum) {
        const index_t most = most_positions - length;
        check.expects(offset >= 0, argument, offset, "at least 0");
        check.expects(offset <= most, argument, offset,
                      "at most " + std::to_string(most) + ": " + sum + " is at most 2^62");
    };
    check_offset(options.query_offset, "options.query_offset", query_length, "query_offset + query_length");
    check_offset(options.key_offset, "options.key_offset", key_length, "key_offset + key_length");
    const auto check_lengths = [&](std::span<const index_t> lengths, const char* argument, index_t most) {
        if (lengths.empty()) {
            return;
        }
        check.expects(static_cast<index_t>(lengths.size()) == batch, argument,
                      std::to_string(lengths.size()) + " entries", "one a sequence (" + std::to_string(batch) + ")");
        for (const index_t length : lengths) {
            check.expects(0 <= length && length <= most, argument, length, "between 0 and " + std::to_string(most));
        }
    };
    check_lengths(options.query_lengths, "options.query_lengths", query_length);
    check_lengths(options.key_lengths, "options.key_lengths", key_length);

    check_mask(check.function, mask);
    if constexpr (requires { sink.logits; }) {
        check.tensor(sink.logits, "sink.logits", {heads});
    }
    if constexpr (requires { sink.keys; }) {
        check.tensor(sink.keys, "sink.keys", {kv_heads, head_dim});
    }
    if constexpr (requires { sink.values; }) {
        check.tensor(sink.values, "sink.values", {kv_heads, head_dim});
    }
}

template <class T, class Mask, class Sink>
void check_forward(const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink,
                   const attention_options& options) {
    const checker check{"attention_forward"};
    check_inputs(check, tensors, mask, sink, options);
    const auto [batch, query_length, heads, head_dim] = tensors.query.extents;
    check.tensor(tensors.value, "value", tensors.key.extents);
    check.written_tensor(tensors.output, "output", tensors.query.extents);
    if (!tensors.log_sum_exp.empty()) {
        check.written_tensor(tensors.log_sum_exp, "log_sum_exp", {batch, heads, query_length});
    }
    const auto apart = [&](const auto& written, const char* argument, const auto& other, const char* name) {
        check.expects(!overlap(written, other), argument, std::string("overlapping ") + name, "memory of its own");
    };
    apart(tensors.output, "output", tensors.query, "query");
    apart(tensors.output, "output", tensors.key, "key");
    apart(tensors.output, "output", tensors.value, "value");
    apart(tensors.log_sum_exp, "log_sum_exp", tensors.output, "output");
    apart(tensors.log_sum_exp, "log_sum_exp", tensors.query, "query");
    apart(tensors.log_sum_exp, "log_sum_exp", tensors.key, "key");
    apart(tensors.log_sum_exp, "log_sum_exp", tensors.value, "value");
}

template <class T, class Mask, class Sink>
void check_backward(const attention_tensors<T>& tensors, const attention_gradients<T>& gradients, const Mask& mask,
                    const Sink& sink, const attention_options& options) {
    const checker check{"attention_backward"};
    check_inputs(check, tensors, mask, sink, options);
    const index_t heads = tensors.query.extents[2];
    const index_t head_dim = tensors.query.extents[3];
    const index_t kv_heads = tensors.key.extents[2];
    check.tensor(tensors.value, "value", tensors.key.extents);
    check.tensor(tensors.output, "output", tensors.query.extents);
    check.tensor(tensors.log_sum_exp, "log_sum_exp", {tensors.query.extents[0], heads, tensors.query.extents[1]});
    check.tensor(gradients.output, "gradients.output", tensors.query.extents);

    const auto wanted = [&](bool empty, bool exists, const char* argument) {
        check.expects(empty || exists, argument, "given", "empty: this sink has no such parameter");
    };
    wanted(gradients.sink_logits.empty(), Sink::present && !Sink::has_key, "gradients.sink_logits");
    wanted(gradients.sink_keys.empty(), Sink::has_key, "gradients.sink_keys");
    wanted(gradients.sink_values.empty(), Sink::has_value, "gradients.sink_values");

    const std::array<index_t, 1> per_head{heads};
    const std::array<index_t, 2> per_kv_head{kv_heads, head_dim};
    const auto for_each_written = [&](const auto& f) {
        f(gradients.query, "gradients.query", tensors.query.extents);
        f(gradients.key, "gradients.key", tensors.key.extents);
        f(gradients.value, "gradients.value", tensors.key.extents);
        f(gradients.sink_logits, "gradients.sink_logits", per_head);
        f(gradients.sink_keys, "gradients.sink_keys", per_kv_head);
        f(gradients.sink_values, "gradients.sink_values", per_kv_head);
    };
    for_each_written([&](const auto& written, const char* argument, const auto& extents) {
        if (!written.empty()) {
            check.written_tensor(written, argument, extents);
        }
    });
    for_each_written([&](const auto& written, const char* argument, const auto& /*extents*/) {
        const auto apart = [&](const auto& other, const char* name) {
            const bool same = static_cast<const void*>(&other) == static_cast<const void*>(&written);
            check.expects(same || !overlap(written, other), argument, std::string("overlapping ") + name,
                          "memory of its own");
        };
        apart(tensors.query, "query");
        apart(tensors.key, "key");
        apart(tensors.value, "value");
        apart(tensors.output, "output");
        apart(tensors.log_sum_exp, "log_sum_exp");
        apart(gradients.output, "gradients.output");
        for_each_written([&](const auto& other, const char* name, const auto& /*extents*/) { apart(other, name); });
    });
}

template <class T, class Mask, class Sink>
void check_received(const attention_tensors<T>& tensors, const tensor_view<sum_type<T>, 3>& received, const Mask& mask,
                    const Sink& sink, const attention_options& options) {
    const checker check{"attention_received"};
    check_inputs(check, tensors, mask, sink, options);
    const auto [batch, query_length, heads, head_dim] = tensors.query.extents;
    check.tensor(tensors.log_sum_exp, "log_sum_exp", {batch, heads, query_length});
    check.written_tensor(received, "received", {batch, heads, tensors.key.extents[1]});
    const auto apart = [&](const auto& other, const char* name) {
        check.expects(!overlap(received, other), "received", std::string("overlapping ") + name, "memory of its own");
    };
    apart(tensors.query, "query");
    apart(tensors.key, "key");
    apart(tensors.log_sum_exp, "log_sum_exp");
}

inline float resolved_scale(const attention_options& options, index_t head_dim) {
    return options.scale.value_or(1.0F / std::sqrt(static_cast<float>(head_dim)));
}

} // namespace detail
UNMASK_NAMESPACE_END
