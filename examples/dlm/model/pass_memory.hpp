// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "linear.hpp"
#include "model_config.hpp"

namespace dlm {

/// The activations of a pass, each [rows, …]. Grows to the longest pass and is then used again.
class pass_memory {
public:
    matrix stream;
    matrix normed;
    matrix query;
    matrix key;
    matrix value;
    matrix attended;
    matrix log_sum_exp; ///< [heads, rows]
    matrix gate;        ///< then what the feed-forward network's middle comes to
    matrix up;

    [[nodiscard]] index_t rows() const { return stream.extents[0]; }

    /// Bytes for a pass of so many rows.
    static double bytes(const model_config& config, index_t rows) {
        return sizeof(float) * static_cast<double>(rows) * static_cast<double>(row_size(config));
    }

    /// Makes all matrices this long. What they held is lost.
    void resize(const model_config& config, index_t rows) {
        memory_.resize(std::max(memory_.size(), static_cast<std::size_t>(rows * row_size(config))));
        float* next = memory_.data();
        const auto take = [&](index_t columns) {
            const matrix taken = unmask::view(next, rows, columns);
            next += rows * columns;
            return taken;
        };
        stream = take(config.width);
        normed = take(config.width);
        query = take(config.heads * config.head_dim);
        key = take(config.key_value_heads * config.head_dim);
        value = take(config.key_value_heads * config.head_dim);
        attended = take(config.heads * config.head_dim);
        gate = take(config.ffn);
        up = take(config.ffn);
        log_sum_exp = unmask::view(next, config.heads, rows);
    }

    /// The first rows of `normed`.
    [[nodiscard]] matrix first_normed(index_t count) const {
        return {normed.data, {count, normed.extents[1]}, normed.strides};
    }

    /// Rotary angles (Su et al., arXiv 2104.09864) of positions below `end`.
    void fill_angles(const model_config& config, index_t end) {
        head_dim_ = config.head_dim;
        const index_t half = head_dim_ / 2;
        const auto begin = std::ssize(angles_) / head_dim_;
        angles_.resize(static_cast<std::size_t>(std::max(begin, end) * head_dim_));
        for (index_t position = begin; position < end; ++position) {
            float* row = angles_.data() + position * head_dim_;
            for (index_t i = 0; i < half; ++i) {
                const double power = -static_cast<double>(i) / static_cast<double>(half);
                const double angle = static_cast<double>(position) * std::pow(config.rotary_base, power);
                row[i] = static_cast<float>(std::cos(angle));
                row[half + i] = static_cast<float>(std::sin(angle));
            }
        }
    }

    /// Cosines, then sines.
    [[nodiscard]] const float* angles_of(index_t position) const { return angles_.data() + position * head_dim_; }

private:
    static index_t row_size(const model_config& config) {
        return 2 * (config.width + (config.heads + config.key_value_heads) * config.head_dim + config.ffn) +
               config.heads;
    }

    std::vector<float> memory_;
    std::vector<float> angles_; // [positions, head_dim]
    index_t head_dim_ = 0;
};

} // namespace dlm
