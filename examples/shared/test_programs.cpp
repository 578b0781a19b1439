// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What programs have in common besides the command line itself.

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/sampler/canvas.hpp>

#include "common_options.hpp"
#include "output_file.hpp"
#include "program.hpp"
#include "trace_file.hpp"
#include "watched_run.hpp"

using namespace examples;

namespace {

// Runs a program with some words.
template <class Body>
int result_of(std::vector<std::string> words, const Body& body) {
    words.insert(words.begin(), "program");
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    return run_program("program", "help\n", static_cast<int>(pointers.size()), pointers.data(), body);
}

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

TEST_CASE("a program's result says how it ended") {
    bool ran = false;
    const auto body = [&](command_line& options) {
        ran = true;
        options.finish();
    };
    CHECK(result_of({}, body) == 0);
    CHECK(ran);
    ran = false;
    CHECK(result_of({"--help"}, body) == 0);
    CHECK_FALSE(ran);
    CHECK(result_of({"--speed"}, body) == 1);
    CHECK(result_of({"stray"}, body) == 1);
    CHECK(result_of({}, [](command_line&) { throw skipped("no network"); }) == 77);
    catch_interrupts();
    CHECK(result_of({}, [](command_line&) { std::raise(SIGTERM); }) == 130);
    interrupted = 0;
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

TEST_CASE("common options are read, or refused in their own words") {
    const auto read = [](const std::vector<std::string>& words, const auto& use) {
        std::string complaint;
        const int result = result_of(words, [&](command_line& options) {
            try {
                use(options);
            } catch (const std::invalid_argument& error) {
                complaint = error.what();
            }
        });
        CHECK(result == 0);
        return complaint;
    };
    CHECK(read({"--view", "on"}, [](command_line& options) { CHECK(wants_view(options)); }).empty());
    CHECK(read({"--view", "off"}, [](command_line& options) { CHECK_FALSE(wants_view(options)); }).empty());
    CHECK(read({"--view", "no"}, [](command_line& options) { (void)wants_view(options); }) ==
          "--view is 'no', expected on, off or auto");
    const auto path = [](command_line& options) { (void)output_path(options, "out", {".svg", ".html"}); };
    CHECK(read({}, [](command_line& options) { CHECK(output_path(options, "out", {".svg"}).empty()); }).empty());
    CHECK(read({"--out", "a.html"}, path).empty());
    CHECK(read({"--out", "a.htm"}, path) == "--out is 'a.htm', expected a name that ends in .svg or .html");
    CHECK(read({"--threads", "1025"}, [](command_line& options) { (void)threads_of(options); }) ==
          "--threads is '1025', expected an integer from 0 to 1024");
    CHECK(read({"--n", "3"}, [](command_line& options) {
              const auto number = [&](const char* name) { return options.integer(name, 0); };
              CHECK(given(options, "n", number) == 3);
              CHECK_FALSE(given(options, "m", number).has_value());
          }).empty());
}

TEST_CASE("what a run took, in a line") {
    unmask::statistics run;
    run.calls = 2;
    run.nfe.denoise = 4;
    run.committed = 12;
    run.useful = 10;
    run.seconds_in_model = 1.5;
    run.seconds_in_sampling = 0.5;
    CHECK(sentence_of(run, "words") ==
          "4 function evaluations in 2 calls, 2.50 words each; 1.50 s in the model, 0.50 s "
          "in sampling; 6.0 words/s");
    run.stopped_early = true;
    CHECK(sentence_of(run, "words").ends_with("; interrupted"));
    CHECK(sentence_of({}, "words").find("0.0 words/s") != std::string::npos);
}

TEST_CASE("a run that nobody watches goes on") {
    const unmask::canvas page({.size = 2, .mask = 2, .end = {}});
    const auto cells = [](const unmask::canvas&, const auto&) { return std::vector<cell>(); };
    const auto result = watched_run(page, false, "words", cells, [&](const auto& observer) {
        CHECK(observer(unmask::sampler_step{.canvas = page}));
        return unmask::statistics{.calls = 7};
    });
    CHECK(result.calls == 7);
}

TEST_CASE("a trace is written as its file is called") {
    const std::string folder = std::filesystem::temp_directory_path().string();
    unmask::canvas page({.size = 2, .mask = 2, .end = {}});
    page.add({}, 3);
    page.add({}, 5);
    const auto text = [](unmask::token_t token) { return std::string(1, static_cast<char>('a' + token)); };
    const std::string html = folder + "/unmask_test_trace.html";
    const std::string lines = folder + "/unmask_test_trace.jsonl";
    write_trace_file(html, page, {}, 5, text);
    write_trace_file(lines, page, {}, 5, text);
    CHECK(contents(html).starts_with("<!DOCTYPE html>"));
    CHECK(contents(lines).find("\"lengths\":[3,5]") != std::string::npos);
    CHECK(contents(lines).find("\"seed\":5") != std::string::npos);
    std::filesystem::remove(html);
    std::filesystem::remove(lines);
    const std::string nowhere = folder + "/no_such_folder/a.html";
    CHECK_THROWS_WITH_AS(write_trace_file(nowhere, page, {}, 5, text), ("cannot write " + nowhere).c_str(),
                         std::runtime_error);
}
