// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>

#include <unmask/attention/attention.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/device_denoiser.cuh>

#include "blas.cuh"
#include "matrix.hpp"

namespace language_model {

using unmask::token_t;

/// What a transformer is made of, on the GPU: cpu_layers.hpp with the memory of the device. T is float or
/// unmask::bfloat16; sums are float. Everything is enqueued on one stream. Sums have one order for a shape, so that the
/// same input gives the same bits.
class cuda_layers {
public:
    /// Kernels for tensor cores are compiled for heads of up to 64 numbers: larger ones run without.
    using executor = unmask::cuda_executor_for<64>;

    /// exec.memory is not null. Products, which live as long, are on exec.stream from here on.
    cuda_layers(const unmask::cuda_executor& exec, device_blas& products)
        : exec_(exec.stream, exec.memory), products_(&products) {
        products.use(exec.stream);
    }

    /// On a GPU, all rows at once.
    template <class Body>
    void in_row_blocks(index_t /*rows*/, const Body& body) const {
        body([](const auto& whole) { return whole; });
    }

    void clear(const matrix& all) const;
    void copy(const matrix& from, const matrix& to) const;
    void add(const matrix& from, const matrix& to) const;
    template <class T>
    void round(const matrix& from, const matrix_of<T>& to) const;

    void repeat(const matrix& rows, const grouped_rows& output) const;
    void repeat_backward(const grouped_rows& d_output, const matrix& d_rows) const;
    void embed(std::span<const token_t> tokens, const matrix& table, const grouped_rows& output) const;
    void embed_backward(std::span<const token_t> tokens, const grouped_rows& d_output, const matrix& d_table) const;

    template <class T>
    void rms_norm(const matrix& input, const matrix& gain, const matrix_of<T>& output) const {
        rms_norm(one_group(input), gain, output);
    }
    template <class T>
    void rms_norm(const grouped_rows& input, const matrix& gain, const matrix_of<T>& output) const;
    template <class T>
    void rms_norm_backward(const matrix& input, const matrix& gain, const matrix_of<T>& d_output, const matrix& d_input,
                           const matrix& d_gain) const {
        rms_norm_backward(one_group(input), gain, d_output, one_group(d_input), d_gain);
    }
    template <class T>
    void rms_norm_backward(const grouped_rows& input, const matrix& gain, const matrix_of<T>& d_output,
                           const grouped_rows& d_input, const matrix& d_gain) const;

    template <class T, class Output>
    void multiply(const matrix_of<T>& input, const matrix_of<T>& weight, const matrix_of<Output>& output) const {
        products_->multiply(input, weight, output, false);
    }
    template <class T>
    void add_product(const matrix_of<T>& input, const matrix_of<T>& weight, const matrix& output) const {
        products_->multiply(input, weight, output, true);
    }
    template <class T>
    void multiply_backward(const matrix_of<T>& input, const matrix_of<T>& weight, const matrix_of<T>& d_output,
                           const matrix_of<T>& d_input, const matrix& d_weight) const {
        products_->multiply_by_transposed(d_output, weight, d_input);
        products_->add_transposed_product(input, d_output, d_weight);
    }

    template <class T>
    void rotate(const matrix_of<T>& rows, index_t heads, const matrix& angles,
                unmask::tensor_view<index_t, 1> angles_of_row, float direction) const;

    template <class T, class Mask, class Sink>
    void attention_forward(const unmask::attention_tensors<T>& tensors, const Mask& mask, const Sink& sink) const {
        unmask::attention_forward(exec_, tensors, mask, sink);
    }
    template <class T, class Mask, class Sink>
    void attention_backward(const unmask::attention_tensors<T>& tensors,
                            const unmask::attention_gradients<T>& gradients, const Mask& mask, const Sink& sink) const {
        unmask::attention_backward(exec_, tensors, gradients, mask, sink);
    }

    template <class T>
    void gate_output(const matrix_of<T>& input, const matrix_of<T>& gate, const matrix_of<T>& output) const;
    template <class T>
    void gate_output_backward(const matrix_of<T>& input, const matrix_of<T>& gate, const matrix_of<T>& d_input,
                              const matrix_of<T>& d_gate) const;
    template <class T>
    void swiglu(const matrix_of<T>& gate_up, const matrix_of<T>& output) const;
    template <class T>
    void swiglu_backward(const matrix_of<T>& gate_up, const matrix_of<T>& d_output,
                         const matrix_of<T>& d_gate_up) const;

    /// Adds the loss of weighted_cross_entropy (loss.hpp) to *total, and writes its gradient, which may take the
    /// logits' place, or be empty. Targets and weights [rows] and the total are in the device's memory.
    template <class T>
    void weighted_cross_entropy(const matrix& logits, const token_t* targets, const float* weights,
                                const matrix_of<T>& d_logits, double* total) const;

    /// The rows of the text that a sampler asks for, [rows.most, columns]; 0 where it asks for fewer. All texts have
    /// the same length.
    template <class T>
    void gather(const matrix_of<T>& text, index_t length, const unmask::device_rows& rows,
                const matrix_of<T>& output) const;

private:
    static grouped_rows one_group(const matrix& rows) {
        return {rows.data, {1, rows.extents[0], rows.extents[1]}, {rows.size(), rows.strides[0], 1}};
    }

    executor exec_;
    device_blas* products_;
};

} // namespace language_model
