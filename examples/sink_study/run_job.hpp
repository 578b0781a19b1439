// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <unmask/analysis/sink_record.hpp>

#include "result_file.hpp"
#include "study_data.hpp"

namespace sink_study {

/// Where a job keeps its files: in `work` what it needs to go on and its weights, in `results` what it found.
struct study_folders {
    std::string results;
    std::string work;

    [[nodiscard]] std::string result(const job& which) const { return results + "/" + which.name() + ".json"; }
    [[nodiscard]] std::string state(const job& which) const { return work + "/" + which.name() + ".state"; }
    [[nodiscard]] std::string weights(const job& which) const { return work + "/" + which.name() + ".safetensors"; }
};

/// How a job is told where to run and when to stop, and tells how far it is.
struct job_control {
    std::function<bool()> stop = [] { return false; };
    std::function<void(index_t step, double bits)> progress = [](index_t, double) {};
    double save_every = 60.0; ///< seconds
    bool on_gpu = false;      ///< where it learns; it is measured on the CPU
};

/// Trains the model of a job on one thread, from its state if there is one, evaluates it, measures its sinks, and
/// leaves its weights and then its result. Returns whether it did; false if it was stopped: its state is then up to
/// date. A job stopped and gone on with gives the same bits as one that wasn't, on the same kind of processor. Throws
/// std::runtime_error if files can't be read or written, or the state is of another job, or it is to run on a GPU and
/// there is none.
bool run_job(const job& which, const study_size& size, const study_data& data, const study_folders& folders,
             const job_control& control);

/// The attention of a finished job's model while it samples, from its weights.
std::vector<unmask::sink_record> trace_job(const job& which, const study_size& size, const study_data& data,
                                           const study_folders& folders);

} // namespace sink_study
