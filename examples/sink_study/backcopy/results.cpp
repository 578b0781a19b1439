// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "results.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>

#include "../result_file.hpp"

namespace sink_study::backcopy {

using nlohmann::ordered_json;

namespace {

std::map<std::uint32_t, double> by_seed(const std::vector<ordered_json>& results, const std::string& pointer) {
    std::map<std::uint32_t, double> numbers;
    const ordered_json::json_pointer place(pointer);
    for (const ordered_json& each : results) {
        if (each.contains(place) && each.at(place).is_number()) {
            numbers[each.at("seed").get<std::uint32_t>()] = each.at(place).get<double>();
        }
    }
    return numbers;
}

} // namespace

std::vector<ordered_json> results_folder::of(const cell& which) const {
    const std::string file = path_ + "/" + which.name() + ".json";
    if (!std::filesystem::exists(file)) {
        return {};
    }
    const ordered_json all = read_result(file);
    return {all.begin(), all.end()};
}

bool results_folder::has(const job& which) const {
    const auto all = of(which.of);
    return std::any_of(all.begin(), all.end(), [&](const auto& each) { return each.at("seed") == which.seed; });
}

void results_folder::add(const job& which, const ordered_json& result) const {
    auto all = of(which.of);
    all.push_back(result);
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return a.at("seed").template get<std::uint32_t>() < b.at("seed").template get<std::uint32_t>();
    });
    std::string text;
    for (const ordered_json& each : all) { // one a line
        text += (text.empty() ? "[" : ",\n ") + each.dump();
    }
    write_file(path_ + "/" + which.of.name() + ".json", text + "]\n");
}

estimate results_folder::number(const cell& which, const std::string& pointer) const {
    estimate result;
    for (const auto& [seed, value] : by_seed(of(which), pointer)) {
        result.values.push_back(value);
    }
    return result;
}

estimate results_folder::difference(const cell& which, const cell& other, const std::string& pointer) const {
    estimate result;
    const auto others = by_seed(of(other), pointer);
    for (const auto& [seed, value] : by_seed(of(which), pointer)) {
        if (const auto found = others.find(seed); found != others.end()) {
            result.values.push_back(value - found->second);
        }
    }
    return result;
}

index_t run_jobs(const std::vector<job>& jobs, const size& scale, const results_folder& results,
                 const std::string& weights, int threads, const std::function<bool()>& stop) {
    std::atomic<std::size_t> next = 0;
    std::atomic<index_t> done = 0;
    std::mutex mutex;
    std::exception_ptr failure;
    const auto is_to_do = [&](const job& which) {
        const std::scoped_lock lock(mutex);
        return failure == nullptr && !results.has(which);
    };
    const auto run_some = [&] {
        for (std::size_t i = next++; i < jobs.size() && !stop(); i = next++) {
            try {
                if (!is_to_do(jobs[i])) {
                    continue;
                }
                const std::string file = weights.empty() ? "" : weights + "/" + jobs[i].name() + ".safetensors";
                const ordered_json result = run_job(jobs[i], scale, file);
                const std::scoped_lock lock(mutex);
                results.add(jobs[i], result);
                ++done;
                std::printf("%s  %s  %g s\n", jobs[i].name().c_str(), result.at("held_out").dump().c_str(),
                            result.at("seconds").get<double>());
                std::fflush(stdout);
            } catch (...) {
                const std::scoped_lock lock(mutex);
                failure = failure ? failure : std::current_exception();
            }
        }
    };
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) {
        workers.emplace_back(run_some);
    }
    for (std::thread& worker : workers) {
        worker.join();
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    return done;
}

} // namespace sink_study::backcopy
