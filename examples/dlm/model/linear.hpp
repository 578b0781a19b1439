// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <cblas.h>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/io/safetensors.hpp>
#include <unmask/tensor/tensor_view.hpp>

namespace dlm {

using unmask::index_t;

/// Row-major matrices in somebody else's memory.
using matrix = unmask::tensor_view<float, 2>;
using const_matrix = unmask::tensor_view<const float, 2>;

/// A linear layer whose weights stay as the checkpoint has them, where they are: float, bfloat16 or float16.
///
/// A product turns them into float, a panel of rows at a time, which a core keeps in its cache, and leaves the rest to
/// BLAS: OpenBLAS has no product of bfloat16 as fast as that on processors without instructions for it.
class linear {
public:
    /// Weight [outputs, inputs], and a bias [outputs] if there is one. Throws unmask::file_error if a tensor is missing
    /// or of another shape.
    linear(const unmask::safetensors_file& file, const std::string& name, index_t outputs, index_t inputs,
           bool has_bias = false)
        : weight_(file.tensor(name + ".weight", {outputs, inputs})), outputs_(outputs), inputs_(inputs) {
        if (has_bias) {
            bias_ = file.tensor(name + ".bias", {outputs}).as<float>();
        }
    }

    [[nodiscard]] index_t outputs() const { return outputs_; }

    /// output = input · weightᵀ + bias, or that added to the output. Input [rows, inputs], output [rows, outputs].
    void apply(const unmask::cpu_executor& exec, const_matrix input, matrix output, bool add = false) const {
        exec.parallel_for((outputs_ + panel_rows - 1) / panel_rows, [&](index_t panel, int) {
            const index_t begin = panel * panel_rows;
            const index_t count = std::min(panel_rows, outputs_ - begin);
            const matrix part{output.data + begin, {output.extents[0], count}, output.strides};
            multiply(input, rows(begin, count), part, add);
            if (bias_) {
                add_bias(begin, part);
            }
        });
    }

    /// Row i of the weights, which is a token's embedding in that of the tokens.
    void copy_row(index_t i, float* to) const {
        const float* from = rows(i, 1);
        std::copy_n(from, inputs_, to);
    }

private:
    static constexpr index_t panel_rows = 256; // more: out of the cache; fewer: BLAS packs the input too often

    static void multiply(const_matrix input, const float* weight, matrix output, bool add) {
        const auto narrow = [](index_t value) { return static_cast<blasint>(value); };
        const blasint inner = narrow(input.extents[1]);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, narrow(output.extents[0]), narrow(output.extents[1]),
                    inner, 1.0F, input.data, narrow(input.strides[0]), weight, inner, add ? 1.0F : 0.0F, output.data,
                    narrow(output.strides[0]));
    }

    void add_bias(index_t begin, matrix output) const {
        for (index_t row = 0; row < output.extents[0]; ++row) {
            float* y = output.pointer(row);
            for (index_t i = 0; i < output.extents[1]; ++i) {
                y[i] += bias_->values[static_cast<std::size_t>(begin + i)];
            }
        }
    }

    // Rows of the weights as float: valid until the thread asks again.
    [[nodiscard]] const float* rows(index_t begin, index_t count) const {
        const auto first = static_cast<std::size_t>(begin * inputs_);
        if (weight_.is<float>()) {
            return weight_.as<float>().values.data() + first;
        }
        unmask::stored_tensor part = weight_;
        const std::size_t bytes = unmask::bytes_of(weight_.type);
        part.shape = {count, inputs_};
        part.bytes = weight_.bytes.subspan(first * bytes, static_cast<std::size_t>(count * inputs_) * bytes);
        thread_local std::vector<float> panel;
        panel.resize(std::max(panel.size(), part.size()));
        if (part.is<unmask::bfloat16>()) {
            const auto values = part.as<unmask::bfloat16>().values;
            std::transform(values.begin(), values.end(), panel.begin(), [](auto x) { return static_cast<float>(x); });
        } else {
            const auto values = part.as<float>();
            std::copy(values.values.begin(), values.values.end(), panel.begin());
        }
        return panel.data();
    }

    unmask::stored_tensor weight_;
    std::optional<unmask::tensor_values<float>> bias_;
    index_t outputs_;
    index_t inputs_;
};

} // namespace dlm
