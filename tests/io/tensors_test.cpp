// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Tensors: converted or as they lie in the file, written and read again, from one file or from shards.

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <unmask/io/safetensors.hpp>

#include "scratch_folder.hpp"

using namespace unmask;

namespace {

template <class T>
stored_tensor stored(std::vector<index_t> shape, std::vector<T> values) {
    const auto owned = std::make_shared<std::vector<T>>(std::move(values));
    return tensor_values<T>{std::move(shape), *owned, owned};
}

// Bytes that say something else about themselves.
stored_tensor as_type(stored_tensor tensor, number_type type) {
    tensor.type = type;
    tensor.file = "f";
    tensor.name = "t";
    return tensor;
}

template <class T>
std::vector<T> values_of(const stored_tensor& tensor) {
    const auto numbers = tensor.as<T>();
    return {numbers.values.begin(), numbers.values.end()};
}

template <class Use>
std::string complaint(const Use& use) {
    try {
        use();
        return "";
    } catch (const std::exception& error) {
        return error.what();
    }
}

template <class T>
std::vector<T> extremes() {
    using limits = std::numeric_limits<T>;
    return {limits::lowest(), limits::max(), T{0}, T{1}, static_cast<T>(100)};
}

} // namespace

TEST_CASE("types of numbers have the format's names and sizes") {
    const std::vector<std::tuple<number_type, std::string, std::size_t>> types = {
        {number_type_of<double>, "F64", 8},       {number_type_of<float>, "F32", 4},
        {number_type_of<float16>, "F16", 2},      {number_type_of<bfloat16>, "BF16", 2},
        {number_type_of<std::int64_t>, "I64", 8}, {number_type_of<std::uint64_t>, "U64", 8},
        {number_type_of<std::int32_t>, "I32", 4}, {number_type_of<std::uint32_t>, "U32", 4},
        {number_type_of<std::int16_t>, "I16", 2}, {number_type_of<std::uint16_t>, "U16", 2},
        {number_type_of<std::int8_t>, "I8", 1},   {number_type_of<std::uint8_t>, "U8", 1},
        {number_type::boolean, "BOOL", 1}};
    for (const auto& [type, name, bytes] : types) {
        CHECK(name_of(type) == name);
        CHECK(bytes_of(type) == bytes);
    }
    static_assert(!stored_number<bool> && !stored_number<long double>);
}

TEST_CASE("floating-point numbers are read from every type") {
    const std::vector<float> floats = {0.0F, -1.5F, 65504.0F, 0x1p-24F, -INFINITY};
    const stored_tensor f32 = stored<float>({5}, floats);
    CHECK(values_of<float>(f32) == floats);
    CHECK(values_of<double>(f32) == std::vector<double>(floats.begin(), floats.end()));
    const stored_tensor f16 = f32.as<float16>();
    CHECK(f16.type == number_type::f16);
    CHECK(f16.bytes.size() == 10);
    CHECK(values_of<float>(f16) == floats); // all of them are numbers of F16
    CHECK(values_of<double>(f16) == std::vector<double>(floats.begin(), floats.end()));
    CHECK(values_of<float>(f32.as<bfloat16>())[2] == 65536.0F);
    CHECK(values_of<float>(f32.as<bfloat16>())[3] == 0x1p-24F);
    CHECK(std::isnan(values_of<float>(stored<double>({1}, {std::nan("")}))[0]));
    CHECK(values_of<float>(stored<double>({2}, {0.1, 1e300})) == std::vector<float>{0.1F, INFINITY});

    CHECK(values_of<float>(stored<std::int8_t>({2}, {-128, 127})) == std::vector<float>{-128.0F, 127.0F});
    CHECK(values_of<double>(stored<std::int64_t>({1}, {(1LL << 53) - 1}))[0] == 0x1p53 - 1.0);
    CHECK(values_of<double>(stored<std::uint64_t>({1}, {~0ULL}))[0] == 0x1p64);
    CHECK(values_of<float>(stored<std::uint16_t>({1}, {65535})) == std::vector<float>{65535.0F});
    CHECK(values_of<float>(as_type(stored<std::uint8_t>({3}, {0, 1, 255}), number_type::boolean)) ==
          std::vector<float>{0.0F, 1.0F, 1.0F});
}

