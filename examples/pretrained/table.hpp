// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "antibody.hpp"
#include "generation.hpp"
#include "judge.hpp"

// Sapiens' antibodies under different samplers: steps × selector × order against quality.

namespace pretrained {

struct table_row {
    generation_settings settings;
    double calls = 0.0; ///< of the model, on average over the texts
    antibody_quality quality;
    std::optional<estimate> loss; ///< the judge's, in nats; nothing without one
};

/// What writes in one way: its name in the picture, and how each of its rows is set.
struct table_series {
    std::string name;
    std::vector<table_row> rows;
};

/// Lets the model write `samples` texts in each way. The judge may be null.
std::vector<table_series> measure_table(const loaded_model& model, const judge* judge, const unmask::cpu_executor& exec,
                                        index_t samples, std::uint64_t seed);

/// The table in Markdown. `natural` is the judge's loss of chains of real antibodies.
std::string table_text(const std::vector<table_series>& table, const std::optional<estimate>& natural);

/// The judge's loss against the calls of the model, as a picture in SVG.
std::string table_picture(const std::vector<table_series>& table, const estimate& natural);

} // namespace pretrained
