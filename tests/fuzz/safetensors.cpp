// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A file of tensors from anywhere, or an index of such files: read, or refused by a file_error. What is read says no
// more than there is, can be converted, and is the same when it is written and read again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <sstream>
#include <string>

#include <unmask/io/safetensors.hpp>

using namespace unmask;

namespace {

void expects(bool condition) {
    if (!condition) {
        std::abort();
    }
}

template <class T>
void convert(const stored_tensor& tensor) {
    try {
        expects(tensor.as<T>().values.size() == tensor.size());
    } catch (const file_error&) { // a number that doesn't fit
    }
}

bool same(const safetensors_file& a, const safetensors_file& b) {
    return a.metadata == b.metadata && std::equal(a.tensors.begin(), a.tensors.end(), b.tensors.begin(),
                                                  b.tensors.end(), [](const auto& x, const auto& y) {
                                                      return x.first == y.first && x.second.type == y.second.type &&
                                                             x.second.shape == y.second.shape &&
                                                             std::equal(x.second.bytes.begin(), x.second.bytes.end(),
                                                                        y.second.bytes.begin(), y.second.bytes.end());
                                                  });
}

void read(const std::string& bytes) {
    safetensors_file file;
    try {
        file = parse_safetensors(std::as_bytes(std::span(bytes)));
    } catch (const file_error&) { // refused
        return;
    }
    std::size_t size = 0;
    for (const auto& [name, tensor] : file.tensors) {
        expects(tensor.has_its_size());
        size += tensor.bytes.size();
        convert<double>(tensor);
        convert<bfloat16>(tensor);
        convert<std::int8_t>(tensor);
        convert<std::uint64_t>(tensor);
    }
    expects(size <= bytes.size());
    std::ostringstream stream;
    write_safetensors(stream, file.tensors, file.metadata);
    const std::string again = stream.str();
    expects(same(file, parse_safetensors(std::as_bytes(std::span(again)))));
}

void read_index(const std::string& text) {
    try {
        for (const auto& [tensor, shard] : detail::parse_safetensors_index("index", text)) {
            expects(!shard.empty() && shard.find('/') == std::string::npos);
        }
    } catch (const file_error&) { // refused
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    read(bytes);
    read_index(bytes);
    // The same as a header and its data, which changes would otherwise seldom leave at their size.
    const std::size_t header_size = bytes.rfind('}') + 1; // 0 if there is none
    std::string frame(8, '\0');
    for (std::size_t i = 0; i < frame.size(); ++i) {
        frame[i] = static_cast<char>(header_size >> (8 * i));
    }
    read(frame + bytes);
    return 0;
}