TEST_CASE("integers are read from integers that fit, and from nothing else") {
    CHECK(values_of<std::int64_t>(stored(std::vector<index_t>{5}, extremes<std::int32_t>())) ==
          std::vector<std::int64_t>{-2147483648LL, 2147483647LL, 0, 1, 100});
    CHECK(values_of<std::int8_t>(stored<std::int64_t>({2}, {-128, 127})) == std::vector<std::int8_t>{-128, 127});
    CHECK(values_of<std::uint8_t>(as_type(stored<std::uint8_t>({3}, {0, 1, 7}), number_type::boolean)) ==
          std::vector<std::uint8_t>{0, 1, 1});
    const auto refused = [](stored_tensor tensor, auto to) {
        tensor.file = "f";
        tensor.name = "t";
        return complaint([&] { (void)tensor.as<decltype(to)>(); });
    };
    CHECK(refused(stored<std::int64_t>({2}, {0, 128}), std::int8_t{}) ==
          "f: a number of tensor 't' is 128, expected one of I8");
    CHECK(refused(stored<std::int8_t>({1}, {-1}), std::uint64_t{}) ==
          "f: a number of tensor 't' is -1, expected one of U64");
    CHECK(refused(stored<std::uint64_t>({1}, {~0ULL}), std::int64_t{}) ==
          "f: a number of tensor 't' is 18446744073709551615, expected one of I64");
    CHECK(refused(stored<float>({1}, {1.0F}), std::int32_t{}) ==
          "f: dtype of tensor 't' is 'F32', expected integers, to be read as I32");
    CHECK(refused(stored<float>({1}, {1.0F}).as<bfloat16>(), std::uint8_t{}) ==
          "f: dtype of tensor 't' is 'BF16', expected integers, to be read as U8");
}

TEST_CASE("numbers of the right type are not copied, wherever they are aligned") {
    std::array<float, 9> memory{};
    for (std::size_t i = 0; i < memory.size(); ++i) {
        memory[i] = static_cast<float>(i);
    }
    const std::span bytes = std::as_bytes(std::span(memory));
    stored_tensor tensor = tensor_values<float>{{2, 4}, std::span(memory).first(8), {}};
    CHECK(tensor.is<float>());
    CHECK_FALSE(tensor.is<std::int32_t>());
    CHECK(tensor.as<float>().values.data() == memory.data());
    const auto view = tensor.as<float>().view<2>();
    CHECK(view(1, 3) == 7.0F);
    CHECK(view.strides == std::array<index_t, 2>{4, 1});
    CHECK(complaint([&] { (void)tensor.as<float>().view<3>(); }) ==
          "tensor_values::view: the shape is [2, 4], expected 3 extents");
    for (std::size_t shift = 1; shift < sizeof(float); ++shift) {
        std::vector<std::byte> moved(bytes.size() + shift + alignof(float));
        const auto address = reinterpret_cast<std::uintptr_t>(moved.data());
        std::byte* place = moved.data() + (alignof(float) - address % alignof(float)) % alignof(float) + shift;
        std::memcpy(place, memory.data(), tensor.bytes.size());
        stored_tensor unaligned = tensor;
        unaligned.bytes = {place, tensor.bytes.size()};
        CHECK_FALSE(unaligned.is<float>());
        CHECK(values_of<float>(unaligned) == values_of<float>(tensor));
    }
    const auto kept = [] { return stored<float>({1}, {4.0F}).as<double>(); }(); // owns its copy
    CHECK(kept.values[0] == 4.0);
    CHECK_THROWS_WITH_AS((stored_tensor(tensor_values<float>{{3}, std::span(memory).first(2), {}})),
                         "stored_tensor: the number of values is 2, expected that of the shape [3]", invalid_argument);
    CHECK_THROWS_AS((stored_tensor(tensor_values<float>{{-1, -2}, std::span(memory).first(2), {}})), invalid_argument);
}

