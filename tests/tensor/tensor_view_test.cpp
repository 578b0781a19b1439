// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
#include <unmask/tensor/dlpack.hpp>
#include <unmask/tensor/tensor_view.hpp>

using namespace unmask;

namespace {

// What std::mdspan<float, std::dextents<int, 2>, std::layout_stride> offers.
struct matrix_span {
    float* first;
    std::array<int, 2> shape;
    std::array<int, 2> steps;

    static constexpr std::size_t rank() { return 2; }
    float* data_handle() const { return first; }
    int extent(std::size_t i) const { return shape[i]; }
    int stride(std::size_t i) const { return steps[i]; }
};

// The layout of DLTensor in dlpack.h.
enum class dl_device_type : std::int32_t { cpu = 1, cuda = 2, cuda_managed = 13 };
struct dl_device {
    dl_device_type device_type;
    std::int32_t device_id;
};
struct dl_data_type {
    std::uint8_t code;
    std::uint8_t bits;
    std::uint16_t lanes;
};
struct dl_tensor {
    void* data;
    dl_device device;
    std::int32_t ndim;
    dl_data_type dtype;
    std::int64_t* shape;
    std::int64_t* strides;
    std::uint64_t byte_offset;
};

// A 2 × 3 float tensor, every row padded to 4.
struct padded_tensor {
    std::array<float, 8> memory{0, 1, 2, 99, 10, 11, 12, 99};
    std::array<std::int64_t, 2> shape{2, 3};
    std::array<std::int64_t, 2> strides{4, 1};
    dl_tensor tensor{memory.data(), {dl_device_type::cpu, 0}, 2, {2, 32, 1}, shape.data(), strides.data(), 0};
};

std::string argument_at_fault(const std::function<void(padded_tensor&)>& spoil) {
    padded_tensor example;
    spoil(example);
    try {
        (void)from_dlpack<float, 2>(example.tensor);
    } catch (const invalid_argument& error) {
        return error.argument();
    }
    return "";
}

} // namespace

TEST_CASE("a view of dense memory is row-major") {
    std::vector<float> memory(2 * 3 * 4);
    const tensor_view<float, 3> dense = view(memory.data(), 2, 3, 4);
    CHECK(dense.extents == std::array<index_t, 3>{2, 3, 4});
    CHECK(dense.strides == std::array<index_t, 3>{12, 4, 1});
    CHECK(dense.size() == 24);
    CHECK(!dense.empty());
    dense(1, 2, 3) = 7;
    CHECK(memory[23] == 7);
    CHECK(dense.pointer(1, 2) == memory.data() + 20);
    CHECK(dense.pointer() == memory.data());
}

TEST_CASE("strides are followed") {
    std::array<int, 8> memory{0, 1, 2, 3, 4, 5, 6, 7};
    const tensor_view<int, 2> columns{memory.data() + 1, {2, 3}, {4, 1}};
    CHECK(columns(0, 0) == 1);
    CHECK(columns(1, 2) == 7);
}

TEST_CASE("a default view is empty") {
    constexpr tensor_view<float, 2> none;
    static_assert(none.empty() && none.size() == 0);
}

TEST_CASE("a view of T converts to a view of const T, and not back") {
    static_assert(std::is_convertible_v<tensor_view<float, 2>, tensor_view<const float, 2>>);
    static_assert(!std::is_convertible_v<tensor_view<const float, 2>, tensor_view<float, 2>>);
    static_assert(!std::is_convertible_v<tensor_view<float, 2>, tensor_view<const float, 3>>);
    static_assert(std::is_trivially_copyable_v<tensor_view<float, 4>>);
    float value = 3;
    const tensor_view<const float, 1> read_only = view(&value, 1);
    CHECK(read_only(0) == 3);
}

TEST_CASE("views work at compile time") {
    static constexpr float memory[] = {1, 2, 3, 4, 5, 6};
    static_assert(view(memory, 2, 3)(1, 0) == 4);
}

TEST_CASE("spans, vectors and arrays are viewed as one dimension") {
    std::vector<float> vector{1, 2, 3};
    const std::vector<float> constant{4, 5};
    std::array<int, 2> array{6, 7};
    static_assert(std::is_same_v<decltype(view(vector)), tensor_view<float, 1>>);
    static_assert(std::is_same_v<decltype(view(constant)), tensor_view<const float, 1>>);
    static_assert(std::is_same_v<decltype(view(std::span<const float>(vector))), tensor_view<const float, 1>>);
    CHECK(view(vector)(2) == 3);
    CHECK(view(vector).extents[0] == 3);
    CHECK(view(constant)(1) == 5);
    CHECK(view(array)(0) == 6);
    CHECK(view(std::span(vector).subspan(1))(0) == 2);
    view(std::span(vector))(0) = 9;
    CHECK(vector[0] == 9);
}

