// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Files of tensors from strangers: every fault is refused, by its name.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "safetensors.hpp"

using namespace language_model;

namespace {

// A file with this header, and some bytes after it.
std::string file_of(const std::string& header, std::size_t data_size) {
    std::string file(8, '\0');
    const std::uint64_t size = header.size();
    std::memcpy(file.data(), &size, sizeof size);
    return file + header + std::string(data_size, '\0');
}

safetensors_file read(const std::string& bytes) {
    std::istringstream stream(bytes);
    return read_safetensors(stream, bytes.size(), "f");
}

// What the reader says of a file; nothing if it takes it.
std::string complaint(const std::string& bytes) {
    try {
        read(bytes);
        return "";
    } catch (const file_error& error) {
        return error.what();
    }
}

std::string entry(const std::string& shape, const std::string& offsets, const std::string& dtype = "\"F32\"") {
    return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

std::string one(const std::string& shape, const std::string& offsets, const std::string& dtype = "\"F32\"") {
    return R"({"t":)" + entry(shape, offsets, dtype) + "}";
}

} // namespace

TEST_CASE("files that follow the format are read") {
    for (const auto& [header, size] : {std::pair<std::string, std::size_t>{"{}", 0},
                                       {"{}   ", 0},
                                       {R"({"__metadata__":{}})", 0},
                                       {one("[]", "[0,4]"), 4},
                                       {one("[2,3]", "[0,24]"), 24},
                                       {one("[2,3]", "[0,12]", "\"BF16\""), 12},
                                       {one("[0]", "[0,0]"), 0},
                                       {one("[1152921504606846975,0]", "[0,0]"), 0},
                                       {R"({"b":)" + entry("[1]", "[4,8]") + R"(,"none":)" + entry("[0]", "[4,4]") +
                                            R"(,"a":)" + entry("[1]", "[0,4]") + "}",
                                        8}}) {
        CAPTURE(header);
        CHECK(complaint(file_of(header, size)) == "");
    }
    std::string bytes = file_of(R"({"x":)" + entry("[2]", "[2,6]", "\"BF16\"") + R"(,"y":)" +
                                    entry("[1,1]", "[0,2]", "\"BF16\"") + R"(,"__metadata__":{"a":"b"}})",
                                6);
    const std::array<unmask::bfloat16, 3> numbers = {unmask::bfloat16(1.5F), unmask::bfloat16(-2.0F),
                                                     unmask::bfloat16(0.25F)};
    std::memcpy(bytes.data() + bytes.size() - 6, numbers.data(), 6);
    const safetensors_file file = read(bytes);
    CHECK(file.name == "f");
    CHECK(file.metadata == std::map<std::string, std::string>{{"a", "b"}});
    CHECK(file.tensors.at("x").shape == std::vector<index_t>{2});
    CHECK(file.tensors.at("x").values == std::vector<float>{-2.0F, 0.25F});
    CHECK(file.tensors.at("y").shape == std::vector<index_t>{1, 1});
    CHECK(file.tensors.at("y").values == std::vector<float>{1.5F});
}

TEST_CASE("a file's faults are named: file, tensor or key, what it was, what was expected") {
    struct fault {
        std::string header;
        std::size_t data_size;
        std::string expected;
    };
    const std::string two = R"({"a":)" + entry("[2]", "[0,8]") + R"(,"b":)";
    const std::vector<fault> faults = {
        {"", 0, "f: the header up to byte 0 is …'', expected JSON"},
        {"{\"t\":[1,}", 0, "f: the header up to byte 9 is …'{\"t\":[1,}', expected JSON"},
        {"{} {}", 0, "f: the header up to byte 4 is …'{} {', expected JSON"},
        {"[]", 0, "f: the header is [], expected an object in JSON"},
        {" {}", 0, "f: the first character of the header is ' ', expected '{'"},
        {"\xef\xbb\xbf{}", 0, "f: the first character of the header is '\xef\xbb\xbf', expected '{'"},
        {R"({"t":1,"t":1})", 0, "f: the name 't' is there twice, expected once"},
        {R"({"t":{"shape":[],"shape":[]}})", 0, "f: the name 'shape' is there twice, expected once"},
        {R"({"t":{"shape":[[1]]}})", 0, "f: a value of the header is nested 4 deep, expected at most 3"},
        {R"({"__metadata__":["a"]})", 0, "f: __metadata__ is [\"a\"], expected an object"},
        {R"({"__metadata__":{"width":192}})", 0, "f: 'width' of __metadata__ is 192, expected a string"},
        {R"({"t":[0,4]})", 4,
         "f: the description of tensor 't' is [0,4], expected an object with dtype, shape and data_offsets"},
        {R"({"t":{"dtype":"F32","shape":[1]}})", 4,
         "f: the description of tensor 't' is {\"dtype\":\"F32\",\"shape\":[1]}, expected an object with dtype, shape "
         "and data_offsets"},
        {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4,
         "f: the description of tensor 't' is {\"data_offsets\":[0,4],\"dtype\":\"F32\",\"shape\":[1],\"x\":1}, "
         "expected "
         "an object with dtype, shape and data_offsets"},
        {one("[1]", "[0,8]", "\"F64\""), 8, "f: dtype of tensor 't' is 'F64', expected F32 or BF16"},
        {one("[1]", "[0,8]", "32"), 8, "f: dtype of tensor 't' is 32, expected F32 or BF16"},
        {one("4", "[0,16]"), 16, "f: shape of tensor 't' is 4, expected an array of integers from 0 on"},
        {one("[-1]", "[0,4]"), 4, "f: shape of tensor 't' is [-1], expected an array of integers from 0 on"},
        {one("[1.5]", "[0,6]"), 6, "f: shape of tensor 't' is [1.5], expected an array of integers from 0 on"},
        {one("[1e0]", "[0,4]"), 4, "f: shape of tensor 't' is [1.0], expected an array of integers from 0 on"},
        {one("[\"1\"]", "[0,4]"), 4, "f: shape of tensor 't' is [\"1\"], expected an array of integers from 0 on"},
        {one("[18446744073709551616]", "[0,4]"), 4,
         "f: shape of tensor 't' is [1.8446744073709552e+19], expected an array of integers from 0 on"},
        // Products that are small, or 0, when they are cut to 64 bits.
        {one("[4611686018427387905,4]", "[0,16]"), 16,
         "f: shape of tensor 't' is [4611686018427387905,4], expected less than 2^63 bytes"},
        {one("[4294967296,4294967296]", "[0,0]"), 0,
         "f: shape of tensor 't' is [4294967296,4294967296], expected less than 2^63 bytes"},
        {one("[2305843009213693952]", "[0,0]"), 0,
         "f: shape of tensor 't' is [2305843009213693952], expected less than 2^63 bytes"},
        {one("[9223372036854775808]", "[0,0]"), 0,
         "f: shape of tensor 't' is [9223372036854775808], expected less than 2^63 bytes"},
        {one("[0,9223372036854775808]", "[0,0]"), 0,
         "f: shape of tensor 't' is [0,9223372036854775808], expected less than 2^63 bytes"},
        {one("[1]", "4"), 4, "f: data_offsets of tensor 't' is 4, expected two integers from 0 on"},
        {one("[1]", "[4]"), 4, "f: data_offsets of tensor 't' is [4], expected two integers from 0 on"},
        {one("[1]", "[0,4,8]"), 4, "f: data_offsets of tensor 't' is [0,4,8], expected two integers from 0 on"},
        {one("[1]", "[0.5,4.5]"), 5, "f: data_offsets of tensor 't' is [0.5,4.5], expected two integers from 0 on"},
        {one("[1]", "[0,4.0]"), 4, "f: data_offsets of tensor 't' is [0,4.0], expected two integers from 0 on"},
        {one("[1]", "[-4,0]"), 4, "f: data_offsets of tensor 't' is [-4,0], expected two integers from 0 on"},
        {one("[1]", "[4,0]"), 4, "f: data_offsets of tensor 't' is [4,0], expected a range of the data's 4 bytes"},
        {one("[1]", "[1,5]"), 4, "f: data_offsets of tensor 't' is [1,5], expected a range of the data's 4 bytes"},
        {one("[1]", "[0,1e999]"), 4, "f: a number of the header is beyond 1.8e308, expected an integer"},
        {one("[1]", "[0,3]"), 3, "f: data_offsets of tensor 't' is [0,3], expected 4 bytes, for the shape [1] in F32"},
        {one("[1]", "[0,8]"), 8, "f: data_offsets of tensor 't' is [0,8], expected 4 bytes, for the shape [1] in F32"},
        {one("[1]", "[0,18446744073709551615]"), 4,
         "f: data_offsets of tensor 't' is [0,18446744073709551615], expected a range of the data's 4 bytes"},
        {two + entry("[2]", "[4,12]") + "}", 12,
         "f: the first byte of tensor 'b' is 4, expected 8, where tensor 'a' ends"},
        {two + entry("[2]", "[0,8]") + "}", 8,
         "f: the first byte of tensor 'b' is 0, expected 8, where tensor 'a' ends"},
        {two + entry("[0]", "[4,4]") + "}", 8,
         "f: the first byte of tensor 'b' is 4, expected 8, where tensor 'a' ends"},
        {two + entry("[1]", "[12,16]") + "}", 16,
         "f: the first byte of tensor 'b' is 12, expected 8, where tensor 'a' ends"},
        {one("[1]", "[4,8]"), 8, "f: the first byte of tensor 't' is 4, expected 0, where the header ends"},
        {one("[1]", "[0,4]"), 5, "f: the data is 5 bytes, expected 4, where tensor 't' ends"},
        {"{}", 1, "f: the data is 1 bytes, expected 0, where the header ends"},
        // Names go to a terminal.
        {R"({"__metadata__":["é\u007f"]})", 0, "f: __metadata__ is [\"\\u00e9\\u007f\"], expected an object"},
        {R"({"__metadata__":")" + std::string(100, 'x') + R"("})", 0,
         "f: __metadata__ is '" + std::string(80, 'x') + "…', expected an object"},
        {R"({"__metadata__":[")" + std::string(100, 'x') + R"("]})", 0,
         "f: __metadata__ is [\"" + std::string(78, 'x') + "…, expected an object"},
        {R"({"\u001b[2J":1})", 0,
         "f: the description of tensor '\\x1b[2J' is 1, expected an object with dtype, shape and data_offsets"},
    };
    for (const fault& each : faults) {
        CHECK(complaint(file_of(each.header, each.data_size)) == each.expected);
    }
    CHECK(complaint("") == "f: the size of the file is 0 bytes, expected at least 8");
    CHECK(complaint("1234567") == "f: the size of the file is 7 bytes, expected at least 8");
    CHECK(complaint(std::string(8, '\xff')) == "f: the size of the header is 18446744073709551615, expected at most 0");
    CHECK(complaint(file_of("{}", 0).substr(0, 9)) == "f: the size of the header is 2, expected at most 1");
    const auto of_size = [](const std::string& bytes, std::uint64_t size) {
        std::istringstream stream(bytes);
        read_safetensors(stream, size, "f");
    };
    CHECK_THROWS_WITH_AS(of_size(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8), std::uint64_t{1} << 40),
                         "f: the size of the header is 100000001, expected at most 100000000", file_error);
    CHECK_THROWS_WITH_AS(of_size(file_of(one("[2]", "[0,8]"), 7), 8 + one("[2]", "[0,8]").size() + 8),
                         "f: the file is shorter than it was, expected 70 bytes", file_error);
    const std::string long_name(1000, 'x');
    CHECK(complaint(file_of("{\"" + long_name + "\":1}", 0)).size() < 200);
    CHECK(complaint(file_of(std::string(1 << 20, '['), 0)).ends_with("nested 4 deep, expected at most 3"));
}

TEST_CASE("what is no file is refused") {
    const std::filesystem::path folder = std::filesystem::temp_directory_path();
    const std::string path = (folder / "unmask_test_hostile.safetensors").string();
    const auto refused = [](const std::string& name) {
        try {
            read_safetensors(name);
        } catch (const file_error& error) {
            return std::string(error.what()).starts_with(name + ": the file is not readable");
        }
        return false;
    };
    CHECK(refused(folder.string()));
    CHECK(refused(path));
    CHECK(refused("/dev/zero"));
    std::ofstream(path, std::ios::binary) << file_of(one("[4611686018427387905,4]", "[0,16]"), 16);
    CHECK_THROWS_WITH_AS(
        read_safetensors(path),
        (path + ": shape of tensor 't' is [4611686018427387905,4], expected less than 2^63 bytes").c_str(), file_error);
    std::filesystem::remove(path);
}

// Two tensors anywhere in a few bytes: valid if one begins where the data does, the other where the first ends, and the
// data ends there.
TEST_CASE("ranges are taken if they cover the data, in any order, and no others") {
    const auto text = [](int a, int b) { return "[" + std::to_string(a) + "," + std::to_string(b) + "]"; };
    const auto extent = [](int a, int b) { return "[" + std::to_string((b - a) / 2) + "]"; };
    int taken = 0;
    constexpr int most = 6;
    for (int size = 0; size <= most; ++size) {
        for (int a = 0; a <= most; ++a) {
            for (int b = a; b <= most; b += 2) {
                for (int c = 0; c <= most; ++c) {
                    for (int d = c; d <= most; d += 2) {
                        const std::string header = R"({"x":)" + entry(extent(a, b), text(a, b), "\"BF16\"") +
                                                   R"(,"y":)" + entry(extent(c, d), text(c, d), "\"BF16\"") + "}";
                        const bool valid = (a == 0 && b == c && d == size) || (c == 0 && d == a && b == size);
                        const std::string said = complaint(file_of(header, static_cast<std::size_t>(size)));
                        CHECK_MESSAGE(said.empty() == valid, header, " over ", size, " bytes: ", said);
                        taken += valid ? 1 : 0;
                    }
                }
            }
        }
    }
    CHECK(taken == 19);
}

TEST_CASE("a file that is cut or changed anywhere is refused, or read as what it then says") {
    const std::string whole = file_of(R"({"a":)" + entry("[2,3]", "[0,24]") + R"(,"b":)" +
                                          entry("[3]", "[24,30]", "\"BF16\"") + R"(,"__metadata__":{"k":"v"}})",
                                      30);
    REQUIRE(complaint(whole).empty());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CHECK_FALSE(complaint(whole.substr(0, size)).empty());
    }
    CHECK_FALSE(complaint(whole + "x").empty());
    const auto numbers = [](const safetensors_file& file) {
        std::size_t count = 0;
        for (const auto& [name, tensor] : file.tensors) {
            count += tensor.values.size();
        }
        return count;
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
        for (int value = 0; value < 256; ++value) {
            std::string changed = whole;
            changed[i] = static_cast<char>(value);
            if (complaint(changed).empty()) {
                CHECK(numbers(read(changed)) >= 7);  // 30 bytes in F32
                CHECK(numbers(read(changed)) <= 15); // in BF16
            }
        }
    }
    for (std::uint32_t seed = 1; seed <= 20000; ++seed) { // several bytes, and pieces twice or missing
        CAPTURE(seed);
        std::mt19937 random(seed);
        const auto below = [&](std::size_t end) { return static_cast<std::size_t>(random() % end); };
        std::string changed = whole;
        for (std::size_t i = 0; i <= below(4); ++i) {
            const std::size_t place = 8 + below(changed.size() - 8);
            const std::size_t length = below(8);
            if (below(2) == 0) {
                changed.insert(place, changed.substr(8 + below(changed.size() - 8), length));
            } else if (changed.size() > 64) {
                changed.erase(place, length);
            }
        }
        const std::uint64_t size = static_cast<std::uint64_t>(changed.rfind('}') - 7);
        std::memcpy(changed.data(), &size, sizeof size);
        if (complaint(changed).empty()) {
            CHECK(numbers(read(changed)) * 2 <= changed.size());
        }
    }
}