TEST_CASE("every type survives a file, and its tensors are aligned there") {
    const scratch_folder folder;
    const std::string path = folder / "all.safetensors";
    const std::map<std::string, std::string> metadata = {{"alphabet", "\n \"\\a\x1f é\U0001d11e"}, {"step", "7"}};
    const std::map<std::string, stored_tensor> tensors = {
        {"a odd", stored<std::uint8_t>({3}, {1, 2, 3})},
        {"b", stored(std::vector<index_t>{5, 1}, extremes<double>())},
        {"c \"quoted\\\" \n", stored<float>({}, {-0.1F})},
        {"d", stored<float>({1, 2}, {1.0F, 2.0F}).as<float16>()},
        {"e", stored<float>({2}, {1.0F, 2.0F}).as<bfloat16>()},
        {"f", stored<std::int64_t>({1}, {-5})},
        {"g", stored<std::int16_t>({1}, {-5})},
        {"h", stored<float>({0, 3}, {})},
        {"i", as_type(stored<std::uint8_t>({1}, {1}), number_type::boolean)}};
    write_safetensors(path, tensors, metadata);
    const safetensors_file file = read_safetensors(path);
    CHECK(file.name == path);
    CHECK(file.metadata == metadata);
    REQUIRE(file.tensors.size() == tensors.size());
    for (const auto& [name, tensor] : tensors) {
        const stored_tensor& read = file.tensor(name, tensor.shape);
        CHECK(read.type == tensor.type);
        CHECK(std::equal(read.bytes.begin(), read.bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
        CHECK(reinterpret_cast<std::uintptr_t>(read.bytes.data()) % bytes_of(read.type) == 0);
        CHECK(read.file == path);
        CHECK(read.name == name);
    }
    const safetensors_file copied = [&] { // without mapping
        const auto [bytes, memory] = detail::read_file(path);
        return parse_safetensors(bytes, path, memory);
    }();
    CHECK(values_of<double>(copied.tensor("b")) == extremes<double>());
    // A tensor outlives its file object, and the file itself.
    const stored_tensor alone = [&] { return read_safetensors(path).tensor("b"); }();
    std::filesystem::remove(path);
    CHECK(values_of<double>(alone) == extremes<double>());
}

TEST_CASE("what is missing or of another shape is named, with its file") {
    safetensors_file file{.name = "f", .metadata = {}, .tensors = {{"t", stored<float>({2, 1}, {1.0F, 2.0F})}}};
    file.tensors["t"].file = "shard";
    CHECK(file.tensor("t").size() == 2);
    CHECK(file.tensor("t", {2, 1}).size() == 2);
    CHECK(complaint([&] { (void)file.tensor("u"); }) == "f: tensor 'u' is missing, expected there");
    CHECK(complaint([&] { (void)file.tensor("u", {3}); }) == "f: tensor 'u' is missing, expected shape [3]");
    CHECK(complaint([&] { (void)file.tensor("t", {1, 2}); }) ==
          "shard: the shape of tensor 't' is [2, 1], expected [1, 2]");
    CHECK(complaint([&] { (void)file.tensor("t", {2}); }) == "shard: the shape of tensor 't' is [2, 1], expected [2]");
}

TEST_CASE("what no file can hold is refused before anything is written") {
    const scratch_folder folder;
    const std::string path = folder / "kept";
    std::ofstream(path) << "as it was";
    stored_tensor wrong = stored<float>({2}, {1.0F, 2.0F});
    wrong.shape = {3};
    const auto refused = [&](const std::map<std::string, stored_tensor>& tensors,
                             const std::map<std::string, std::string>& metadata) {
        const std::string said = complaint([&] { write_safetensors(path, tensors, metadata); });
        std::ifstream file(path);
        std::string text;
        std::getline(file, text);
        CHECK(text == "as it was");
        CHECK_FALSE(std::filesystem::exists(path + ".new"));
        return said;
    };
    const stored_tensor one = stored<float>({1}, {1.0F});
    CHECK(refused({{"__metadata__", one}}, {}) == "write_safetensors: the name of a tensor is '__metadata__', expected "
                                                  "another: this one is the metadata's");
    CHECK(refused({{"\xff", one}}, {}) == "write_safetensors: the name of a tensor is '\\xff', expected UTF-8");
    CHECK(refused({}, {{"\xff", ""}}) == "write_safetensors: a name of metadata is '\\xff', expected UTF-8");
    CHECK(refused({}, {{"", "\xff"}}) == "write_safetensors: a text of metadata is '\\xff', expected UTF-8");
    CHECK(refused({{"t", wrong}}, {}) ==
          "write_safetensors: the size of tensor 't' is 8 bytes, expected that of its shape");
    const std::string nowhere = folder / "no/such/folder";
    CHECK(complaint([&] { write_safetensors(nowhere, {}); }) ==
          nowhere + ": the file is not written, expected a place with room and permission to write");
}

TEST_CASE("a directory of shards is one file") {
    const scratch_folder folder;
    const auto index = [&](const std::string& text) { std::ofstream(folder / "model.safetensors.index.json") << text; };
    const auto read = [&] { return read_safetensors(folder.path.string()); };
    CHECK(complaint(read).ends_with("model.safetensors: the file is not readable (No such file or directory), expected "
                                    "a file"));
    write_safetensors(folder / "model.safetensors", {{"alone", stored<float>({1}, {1.0F})}});
    CHECK(read().tensors.size() == 1);

    write_safetensors(folder / "1.safetensors",
                      {{"a", stored<float>({2}, {1.0F, 2.0F})}, {"extra", stored<float>({1}, {9.0F})}},
                      {{"format", "pt"}, {"of", "1"}});
    write_safetensors(folder / "2.safetensors", {{"b", stored<std::int32_t>({1}, {7})}}, {{"of", "2"}, {"b", "c"}});
    index(R"({"metadata": {"total_size": 12.5, "x": [{}]},
              "weight_map": {"b": "2.safetensors", "a": "\u0031.safetensors"}, "later": null})");
    for (const std::string& path : {folder.path.string(), folder / "model.safetensors.index.json"}) {
        const safetensors_file file = read_safetensors(path);
        CHECK(file.name == folder / "model.safetensors.index.json");
        CHECK(file.metadata == std::map<std::string, std::string>{{"b", "c"}, {"format", "pt"}, {"of", "1"}});
        REQUIRE(file.tensors.size() == 2); // what the index doesn't mention is left out
        CHECK(values_of<float>(file.tensor("a")) == std::vector<float>{1.0F, 2.0F});
        CHECK(values_of<std::int32_t>(file.tensor("b")) == std::vector<std::int32_t>{7});
        CHECK(file.tensor("b").file == folder / "2.safetensors");
    }

    const std::string of_index = (folder / "model.safetensors.index.json") + ": ";
    index(R"({"weight_map": {"missing": "1.safetensors"}})");
    CHECK(complaint(read) == (folder / "1.safetensors") + ": tensor 'missing' is missing, expected there");
    index(R"({"weight_map": {"a": "3.safetensors"}})");
    CHECK(complaint(read).starts_with((folder / "3.safetensors") + ": the file is not readable"));
    for (const char* shard : {R"("../1.safetensors")", R"("/etc/passwd")", R"("a\\b")", R"("")", R"(".")", R"("..")",
                              R"("a\u0000b")", "1", "null", R"(["1.safetensors"])"}) {
        CAPTURE(shard);
        index(R"({"weight_map": {"a": )" + std::string(shard) + "}}");
        CHECK(complaint(read).starts_with(of_index + "the file of tensor 'a' is "));
        CHECK(complaint(read).ends_with(", expected the name of a file beside the index"));
    }
    for (const char* text : {"{}", "[]", "1", R"({"weight_map": []})"}) {
        index(text);
        CHECK(complaint(read) ==
              of_index + "the index is " + text + ", expected an object whose weight_map is an object");
    }
    index(R"({"weight_map": {"a": "1.safetensors", "a": "2.safetensors"}})");
    CHECK(complaint(read) == of_index + "the name 'a' is there twice, expected once");
    index("");
    CHECK(complaint(read) == of_index + "the index up to byte 0 is …'', expected JSON");
    index("{} x");
    CHECK(complaint(read) == of_index + "the index up to byte 4 is …'{} x', expected JSON");
}