TEST_CASE("an mdspan-like object is viewed with its extents and strides") {
    std::vector<float> memory{0, 1, 2, 3, 4, 5, 6, 7};
    const matrix_span span{memory.data(), {2, 3}, {4, 1}};
    const auto result = view(span);
    static_assert(std::is_same_v<decltype(result), const tensor_view<float, 2>>);
    CHECK(result.extents == std::array<index_t, 2>{2, 3});
    CHECK(result.strides == std::array<index_t, 2>{4, 1});
    CHECK(result(1, 2) == 6);
}

TEST_CASE("a DLPack tensor is viewed in place") {
    padded_tensor example;
    const auto result = from_dlpack<float, 2>(example.tensor);
    CHECK(result.data == example.memory.data());
    CHECK(result.extents == std::array<index_t, 2>{2, 3});
    CHECK(result.strides == std::array<index_t, 2>{4, 1});
    CHECK(result(1, 2) == 12);

    example.tensor.byte_offset = 4 * sizeof(float);
    CHECK(from_dlpack<const float, 2>(example.tensor)(0, 1) == 11);

    example.tensor.byte_offset = 0;
    example.tensor.strides = nullptr; // row-major
    CHECK(from_dlpack<float, 2>(example.tensor).strides == std::array<index_t, 2>{3, 1});

    example.tensor.device.device_type = dl_device_type::cuda_managed;
    CHECK(from_dlpack<float, 2>(example.tensor).size() == 6);
}

TEST_CASE("a DLPack tensor may be empty, or have any stride where there is one element") {
    padded_tensor example;
    example.shape = {2, 1};
    example.strides = {4, 77};
    CHECK(from_dlpack<float, 2>(example.tensor)(1, 0) == 10);
    CHECK(from_dlpack<float, 2>(example.tensor).strides[1] == 1);
    example.shape = {0, 3};
    example.strides = {3, 1};
    example.tensor.data = nullptr;
    CHECK(from_dlpack<float, 2>(example.tensor).empty());
}

TEST_CASE("DLPack element types") {
    using detail::dlpack_type;
    static_assert(detail::dlpack_type_of<float>() == dlpack_type{2, 32});
    static_assert(detail::dlpack_type_of<double>() == dlpack_type{2, 64});
    static_assert(detail::dlpack_type_of<float16>() == dlpack_type{2, 16});
    static_assert(detail::dlpack_type_of<bfloat16>() == dlpack_type{4, 16});
    static_assert(detail::dlpack_type_of<token_t>() == dlpack_type{0, 32});
    static_assert(detail::dlpack_type_of<std::uint8_t>() == dlpack_type{1, 8});
    static_assert(detail::dlpack_type_of<bool>() == dlpack_type{6, 8});
    padded_tensor example;
    example.tensor.dtype = {4, 16, 1};
    CHECK(from_dlpack<bfloat16, 2>(example.tensor).size() == 6);
    CHECK_THROWS_AS((void)(from_dlpack<float16, 2>(example.tensor)), invalid_argument);
}

TEST_CASE("a DLPack tensor that does not fit is refused, and the argument is named") {
    CHECK(argument_at_fault([](padded_tensor&) {}) == "");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.ndim = 3; }) == "ndim");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.dtype.code = 0; }) == "dtype");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.dtype.bits = 64; }) == "dtype");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.dtype.lanes = 4; }) == "dtype.lanes");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.device.device_type = dl_device_type::cuda; }) ==
          "device.device_type");
    CHECK(argument_at_fault([](padded_tensor& t) { t.shape[0] = -1; }) == "shape");
    CHECK(argument_at_fault([](padded_tensor& t) { t.strides = {1, 2}; }) == "strides");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.data = nullptr; }) == "data");
    CHECK(argument_at_fault([](padded_tensor& t) { t.tensor.byte_offset = 2; }) == "byte_offset");
    padded_tensor example;
    CHECK_THROWS_WITH((void)(from_dlpack<float, 3>(example.tensor)), "from_dlpack: ndim is 2, expected 3");
}

TEST_CASE("a DLPack tensor on a CUDA device is viewed for calls on it, and not by mistake") {
    padded_tensor example;
    for (const int device : {2, 3, 13}) {
        example.tensor.device.device_type = static_cast<dl_device_type>(device);
        CHECK(from_cuda_dlpack<float, 2>(example.tensor).size() == 6);
    }
    for (const int device : {0, 1, 11}) {
        example.tensor.device.device_type = static_cast<dl_device_type>(device);
        CHECK_THROWS_WITH((void)(from_cuda_dlpack<float, 2>(example.tensor)),
                          ("from_cuda_dlpack: device.device_type is " + std::to_string(device) +
                           ", expected memory that a CUDA device reads: 2, 3 or 13")
                              .c_str());
    }
}
