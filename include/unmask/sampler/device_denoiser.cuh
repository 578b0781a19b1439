// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/sampler/vocabulary.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The canvas of a run on the GPU, as its model sees it. Pointers refer to device memory, which the model only reads.
struct device_canvas {
    const token_t* tokens = nullptr;         ///< tokens of all sequences, one after another
    const position_state* states = nullptr;  ///< states of the same positions
    const index_t* offsets = nullptr;        ///< [sequences + 1], where each sequence begins in these arrays
    std::span<const index_t> host_offsets{}; ///< the same offsets in host memory, to plan launches with

    /// Number of sequences.
    [[nodiscard]] index_t sequences() const { return static_cast<index_t>(host_offsets.size()) - 1; }
    /// Number of positions of a sequence.
    [[nodiscard]] index_t length(index_t sequence) const {
        const auto at = static_cast<std::size_t>(sequence);
        return host_offsets[at + 1] - host_offsets[at];
    }
};

/// The rows whose logits a step needs. Their number is known only on the device.
struct device_rows {
    const row* rows = nullptr;  ///< [most], by sequence and position; only the first *count are valid
    const int* count = nullptr; ///< in device memory, the number of rows of this step
    index_t most = 0;           ///< upper bound of *count, the same at every step of a run
};

namespace detail {

template <class Model, class Logit>
concept writes_device_logits =
    requires(Model& model, const cuda_executor& exec, const device_canvas& page, const device_rows& rows,
             tensor_view<Logit, 2> logits) { model.denoise(exec, page, rows, logits); };

template <class Model>
concept streams_device_logits =
    requires(Model& model, const cuda_executor& exec, const device_canvas& page, const device_rows& rows,
             const device_logits_stream& stream) { model.denoise(exec, page, rows, stream); };

template <class Model>
concept gives_device_logits =
    writes_device_logits<Model, float> || writes_device_logits<Model, bfloat16> || streams_device_logits<Model>;

// Whether a model can only stream.
template <class Model>
inline constexpr bool only_streams_on_device =
    !writes_device_logits<Model, float> && !writes_device_logits<Model, bfloat16>;

// The type of the logits that a model writes: float if it offers both.
template <class Model>
using device_logit_of = std::conditional_t<writes_device_logits<Model, float>, float, bfloat16>;

} // namespace detail

/// A model that the sampler can use on cuda_executor: any type with
///
///   1. `static constexpr bool on_device = true`
///   2. `vocabulary vocabulary()`: the model's tokens, the same at every call.
///   3. `denoise(exec, canvas, rows, logits)`: enqueues, on exec.stream, work that reads the canvas and writes the
///      logits of the first *rows.count rows: logits(i, v) is the logit of token v at rows.rows[i], with the meaning
///      that it has for a `denoiser`. `logits` is a tensor_view of [rows.most, vocabulary.size] float or bfloat16,
///      whose rows are logits.strides[0] apart (vocabulary.size, rounded up to a multiple of 8); or a
///      `const device_logits_stream&`, to which the model's kernel writes tiles of rows so that no whole row is ever
///      stored. If a model has several overloads, the first of float, bfloat16 and stream is called.
///
/// denoise is called for the first step, and once more to be recorded as a part of a CUDA graph, which repeats it. Its
/// exec has a stream and a memory resource of its own then. Calls of the library with that exec may be recorded, and so
/// may kernels, copies between device memory and memsets; allocations may not, nor what waits for the device. (cuBLAS
/// allocates unless it has a workspace: call cublasSetStream, and after it cublasSetWorkspace.) A denoise that can't be
/// recorded is called for every step instead, the last time with *rows.count = 0. Optional: `static constexpr bool
/// shifts_logits`, as for a `denoiser`.
template <class Model>
concept device_denoiser = requires(Model& model) {
    { model.vocabulary() } -> std::convertible_to<vocabulary>;
    requires std::remove_const_t<Model>::on_device;
    requires detail::gives_device_logits<Model>;
};

UNMASK_NAMESPACE_END
