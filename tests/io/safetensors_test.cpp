// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Files of tensors from strangers: every fault is refused, by its name.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/io/safetensors.hpp>

#include "scratch_folder.hpp"

using namespace unmask;

namespace {

// A file with this header, and some bytes after it.
std::string file_of(const std::string& header, std::size_t data_size) {
    std::string file(8, '\0');
    const std::uint64_t size = header.size();
    std::memcpy(file.data(), &size, sizeof size);
    return file + header + std::string(data_size, '\0');
}

safetensors_file read(const std::string& bytes) {
    const auto memory = std::make_shared<std::string>(bytes);
    return parse_safetensors(std::as_bytes(std::span(*memory)), "f", memory);
}

std::vector<float> floats(const stored_tensor& tensor) {
    const auto numbers = tensor.as<float>();
    return {numbers.values.begin(), numbers.values.end()};
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
    const std::vector<std::pair<std::string, std::size_t>> files = {
        {"{}", 0},
        {"{}   ", 0},
        {R"({"__metadata__":{}})", 0},
        {one("[]", "[0,4]"), 4},
        {one("[2,3]", "[0,24]"), 24},
        {one("[2,3]", "[0,12]", "\"BF16\""), 12},
        {one("[0]", "[0,0]"), 0},
        {one("[1152921504606846975,0]", "[0,0]"), 0},
        {R"({"t":{"new":{"a":1},"dtype":"\u00558","shape":[1],"data_offsets":[0,1]}})", 1},
        {R"({"b":)" + entry("[1]", "[4,8]") + R"(,"none":)" + entry("[0]", "[4,4]") + R"(,"a":)" +
             entry("[1]", "[0,4]") + "}",
         8}};
    for (const auto& file : files) {
        const std::string& header = file.first;
        CAPTURE(header);
        CHECK(complaint(file_of(header, file.second)) == "");
    }
    std::string bytes = file_of(R"({"x":)" + entry("[2]", "[2,6]", "\"BF16\"") + R"(,"y":)" +
                                    entry("[1,1]", "[0,2]", "\"BF16\"") + R"(,"__metadata__":{"a":"b"}})",
                                6);
    const std::array<bfloat16, 3> numbers = {bfloat16(1.5F), bfloat16(-2.0F), bfloat16(0.25F)};
    std::memcpy(bytes.data() + bytes.size() - 6, numbers.data(), 6);
    const safetensors_file file = read(bytes);
    CHECK(file.name == "f");
    CHECK(file.metadata == std::map<std::string, std::string>{{"a", "b"}});
    CHECK(file.tensors.at("x").shape == std::vector<index_t>{2});
    CHECK(floats(file.tensor("x")) == std::vector<float>{-2.0F, 0.25F});
    CHECK(file.tensors.at("y").shape == std::vector<index_t>{1, 1});
    CHECK(floats(file.tensor("y")) == std::vector<float>{1.5F});
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
        {"{\"t\":[1", 0, "f: the header up to byte 7 is …'{\"t\":[1', expected JSON"},
        {"{} {}", 0, "f: the header up to byte 4 is …'{} {', expected JSON"},
        {"[]", 0, "f: the header is [], expected an object in JSON"},
        {" {}", 0, "f: the first character of the header is ' ', expected '{'"},
        {"\xef\xbb\xbf{}", 0, "f: the header up to byte 1 is …'\\xef', expected JSON"},
        {R"({"t":1,"t":1})", 0, "f: the name 't' is there twice, expected once"},
        {R"({"t":{"shape":[],"shape":[]}})", 0, "f: the name 'shape' is there twice, expected once"},
        {R"({"t":{"x":{"y":1,"y":1}}})", 0, "f: the name 'y' is there twice, expected once"},
        {R"({"__metadata__":{"a":"b","\u0061":"c"}})", 0, "f: the name 'a' is there twice, expected once"},
        {R"({"__metadata__":["a"]})", 0, "f: __metadata__ is [\"a\"], expected an object"},
        {R"({"__metadata__":{"width":192}})", 0, "f: 'width' of __metadata__ is 192, expected a string"},
        {R"({"__metadata__":null})", 0, "f: __metadata__ is null, expected an object"},
        {R"({"t":[0,4]})", 4,
         "f: the description of tensor 't' is [0,4], expected an object with dtype, shape and data_offsets"},
        {R"({"t":{"dtype":"F32","shape":[1]}})", 4,
         "f: the description of tensor 't' is {\"dtype\":\"F32\",\"shape\":[1]}, expected an object with dtype, shape "
         "and data_offsets"},
        {one("[1]", "[0,1]", "\"F8_E4M3\""), 1,
         "f: dtype of tensor 't' is \"F8_E4M3\", expected F64, I64, U64, F32, I32, U32, BF16, F16, I16, U16, I8, U8 or "
         "BOOL"},
        {one("[1]", "[0,4]", "\"f32\""), 4,
         "f: dtype of tensor 't' is \"f32\", expected F64, I64, U64, F32, I32, U32, BF16, F16, I16, U16, I8, U8 or "
         "BOOL"},
        {one("[1]", "[0,8]", "32"), 8,
         "f: dtype of tensor 't' is 32, expected F64, I64, U64, F32, I32, U32, BF16, F16, I16, U16, I8, U8 or BOOL"},
        {one("4", "[0,16]"), 16, "f: shape of tensor 't' is 4, expected an array of integers from 0 on"},
        {one("[-1]", "[0,4]"), 4, "f: shape of tensor 't' is [-1], expected an array of integers from 0 on"},
        {one("[1.5]", "[0,6]"), 6, "f: shape of tensor 't' is [1.5], expected an array of integers from 0 on"},
        {one("[1e0]", "[0,4]"), 4, "f: shape of tensor 't' is [1e0], expected an array of integers from 0 on"},
        {one("[\"1\"]", "[0,4]"), 4, "f: shape of tensor 't' is [\"1\"], expected an array of integers from 0 on"},
        {one("[18446744073709551616]", "[0,4]"), 4,
         "f: shape of tensor 't' is [18446744073709551616], expected an array of integers from 0 on"},
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
        {one("[1]", "[0,1e999]"), 4, "f: data_offsets of tensor 't' is [0,1e999], expected two integers from 0 on"},
        {one("[[1]]", "[0,4]"), 4, "f: shape of tensor 't' is [[1]], expected an array of integers from 0 on"},
        {one("[1]", "[0,3]", "\"I64\""), 3,
         "f: data_offsets of tensor 't' is [0,3], expected 8 bytes, for the shape [1] in I64"},
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
        {"{\"__metadata__\":[\"\u0080\x7f\"]}", 0, R"(f: __metadata__ is ["\xc2\x80\x7f"], expected an object)"},
        {R"({"__metadata__":")" + std::string(100, 'x') + R"("})", 0,
         "f: __metadata__ is \"" + std::string(79, 'x') + "…, expected an object"},
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
    CHECK(complaint(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8) + std::string(100'000'001, ' ')) ==
          "f: the size of the header is 100000001, expected at most 100000000");
    const std::string long_name(1000, 'x');
    CHECK(complaint(file_of("{\"" + long_name + "\":1}", 0)).size() < 200);
    CHECK(complaint(file_of(std::string(1 << 20, '['), 0)).ends_with("nested 65 deep, expected at most 64"));
    for (const char* text : {"{\"a\":tru}",
                             "{\"a\":01}",
                             "{\"a\":.5}",
                             "{\"a\":5.}",
                             "{\"a\":1e}",
                             "{\"a\":+1}",
                             "{\"a\":-}",
                             "{\"a\":\"\n\"}",
                             "{\"a\":\"\xc0\x80\"}",
                             "{\"a\":\"\xed\xa0\x80\"}",
                             "{\"a\":\"\\x\"}",
                             "{\"a\":\"\\u12g4\"}",
                             "{\"a\":\"\\ud800\"}",
                             "{\"a\":\"\\ud800\\u0041\"}",
                             "{\"a\":\"\\udc00\"}",
                             "{\"a\":\"",
                             "{\"a\":\"\\",
                             "{a:1}",
                             "{\"a\" 1}",
                             "{,}",
                             "{\"a\":1,}"}) {
        CAPTURE(text);
        CHECK(complaint(file_of(text, 0)).ends_with("expected JSON"));
    }
    CHECK(complaint(file_of(std::string("{\"a\":\"\0\"}", 9), 0)).ends_with("expected JSON"));
    CHECK(complaint(file_of(R"({"a":[true,false,null,-0,1.5e+3,"\ud834\udd1e\n"]})", 0))
              .starts_with("f: the description of tensor 'a'"));
}

TEST_CASE("what is no file is refused") {
    const scratch_folder folder;
    const std::string path = folder / "hostile.safetensors";
    const auto refused = [](const std::string& name) {
        try {
            (void)read_safetensors(name);
        } catch (const file_error& error) {
            return std::string(error.what()).starts_with(name + ": the file is not readable");
        }
        return false;
    };
    CHECK(refused(path));
    CHECK(refused("/dev/zero"));
    std::ofstream(path, std::ios::binary) << file_of(one("[4611686018427387905,4]", "[0,16]"), 16);
    CHECK_THROWS_WITH_AS(
        (void)read_safetensors(path),
        (path + ": shape of tensor 't' is [4611686018427387905,4], expected less than 2^63 bytes").c_str(), file_error);
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
            count += tensor.as<float>().values.size();
        }
        return count;
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
        for (int value = 0; value < 256; ++value) {
            std::string changed = whole;
            changed[i] = static_cast<char>(value);
            if (complaint(changed).empty()) {
                CHECK(numbers(read(changed)) >= 3);  // 30 bytes in F64
                CHECK(numbers(read(changed)) <= 30); // in U8
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
            CHECK(numbers(read(changed)) <= changed.size());
        }
    }
}
