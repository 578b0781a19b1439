// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Trains the models of the sink study, all of them by one command. See --help.

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/analysis/report/html.hpp>
#include <unmask/analysis/report/svg.hpp>

#include "backcopy/program.hpp"
#include "command_line.hpp"
#include "device_option.hpp"
#include "grid.hpp"
#include "report.hpp"

using namespace sink_study;

namespace {

constexpr const char* help =
    R"(usage: sink_study --run [options]      train and evaluate what has no result yet, or go on where it was stopped
       sink_study --report [options]   write what the results say: report.md and, with the weights of the two headline
                                       models, what their attention looks like: sinks.html, none.svg, front.svg
       sink_study --list               print the jobs, and which have a result
       sink_study --backcopy ...       the same three of the registered grid on the back-copy task, below

  --size NAME       small (hours on two cores), medium (10 times that), large (100 times)        (small)
  --hours H         stop, ready to go on, when so many are used up                               (no limit)
  --threads N       jobs at a time, one thread each                                              (2)
  --device NAME     cpu, or cuda: models learn on the GPU, in float, and are measured on the CPU (cpu)
  --results DIR     a JSON file for every finished job                                           (results)
  --work DIR        states of unfinished jobs, weights of finished ones                          (sink_study_work)
  --out DIR         where the report is written                                                  (sink_study_report)
  --text FILE       what to learn, a line a verse       (the King James Bible of Debian's bible-kjv)

Ctrl-C stops it as --hours does.

With --backcopy there are --run, --report (backcopy.md, backcopy.svg), --list, --expectations (the registered table),
and these options:

  --seeds LIST      10,11,12 and so on                                                           (10,11,12,13,14)
  --only CELL       of all cells, this one
  --size NAME       registered, tiny                                                             (registered)
  --threads N       jobs at a time, one thread each                                              (2)
  --results DIR     a JSON file for every cell                                                   (results/backcopy)
  --work DIR        the models' weights                                                          (none are kept)
  --out DIR         where the report is written                                                  (sink_study_report)
)";

volatile std::sig_atomic_t interrupted = 0;

void run(command_line& options, const study_folders& folders) {
    const study_size size = size_of(options.text("size", "small"));
    const double hours = options.number("hours", 1e6);
    const auto threads = static_cast<int>(options.integer("threads", 2));
    const std::string text = options.text("text", "");
    const bool on_gpu = is_on_gpu(options);
    options.finish();
    std::filesystem::create_directories(folders.results);
    std::filesystem::create_directories(folders.work);
    const auto start = std::chrono::steady_clock::now();
    const auto stop = [&] {
        return interrupted != 0 ||
               std::chrono::steady_clock::now() - start > std::chrono::duration<double>(3600 * hours);
    };
    const study_data data(load_corpus(text), contents_of(DEFAULT_TOKENIZER));
    grid(size, data, folders, stop, on_gpu).run(all_jobs(), threads);
    if (stop()) {
        std::puts("stopped; the same command goes on from here");
    }
}

std::ofstream opened(const std::string& path) {
    std::ofstream file(path);
    if (!file) {
        throw std::runtime_error("cannot write " + path);
    }
    std::printf("%s\n", path.c_str());
    return file;
}

// The attention of the two headline models, while they fill in the same texts.
void write_pictures(const std::string& folder, const study_size& size, const study_data& data,
                    const study_folders& folders) {
    std::vector<unmask::sink_run> runs;
    for (const char* variant : {"none", "front"}) {
        const job trained_long{"text", variant, "long", 1};
        const job usual{"text", variant, "usual", 1};
        const job& which = std::filesystem::exists(folders.weights(trained_long)) ? trained_long : usual;
        if (!std::filesystem::exists(folders.weights(which))) {
            std::printf("no pictures: %s is not there\n", folders.weights(which).c_str());
            return;
        }
        runs.push_back({which.name(), trace_job(which, size, data, folders)});
        std::erase_if(runs.back().records, [](const auto& record) { return record.sequence >= 2; }); // a page of 1 MB
    }
    for (const unmask::sink_run& run : runs) {
        auto file = opened(folder + "/" + (run.records.front().sinks == 0 ? "none.svg" : "front.svg"));
        unmask::write_sink_svg(file, run);
    }
    const text_codec& letters = data.symbols({"text", "none", "usual", 1});
    auto page = opened(folder + "/sinks.html");
    unmask::write_sink_html(
        page, runs, [&](token_t token) { return letters.decode(std::span(&token, 1)); }, unmask::above_others{});
}

void report(command_line& options, const study_folders& folders) {
    const study_size size = size_of(options.text("size", "small"));
    const std::string out = options.text("out", "sink_study_report");
    const std::string text = options.text("text", "");
    options.finish();
    std::filesystem::create_directories(out);
    auto file = opened(out + "/report.md");
    write_report(file, study_results(folders));
    write_pictures(out, size, study_data(load_corpus(text), contents_of(DEFAULT_TOKENIZER)), folders);
}

void list(command_line& options, const study_folders& folders) {
    options.finish();
    for (const job& each : all_jobs()) {
        std::printf("%-8s %s\n", std::filesystem::exists(folders.result(each)) ? "done" : "", each.name().c_str());
    }
}

} // namespace

int main(int count, char** words) {
    try {
        command_line options(count, words);
        if (options.flag("backcopy")) {
            std::signal(SIGINT, [](int) { interrupted = 1; });
            std::signal(SIGTERM, [](int) { interrupted = 1; });
            backcopy::program(options, DEFAULT_RESULTS "/backcopy", [] { return interrupted != 0; });
            return 0;
        }
        const study_folders folders{options.text("results", DEFAULT_RESULTS), options.text("work", "sink_study_work")};
        if (options.flag("run")) {
            std::signal(SIGINT, [](int) { interrupted = 1; });
            std::signal(SIGTERM, [](int) { interrupted = 1; });
            run(options, folders);
        } else if (options.flag("report")) {
            report(options, folders);
        } else if (options.flag("list")) {
            list(options, folders);
        } else {
            (void)options.flag("help");
            options.finish();
            std::fputs(help, stdout);
        }
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "sink_study: %s\n", error.what());
        return 1;
    }
}
