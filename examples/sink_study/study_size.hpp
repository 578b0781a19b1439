// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>

#include "job.hpp"
#include "trainer.hpp"

namespace sink_study {

/// How large the models of one task are, and how they are trained and measured.
struct task_size {
    model_shape shape; ///< without the vocabulary
    index_t length;
    index_t batch;
    index_t pass;
    index_t steps;
    index_t long_steps;
    double learning_rate;
    index_t held_out;               ///< windows or sequences to evaluate on
    index_t positions_a_step = 2;   ///< filled in while it is measured where attention goes
    bool muon = false;              ///< and AdamW on a GPU, where there is no other
    double adamw_learning_rate = 0; ///< there
};

/// The study at one scale: medium takes about 10 times as long as small, large 100 times.
struct study_size {
    std::string name;
    task_size text;
    task_size byte_pairs;
    task_size retrieval;
    index_t block = 16; ///< of block diffusion

    [[nodiscard]] const task_size& of(const job& which) const {
        return which.task == "text" ? text : which.task == "byte_pairs" ? byte_pairs : retrieval;
    }

    [[nodiscard]] index_t steps_of(const job& which) const {
        return which.training == "none" ? 0 : which.training == "long" ? of(which).long_steps : of(which).steps;
    }
};

namespace detail {

// Of text, a token a character: `steps` usual ones, and long_steps.
inline task_size in_characters(const model_shape& shape, index_t length, index_t pass, index_t steps,
                               index_t long_steps, double learning_rate) {
    return {.shape = shape,
            .length = length,
            .batch = 16,
            .pass = pass,
            .steps = steps,
            .long_steps = long_steps,
            .learning_rate = learning_rate,
            .held_out = 512};
}

// The language model's way to learn, in windows twice as long.
inline task_size in_byte_pairs(const model_shape& shape, index_t steps) {
    return {.shape = shape,
            .length = 512,
            .batch = 8,
            .pass = 1,
            .steps = steps,
            .long_steps = steps,
            .learning_rate = 4e-3,
            .held_out = 96,
            .positions_a_step = 4,
            .muon = true,
            .adamw_learning_rate = 2e-3};
}

inline task_size in_retrieval(const model_shape& shape, index_t length, index_t pass, double learning_rate) {
    return {.shape = shape,
            .length = length,
            .batch = 64,
            .pass = pass,
            .steps = 2000,
            .long_steps = 2000,
            .learning_rate = learning_rate,
            .held_out = 512};
}

inline task_size for_tests(index_t length, index_t held_out, bool muon = false) {
    return {.shape = {.width = 16, .layers = 1, .heads = 2, .ffn = 16},
            .length = length,
            .batch = 4,
            .pass = 2,
            .steps = 4,
            .long_steps = 6,
            .learning_rate = 1e-2,
            .held_out = held_out,
            .muon = muon,
            .adamw_learning_rate = 1e-2};
}

} // namespace detail

/// The size of a name; throws std::invalid_argument if there is none. `tiny` is for tests.
inline study_size size_of(const std::string& name) {
    using namespace detail;
    if (name == "tiny") {
        return {.name = name,
                .text = for_tests(32, 2),
                .byte_pairs = for_tests(32, 2, true),
                .retrieval = for_tests(16, 4),
                .block = 8};
    }
    if (name == "small") {
        return {.name = name,
                .text = in_characters({.width = 128, .layers = 4, .heads = 4, .ffn = 384}, 128, 4, 1200, 8000, 2e-3),
                .byte_pairs = in_byte_pairs({.width = 256, .layers = 4, .heads = 4, .ffn = 688}, 600),
                .retrieval = in_retrieval({.width = 64, .layers = 3, .heads = 4, .ffn = 192}, 32, 16, 3e-3)};
    }
    if (name == "medium") {
        return {.name = name,
                .text = in_characters({.width = 192, .layers = 6, .heads = 6, .ffn = 512}, 256, 2, 2000, 13500, 2e-3),
                .byte_pairs = in_byte_pairs({.width = 384, .layers = 8, .heads = 6, .ffn = 1024}, 2000),
                .retrieval = in_retrieval({.width = 128, .layers = 4, .heads = 4, .ffn = 384}, 64, 8, 2e-3)};
    }
    if (name == "large") {
        return {.name = name,
                .text = in_characters({.width = 384, .layers = 8, .heads = 6, .ffn = 1024}, 256, 2, 3600, 24000, 1e-3),
                .byte_pairs = in_byte_pairs({.width = 768, .layers = 12, .heads = 12, .ffn = 2048}, 4000),
                .retrieval = in_retrieval({.width = 256, .layers = 6, .heads = 4, .ffn = 768}, 128, 4, 1e-3)};
    }
    throw std::invalid_argument("there is no size '" + name + "'; there are small, medium, large");
}

/// The training run of a job. In blocks a sequence is [noised ‖ clean].
inline training_settings training_of(const job& which, const study_size& size, bool on_gpu = false) {
    const task_size& task = size.of(which);
    const bool muon = task.muon && !on_gpu;
    const double learning_rate = task.muon && on_gpu ? task.adamw_learning_rate : task.learning_rate;
    const index_t steps = size.steps_of(which);
    return {.batch = task.batch,
            .length = in_blocks(which.variant) ? 2 * task.length : task.length,
            .pass = task.pass,
            .seed = which.seed,
            .optimizer = {.learning_rate = learning_rate,
                          .final_learning_rate = learning_rate / 20.0,
                          .warm_up = std::min<index_t>(100, steps / 10),
                          .steps = steps,
                          .cool_down = task.muon ? steps * 45 / 100 : 0,
                          .muon = muon},
            .start = weight_draw::by_name};
}

} // namespace sink_study
