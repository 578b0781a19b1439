// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <span>

#include <unmask/attention/attention.hpp>
#include <unmask/executor/cpu_executor.hpp>

#include "layers.hpp"

namespace language_model {

using namespace examples;

using unmask::token_t;

/// What a transformer is made of, on the CPU: see cuda/cuda_layers.cuh for the same on the GPU. Functions that end in
/// _backward add to the gradients of weights and of the stream, and overwrite all others.
struct cpu_layers {
    unmask::cpu_executor exec;

    /// Calls body(part) once for every worker; part(matrix) is then that worker's share of the matrix's rows.
    template <class Body>
    void in_row_blocks(index_t rows, const Body& body) const {
        const index_t blocks = std::min<index_t>(exec.workers(), rows);
        exec.parallel_for(blocks, [&](index_t block, int) {
            const index_t begin = block * rows / blocks;
            const index_t end = (block + 1) * rows / blocks;
            body([=](const matrix& whole) { return rows_of(whole, begin, end - begin); });
        });
    }

    void clear(const matrix& all) const { std::fill_n(all.data, all.size(), 0.0F); }
    void copy(const matrix& from, const matrix& to) const { std::copy_n(from.data, from.size(), to.data); }
    void add(const matrix& from, const matrix& to) const {
        for (index_t i = 0; i < to.size(); ++i) {
            to.data[i] += from.data[i];
        }
    }

    /// The same rows for each sequence.
    void repeat(const matrix& rows, const grouped_rows& output) const {
        for (index_t sequence = 0; sequence < output.extents[0]; ++sequence) {
            copy(rows, rows_of(output, sequence));
        }
    }
    void repeat_backward(const grouped_rows& d_output, const matrix& d_rows) const {
        for (index_t sequence = 0; sequence < d_output.extents[0]; ++sequence) {
            add(rows_of(d_output, sequence), d_rows);
        }
    }

    /// Tokens [sequences, rows] are rows of the table.
    void embed(std::span<const token_t> tokens, const matrix& table, const grouped_rows& output) const {
        each_token(tokens, output,
                   [&](token_t token, float* row) { std::copy_n(table.pointer(token), table.extents[1], row); });
    }
    void embed_backward(std::span<const token_t> tokens, const grouped_rows& d_output, const matrix& d_table) const {
        each_token(tokens, d_output, [&](token_t token, const float* row) {
            for (index_t i = 0; i < d_table.extents[1]; ++i) {
                d_table(token, i) += row[i];
            }
        });
    }

    void rms_norm(const matrix& input, const matrix& gain, const matrix& output) const {
        language_model::rms_norm(input, gain, output);
    }
    void rms_norm(const grouped_rows& input, const matrix& gain, const matrix& output) const {
        for (index_t sequence = 0; sequence < input.extents[0]; ++sequence) {
            rms_norm(rows_of(input, sequence), gain, rows_of(output, sequence * input.extents[1], input.extents[1]));
        }
    }
    void rms_norm_backward(const matrix& input, const matrix& gain, const matrix& d_output, const matrix& d_input,
                           const matrix& d_gain) const {
        language_model::rms_norm_backward(input, gain, d_output, d_input, d_gain);
    }
    void rms_norm_backward(const grouped_rows& input, const matrix& gain, const matrix& d_output,
                           const grouped_rows& d_input, const matrix& d_gain) const {
        for (index_t sequence = 0; sequence < input.extents[0]; ++sequence) {
            rms_norm_backward(rows_of(input, sequence), gain,
                              rows_of(d_output, sequence * input.extents[1], input.extents[1]),
                              rows_of(d_input, sequence), d_gain);
        }
    }

    void multiply(const matrix& input, const matrix& weight, const matrix& output) const {
        language_model::multiply(input, weight, output);
    }
    void add_product(const matrix& input, const matrix& weight, const matrix& output) const {
        language_model::add_product(input, weight, output);
    }
    void multiply_backward(const matrix& input, const matrix& weight, const matrix& d_output, const matrix& d_input,
                           const matrix& d_weight) const {
        language_model::multiply_backward(input, weight, d_output, d_input, d_weight);
    }

    /// Turns the first `heads` heads of every row by the angles of its position, or back.
    void rotate(const matrix& rows, index_t heads, const matrix& angles, unmask::tensor_view<index_t, 1> angles_of_row,
                float direction) const {
        for (index_t row = 0; row < rows.extents[0]; ++row) {
            const index_t position = angles_of_row.data[row % angles_of_row.extents[0]];
            language_model::rotate(rows.pointer(row), heads, angles.extents[1], angles.pointer(position), direction);
        }
    }

    template <class Mask, class Sink>
    void attention_forward(const unmask::attention_tensors<float>& tensors, const Mask& mask, const Sink& sink) const {
        unmask::attention_forward(exec, tensors, mask, sink);
    }
    template <class Mask, class Sink>
    void attention_backward(const unmask::attention_tensors<float>& tensors,
                            const unmask::attention_gradients<float>& gradients, const Mask& mask,
                            const Sink& sink) const {
        unmask::attention_backward(exec, tensors, gradients, mask, sink);
    }

    void gate_output(const matrix& input, const matrix& gate, const matrix& output) const {
        language_model::gate_output(input, gate, output);
    }
    void gate_output_backward(const matrix& input, const matrix& gate, const matrix& d_input,
                              const matrix& d_gate) const {
        language_model::gate_output_backward(input, gate, d_input, d_gate);
    }
    void swiglu(const matrix& gate_up, const matrix& output) const { language_model::swiglu(gate_up, output); }
    void swiglu_backward(const matrix& gate_up, const matrix& d_output, const matrix& d_gate_up) const {
        language_model::swiglu_backward(gate_up, d_output, d_gate_up);
    }

private:
    // Calls use(token, row) for the row of every token.
    template <class Use>
    static void each_token(std::span<const token_t> tokens, const grouped_rows& rows, const Use& use) {
        for (index_t sequence = 0; sequence < rows.extents[0]; ++sequence) {
            for (index_t i = 0; i < rows.extents[1]; ++i) {
                use(tokens[static_cast<std::size_t>(sequence * rows.extents[1] + i)], rows.pointer(sequence, i));
            }
        }
    }
};

} // namespace language_model
