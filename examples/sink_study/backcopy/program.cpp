// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "program.hpp"

#include <cstdio>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "../result_file.hpp"
#include "expectations.hpp"
#include "report.hpp"
#include "results.hpp"

namespace sink_study::backcopy {

namespace {

// "10,11"
std::vector<std::uint32_t> seeds_of(const std::string& list) {
    std::vector<std::uint32_t> seeds;
    std::istringstream in(list);
    for (std::string each; std::getline(in, each, ',');) {
        const auto seed = examples::integers{0, 1 << 30}.parse(each);
        if (!seed) {
            throw std::invalid_argument("--seeds is '" + list + "', expected numbers with commas between them");
        }
        seeds.push_back(static_cast<std::uint32_t>(*seed));
    }
    return seeds;
}

std::vector<job> jobs_of(examples::command_line& options) {
    std::vector<job> jobs =
        options.has("seeds") ? registered_jobs(seeds_of(options.text("seeds", ""))) : registered_jobs();
    if (const std::string only = options.text("only", ""); !only.empty()) {
        std::erase_if(jobs, [&](const job& each) { return each.of.name() != only; });
        if (jobs.empty()) {
            throw std::invalid_argument("--only is '" + only + "', which is no cell of the grid; --list has them");
        }
    }
    return jobs;
}

void write(const std::string& path, const std::string& text) {
    write_file(path, text);
    std::printf("%s\n", path.c_str());
}

} // namespace

void program(examples::command_line& options, const std::string& default_results, const std::function<bool()>& stop) {
    const std::string path = options.text("results", default_results);
    const results_folder results(path);
    if (options.flag("run")) {
        const std::vector<job> jobs = jobs_of(options);
        const size scale = size_of(options.text("size", "registered"));
        const std::string weights = options.text("work", "");
        const auto threads = static_cast<int>(options.integer("threads", 2, {1, 1024}));
        options.finish();
        std::filesystem::create_directories(path);
        if (!weights.empty()) {
            std::filesystem::create_directories(weights);
        }
        const index_t done = run_jobs(jobs, scale, results, weights, threads, stop);
        std::printf("%td of %td jobs were to do, and are done\n", done, std::ssize(jobs));
    } else if (options.flag("report")) {
        const std::string out = options.text("out", "sink_study_report");
        options.finish();
        std::filesystem::create_directories(out);
        write(out + "/backcopy.md", report_of(results));
        write(out + "/backcopy.svg", picture_of(results));
    } else if (options.flag("list")) {
        const std::vector<job> jobs = jobs_of(options);
        options.finish();
        for (const job& each : jobs) {
            std::printf("%-8s %s\n", results.has(each) ? "done" : "", each.name().c_str());
        }
    } else if (options.flag("expectations")) {
        options.finish();
        std::fputs(table_of_expectations().c_str(), stdout);
    } else {
        throw std::invalid_argument("--backcopy goes with --run, --report, --list or --expectations");
    }
}

} // namespace sink_study::backcopy
