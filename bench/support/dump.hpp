// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <unmask/mask/mask_policy.hpp>

#include "buffers.hpp"
#include "shape.hpp"

namespace bench {

namespace detail {

template <class T>
void write(const std::filesystem::path& file, const std::vector<T>& values) {
    std::ofstream stream(file, std::ios::binary);
    stream.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
    if (!stream.flush()) {
        throw std::runtime_error("cannot write " + file.string());
    }
}

/// visible.u8: a byte for every query and key.
template <unmask::mask_policy Mask>
void write_visible(const std::filesystem::path& folder, const Mask& mask, index_t queries, index_t keys) {
    std::vector<unsigned char> visible;
    for (index_t q = 0; q < queries; ++q) {
        for (index_t k = 0; k < keys; ++k) {
            visible.push_back(mask.visible(q, k) ? 1 : 0);
        }
    }
    write(folder / "visible.u8", visible);
}

} // namespace detail

/// Writes what went into a call and what came out, for other programs to compare: NAME.f32, dense floats as in the
/// buffers, and visible.u8.
template <class T, unmask::mask_policy Mask>
void dump(const std::filesystem::path& folder, const buffers<T>& data, const Mask& mask) {
    const auto write = [&](const char* name, const auto& values) {
        detail::write(folder / (std::string(name) + ".f32"), std::vector<float>(values.begin(), values.end()));
    };
    write("query", data.query);
    write("key", data.key);
    write("value", data.value);
    write("output", data.output);
    write("log_sum_exp", data.log_sum_exp);
    write("received", data.received);
    write("d_output", data.d_output);
    write("d_query", data.d_query);
    write("d_key", data.d_key);
    write("d_value", data.d_value);
    detail::write_visible(folder, mask, data.sizes.queries, data.sizes.length);
}

} // namespace bench
