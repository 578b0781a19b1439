// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <compare>
#include <concepts>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/vocabulary.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// A position of a sequence of a canvas. Rows are in order of their sequences, and there of their positions.
struct row {
    index_t sequence = 0; ///< index of the sequence
    index_t position = 0; ///< position in the sequence

    friend constexpr auto operator<=>(const row&, const row&) = default;
    friend constexpr bool operator==(const row&, const row&) = default; // implied; but not for nvcc 13
};

class logits_stream;

namespace detail {

template <class Model, class Logit>
concept writes_logits = requires(Model& model, const canvas& page, std::span<const row> rows,
                                 tensor_view<Logit, 2> logits) { model.denoise(page, rows, logits); };
template <class Model>
concept streams_logits = requires(Model& model, const canvas& page, std::span<const row> rows, logits_stream& stream) {
    model.denoise(page, rows, stream);
};
template <class Model>
concept gives_logits = writes_logits<Model, float> || writes_logits<Model, bfloat16> || streams_logits<Model>;

} // namespace detail

/// A model that the sampler can use: any type with two members.
///
///   1. `vocabulary vocabulary()`: the model's tokens, the same at every call.
///   2. `denoise(canvas, rows, logits)`: reads the canvas, whose masked positions hold the mask token, and writes the
///      logits of the requested rows: logits(i, v) is the unnormalised log-probability of token v at rows[i]. logits is
///      [rows.size(), vocabulary.size] and every element is written. −∞ forbids a token, and no finite logit does, be
///      it the lowest; NaN, +∞, a row of −∞ alone and a row that is not written are errors. The mask token's logit is
///      not read.
///
/// Rows are grouped by sequence, in ascending order of position, and belong to unfinished sequences; a model that
/// computes whole sequences can skip those without rows. For results that don't depend on the batch, the logits of a
/// sequence must depend only on that sequence.
///
/// `logits` may also be a tensor_view<bfloat16, 2>, or an `unmask::logits_stream&`, to which the model writes tiles of
/// rows so that no whole row is ever stored; policies that read whole rows then do not compile. If a model has several
/// overloads, the first of float, bfloat16 and stream is called.
///
/// Optional: `static constexpr bool shifts_logits = true;` for a model whose logits at position i − 1 predict the token
/// at position i (Dream). The sampler then requests rows one position earlier, and row 0 for position 0, so the same
/// row can be requested twice.
///
/// A model whose canvas and logits are on the GPU is a device_denoiser instead (device_denoiser.cuh), which declares
/// `static constexpr bool on_device = true;`.
template <class Model>
concept denoiser = requires(Model& model) {
    { model.vocabulary() } -> std::convertible_to<vocabulary>;
} && detail::gives_logits<Model>;

namespace detail {

// Whether a model can only stream.
template <class Model>
inline constexpr bool only_streams = !writes_logits<Model, float> && !writes_logits<Model, bfloat16>;

// The type of the logits that a model writes: float if it offers both.
template <class Model>
using logit_of = std::conditional_t<writes_logits<Model, float>, float, bfloat16>;

template <class Model>
concept has_vocabulary = requires(Model& model) { model.vocabulary(); };
template <class Model>
concept has_right_vocabulary = requires(Model& model) {
    { model.vocabulary() } -> std::convertible_to<vocabulary>;
};
template <class Model>
concept has_denoise = denoiser<Model> || requires { &Model::denoise; };
template <class Model>
concept has_right_denoise = gives_logits<Model>;

// Whether a type is a denoiser; if not, says what it lacks, one message at a time.
template <class Type>
constexpr bool check_denoiser() {
    using Model = std::remove_const_t<Type>;
    static_assert(has_vocabulary<Model>, "unmask::denoiser: the model has no member vocabulary()");
    static_assert(!has_vocabulary<Model> || has_right_vocabulary<Model>,
                  "unmask::denoiser: vocabulary() must return an unmask::vocabulary {size, mask, end}");
    static_assert(has_denoise<Model> || has_right_denoise<Model>,
                  "unmask::denoiser: the model has no member denoise(canvas, rows, logits)");
    static_assert(!has_denoise<Model> || has_right_denoise<Model>,
                  "unmask::denoiser: denoise must take (const unmask::canvas&, std::span<const unmask::row>, "
                  "unmask::tensor_view<float, 2>)");
    static_assert(!denoiser<Model> || denoiser<Type>,
                  "unmask::denoiser: the model is const, but its vocabulary() or denoise() is not");
    return denoiser<Type>;
}

// Whether a model declares that it runs on the GPU.
template <class Model>
constexpr bool is_on_device() {
    if constexpr (requires { Model::on_device; }) {
        return Model::on_device;
    } else {
        return false;
    }
}

template <class Model>
constexpr bool shifts_logits() {
    if constexpr (requires { Model::shifts_logits; }) {
        return Model::shifts_logits;
    } else {
        return false;
    }
}

} // namespace detail

UNMASK_NAMESPACE_END
