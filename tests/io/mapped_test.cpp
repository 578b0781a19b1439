// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Reading shards of more than 4 GB costs what is touched of them: the files have holes, which take no disk either.

#include <doctest/doctest.h>

#if __has_include(<sys/mman.h>)

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>

#include <unistd.h>

#include <unmask/io/safetensors.hpp>

#include "scratch_folder.hpp"

using namespace unmask;

namespace {

constexpr std::uint64_t shard_bytes = 0x90000000; // 2.25 GiB
constexpr index_t width = 1 << 12;
constexpr index_t rows = shard_bytes / (sizeof(float) * width);

// A file of one tensor, whose last number is `last` and all others, never written, 0.
void write_with_a_hole(const std::string& path, const std::string& tensor, float last) {
    std::string header = "{\"" + tensor + "\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(rows) + "," +
                         std::to_string(width) + "],\"data_offsets\":[0," + std::to_string(shard_bytes) + "]}}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const std::uint64_t size = header.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), sizeof size);
    file << header;
    file.seekp(static_cast<std::streamoff>(shard_bytes - sizeof last), std::ios::cur);
    file.write(reinterpret_cast<const char*>(&last), sizeof last);
}

// What of this process is in memory, in MiB; 0 where Linux doesn't say.
double resident() {
    std::ifstream file("/proc/self/statm");
    double all = 0.0;
    double pages = 0.0;
    file >> all >> pages;
    return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

} // namespace

TEST_CASE("shards of 4.5 GiB are read at the cost of what is touched") {
    const scratch_folder folder;
    write_with_a_hole(folder / "1.safetensors", "a", 1.5F);
    write_with_a_hole(folder / "2.safetensors", "b", 2.5F);
    std::ofstream(folder / "model.safetensors.index.json")
        << R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})";

    const double before = resident();
    const auto start = std::chrono::steady_clock::now();
    {
        const safetensors_file file = read_safetensors(folder.path.string());
        const auto a = file.tensor("a", {rows, width}).as<float>();
        const auto b = file.tensor("b", {rows, width}).as<float>().view<2>();
        CHECK(a.values.size() * sizeof(float) == shard_bytes);
        CHECK(a.values.back() == 1.5F);
        CHECK(b(rows - 1, width - 1) == 2.5F);
        CHECK(b(0, 0) == 0.0F);
        CHECK(resident() - before < 16.0); // MiB; the system reads around what is touched
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    CHECK(seconds.count() < 5.0); // 4.5 GiB would take longer
    MESSAGE("read in ", seconds.count() * 1e3, " ms, ", resident() - before, " MiB more in memory");
}

#endif
