// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/vocabulary.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The canvas of a run on the GPU, as its model sees it. What pointers lead to is device memory, to be read only.
struct device_canvas {
    const token_t* tokens = nullptr;         ///< every sequence's, one after the other
    const position_state* states = nullptr;  ///< the same
    const index_t* offsets = nullptr;        ///< [sequences + 1]: where each sequence begins in them
    std::span<const index_t> host_offsets{}; ///< the same in the host's memory, to plan launches with

    [[nodiscard]] index_t sequences() const { return static_cast<index_t>(host_offsets.size()) - 1; }
    /// Number of positions of a sequence.
    [[nodiscard]] index_t length(index_t sequence) const {
        const auto at = static_cast<std::size_t>(sequence);
        return host_offsets[at + 1] - host_offsets[at];
    }
};

/// The rows whose logits a step needs: how many is known on the device alone.
struct device_rows {
    const row* rows = nullptr; ///< [most], by sequence and position; those from *count on are not to be looked at
    const int* count = nullptr;
    index_t most = 0; ///< the same at every step of a run
};

namespace detail {

template <class Model, class Logit>
concept writes_device_logits = requires(Model& model, const cuda_executor& exec, const device_canvas& page,
                                        const device_rows& rows, tensor_view<Logit, 2> logits) {
    model.denoise(exec, page, rows, logits);
};

template <class Model>
concept streams_device_logits = requires(Model& model, const cuda_executor& exec, const device_canvas& page,
                                         const device_rows& rows, const device_logits_stream& stream) {
    model.denoise(exec, page, rows, stream);
};

template <class Model>
concept gives_device_logits =
    writes_device_logits<Model, float> || writes_device_logits<Model, bfloat16> || streams_device_logits<Model>;

// Whether a model can only stream.
template <class Model>
inline constexpr bool only_streams_on_device =
    !writes_device_logits<Model, float> && !writes_device_logits<Model, bfloat16>;

// The type of the logits that a model writes: float if it can choose.
template <class Model>
using device_logit_of = std::conditional_t<writes_device_logits<Model, float>, float, bfloat16>;

} // namespace detail

/// A model that the sampler can drive on cuda_executor: any type with
///
///   1. `static constexpr bool on_device = true`
///   2. `vocabulary vocabulary()`: its tokens, always the same.
///   3. `denoise(exec, canvas, rows, logits)`: enqueues, on exec.stream, work that reads the canvas and writes the logits of
///      the first *rows.count rows: logits(i, v) is that of token v at rows.rows[i]; logits is a tensor_view of [rows.most,
///      vocabulary.size] float or bfloat16. What the values mean is as for a `denoiser`. Or logits is a
///      `const device_logits_stream&`, into which the model's kernel writes tiles of rows so that no row is ever stored. A
///      model with several is asked for the first of float, bfloat16 and stream that it has.
///
/// It is called once for each step, also where *rows.count may be 0, and must neither wait for the device nor, if steps are
/// to run as a CUDA graph, allocate memory. Optional: `static constexpr bool shifts_logits`, as for a `denoiser`.
template <class Model>
concept device_denoiser = requires(Model& model) {
    { model.vocabulary() } -> std::convertible_to<vocabulary>;
    requires std::remove_const_t<Model>::on_device;
    requires detail::gives_device_logits<Model>;
};

UNMASK_NAMESPACE_END
