// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/tensor/float_types.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// DLTensor of dlpack.h, or any type with the same members. The header itself is not needed.
template <class Tensor>
concept dlpack_tensor = requires(const Tensor& tensor) {
    { tensor.data } -> std::convertible_to<const void*>;
    { tensor.ndim } -> std::convertible_to<int>;
    { tensor.dtype.code } -> std::convertible_to<int>;
    { tensor.dtype.bits } -> std::convertible_to<int>;
    { tensor.dtype.lanes } -> std::convertible_to<int>;
    { tensor.shape[0] } -> std::convertible_to<index_t>;
    { tensor.strides[0] } -> std::convertible_to<index_t>;
    { tensor.byte_offset } -> std::convertible_to<std::uint64_t>;
    { tensor.device.device_type };
};

namespace detail {

struct dlpack_type {
    int code;
    int bits;
    friend constexpr bool operator==(const dlpack_type&, const dlpack_type&) = default;
};

// DLDataTypeCode: 0 signed, 1 unsigned, 2 floating point, 4 bfloat16, 6 bool.
template <class T>
constexpr dlpack_type dlpack_type_of() {
    static_assert(std::is_arithmetic_v<T> || storage_type<T>, "unmask: DLPack has no such element type");
    constexpr int code = std::same_as<T, bfloat16>                                 ? 4
                         : std::same_as<T, bool>                                   ? 6
                         : std::same_as<T, float16> || std::is_floating_point_v<T> ? 2
                         : std::is_unsigned_v<T>                                   ? 1
                                                                                   : 0;
    return {code, static_cast<int>(8 * sizeof(T))};
}

// The DLDeviceTypes that a function accepts.
struct dlpack_devices {
    const char* function;
    int types[4]; // 0: none
    const char* expected;
};
inline constexpr dlpack_devices host_dlpack_devices{
    "from_dlpack", {1, 3, 11, 13}, "memory of the host: 1, 3, 11 or 13"};
inline constexpr dlpack_devices cuda_dlpack_devices{
    "from_cuda_dlpack", {2, 3, 13, 0}, "memory that a CUDA device reads: 2, 3 or 13"};

template <class T, std::size_t Rank, dlpack_tensor Tensor>
tensor_view<T, Rank> view_of_dlpack(const Tensor& tensor, const dlpack_devices& devices) {
    const auto expects = [&](bool condition, const char* argument, std::string was, std::string expected) {
        if (!condition) {
            throw invalid_argument(devices.function, argument, std::move(was), std::move(expected));
        }
    };
    const auto text = [](auto value) { return std::to_string(value); };
    constexpr int rank = static_cast<int>(Rank);
    expects(tensor.ndim == rank, "ndim", text(tensor.ndim), text(rank));

    const dlpack_type type{static_cast<int>(tensor.dtype.code), static_cast<int>(tensor.dtype.bits)};
    constexpr dlpack_type wanted = dlpack_type_of<std::remove_const_t<T>>();
    expects(type == wanted, "dtype", "code " + text(type.code) + " of " + text(type.bits) + " bits",
            "code " + text(wanted.code) + " of " + text(wanted.bits) + " bits");
    const int vector_length = static_cast<int>(tensor.dtype.lanes);
    expects(vector_length == 1, "dtype.lanes", text(vector_length), "1");
    const int device = static_cast<int>(tensor.device.device_type);
    bool reachable = false;
    for (const int each : devices.types) {
        reachable = reachable || (device == each && each != 0);
    }
    expects(reachable, "device.device_type", text(device), devices.expected);

    tensor_view<T, Rank> result;
    index_t dense = 1; // a null `strides` means row-major
    for (std::size_t dimension = Rank; dimension-- > 0;) {
        const index_t extent = tensor.shape[dimension];
        expects(extent >= 0, "shape", text(extent), "at least 0");
        result.extents[dimension] = extent;
        result.strides[dimension] = tensor.strides == nullptr ? dense : static_cast<index_t>(tensor.strides[dimension]);
        dense *= extent;
    }
    if constexpr (Rank > 0) {
        if (result.extents[Rank - 1] <= 1) {
            result.strides[Rank - 1] = 1; // DLPack does not define the stride of such a dimension
        }
        expects(result.strides[Rank - 1] == 1, "strides", text(result.strides[Rank - 1]),
                "1 for the innermost dimension");
    }
    const auto address =
        reinterpret_cast<std::uintptr_t>(tensor.data) + static_cast<std::uintptr_t>(tensor.byte_offset);
    expects(tensor.data != nullptr || dense == 0, "data", "null", "the tensor's memory");
    expects(address % alignof(T) == 0, "byte_offset", text(tensor.byte_offset),
            "an address that is a multiple of " + text(alignof(T)));
    result.data = tensor.data == nullptr ? nullptr : reinterpret_cast<T*>(address);
    return result;
}

} // namespace detail

/// A view of a DLPack tensor in memory that the host can read (DLDeviceType 1 CPU, 3 CUDA pinned, 11 ROCm pinned,
/// 13 CUDA managed): from_dlpack<const float, 4>(managed->dl_tensor).
///
/// Nothing is copied or owned: the caller still calls the tensor's deleter, after the last use of the view. Throws
/// invalid_argument if the rank or the element type differs, lanes is not 1, the device is not in that list, an extent
/// is negative, data is null or not aligned for T, or the innermost stride is not 1.
template <class T, std::size_t Rank, dlpack_tensor Tensor>
[[nodiscard]] tensor_view<T, Rank> from_dlpack(const Tensor& tensor) {
    return detail::view_of_dlpack<T, Rank>(tensor, detail::host_dlpack_devices);
}

/// A view of a DLPack tensor in memory that a CUDA device can read (DLDeviceType 2 CUDA, 3 CUDA pinned, 13 CUDA
/// managed), for calls on cuda_executor. Otherwise like from_dlpack. It is not checked which device the memory is on.
template <class T, std::size_t Rank, dlpack_tensor Tensor>
[[nodiscard]] tensor_view<T, Rank> from_cuda_dlpack(const Tensor& tensor) {
    return detail::view_of_dlpack<T, Rank>(tensor, detail::cuda_dlpack_devices);
}

UNMASK_NAMESPACE_END
